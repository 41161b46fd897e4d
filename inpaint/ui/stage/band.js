// Draws the thin contour of the grown mask and the soft blend band around it, so that a mask is visible on any picture.
// Must not change the mask.

const BAND_PIXELS = 400000; // larger masks compute the distance on a coarser grid, which takes at most 30 ms on a slow machine

function createBand(canvas, strokes, view) {
  const pen = canvas.getContext("2d");
  let timer = 0;

  function schedule() {
    clearTimeout(timer);
    timer = setTimeout(draw, 60);
  }

  function hide() {
    clearTimeout(timer);
    canvas.hidden = true;
  }

  function draw() {
    const found = state.picture && strokes.bounds();
    canvas.hidden = !found;
    if (!found) return;
    const reach = (Math.max(0, state.grow) + state.feather) / proxyScale();
    const area = within(boxAroundRect(found, reach + 4), state.picture);
    const step = Math.max(1, Math.ceil(Math.sqrt((area.width * area.height) / BAND_PIXELS)));
    const width = Math.ceil(area.width / step);
    const height = Math.ceil(area.height / step);
    Object.assign(canvas, { width, height });
    place(area, width * step, height * step);
    pen.putImageData(shade(sample(area, width, height, step), width, height, step), 0, 0);
  }

  function place(area, width, height) {
    canvas.style.left = area.x + "px";
    canvas.style.top = area.y + "px";
    canvas.style.width = width + "px";
    canvas.style.height = height + "px";
  }

  function sample(area, width, height, step) {
    const marked = new Uint8Array(width * height);
    const inside = state.grow < 0;
    for (let y = 0, i = 0; y < height; y++) {
      const row = Math.min(area.y + y * step, state.picture.height - 1) * state.picture.width;
      for (let x = 0; x < width; x++, i++) {
        const column = Math.min(area.x + x * step, state.picture.width - 1);
        marked[i] = (strokes.pixels[row + column] >= 128) !== inside ? 1 : 0;
      }
    }
    return marked;
  }

  // Draws a white line at the grown edge, fading outward. A negative grow is measured inward from the mask's edge.
  function shade(marked, width, height, step) {
    const distance = distanceToMarked(marked, width, height);
    const edge = Math.abs(state.grow) / proxyScale();
    const line = Math.max(step, 1.2 / view.scale);
    const soft = state.feather / proxyScale();
    const painted = pen.createImageData(width, height);
    for (let i = 0, j = 0; i < distance.length; i++, j += 4) {
      const beyond = (distance[i] * step - edge) * (state.grow < 0 ? -1 : 1);
      const nearLine = distance[i] > 0 ? clamp(1.5 - Math.abs(beyond - line / 2) / line, 0, 1) : 0;
      const fading = beyond > 0 && beyond < soft && (state.grow >= 0 || distance[i] > 0) ? 1 - beyond / soft : 0;
      painted.data[j] = painted.data[j + 1] = painted.data[j + 2] = 255;
      painted.data[j + 3] = Math.max(235 * nearLine, 100 * fading);
    }
    return painted;
  }

  return { schedule, hide };
}

const boxAroundRect = (rect, margin) => boxAround(
  [{ x: rect.x, y: rect.y }, { x: rect.x + rect.width, y: rect.y + rect.height }], margin);
