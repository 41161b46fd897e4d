// Places the picture in the frame (fit, zoom, pan), and converts between screen and picture coordinates.
// Must not know what is drawn.

const ZOOM_LARGEST = 24;

// frame: the visible element. world: the element of proxy size that is moved and scaled in it.
function createView(frame, world, moved) {
  let fit = 1;
  let zoom = 1;
  let left = 0;
  let top = 0;

  const scale = () => fit * zoom;

  function layout() {
    if (!state.picture || !frame.clientWidth || !frame.clientHeight) return;
    const centre = toPicture(frameCentre());
    fit = Math.min(frame.clientWidth / state.picture.width, frame.clientHeight / state.picture.height);
    placeAt(centre, frame.clientWidth / 2, frame.clientHeight / 2);
  }

  // Moves a point of the picture to a point of the frame, as far as the picture's edges allow.
  function placeAt(point, x, y) {
    left = settle(x - point.x * scale(), state.picture.width * scale(), frame.clientWidth);
    top = settle(y - point.y * scale(), state.picture.height * scale(), frame.clientHeight);
    world.style.transform = "translate(" + left + "px, " + top + "px) scale(" + scale() + ")";
    moved();
  }

  // Keeps the picture in place: one smaller than the frame is centred, a larger one never leaves a gap.
  function settle(start, size, room) {
    return size <= room ? (room - size) / 2 : clamp(start, room - size, 0);
  }

  function zoomAt(factor, x, y) {
    const held = { x: (x - left) / scale(), y: (y - top) / scale() };
    zoom = clamp(zoom * factor, 1, ZOOM_LARGEST);
    placeAt(held, x, y);
  }

  function panBy(x, y) {
    placeAt({ x: 0, y: 0 }, left + x, top + y);
  }

  function reset() {
    zoom = 1;
    left = top = 0;
    layout();
  }

  const frameCentre = () => ({ x: frame.clientWidth / 2, y: frame.clientHeight / 2 });

  function inFrame(event) {
    const box = frame.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  const toPicture = (point) => ({ x: (point.x - left) / scale(), y: (point.y - top) / scale() });
  const toFrame = (point) => ({ x: point.x * scale() + left, y: point.y * scale() + top });

  // Returns the part of the frame that the picture covers, in frame pixels.
  function seen() {
    const x = Math.max(0, left);
    const y = Math.max(0, top);
    const right = Math.min(frame.clientWidth, left + state.picture.width * scale());
    const bottom = Math.min(frame.clientHeight, top + state.picture.height * scale());
    return { x, y, width: right - x, height: bottom - y };
  }

  return {
    layout, zoomAt, panBy, reset, inFrame, toPicture, toFrame, seen, frameCentre,
    get scale() { return scale(); },
    get zoom() { return zoom; },
  };
}
