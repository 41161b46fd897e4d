// Holds the mask's pixels at proxy size, and their undo and redo history.
// Must not know pointers, tools or the server.

const HISTORY_BYTES = 48 * 1024 * 1024; // at one byte a pixel: over forty whole pictures, or hundreds of strokes
const HISTORY_STEPS = 300;

// canvas: shows the mask as the accent colour with the mask as its alpha. `alpha` below holds the committed mask; while a stroke is
// being drawn, the canvas also shows what is not committed yet.
function createStrokes(canvas, changed) {
  const brush = canvas.getContext("2d", { willReadFrequently: true });
  let alpha = new Uint8Array(0);
  let colour = "#d9482b";
  let dirty = null;
  let found = null; // bounds of the painted part; undefined = not computed yet
  let past = [];
  let future = [];

  function reset(width, height) {
    canvas.width = width;
    canvas.height = height;
    alpha = new Uint8Array(width * height);
    dirty = null;
    past = [];
    future = [];
    found = null;
  }

  // Draws on the canvas without committing. area: the part that the drawing may touch.
  function draw(area, erase, drawing) {
    const cut = within(area, canvas);
    if (!cut) return;
    brush.globalCompositeOperation = erase ? "destination-out" : "source-over";
    brush.fillStyle = brush.strokeStyle = colour;
    drawing(brush);
    dirty = dirty ? union(dirty, cut) : cut;
  }

  // Commits what was drawn as one step to undo. Returns whether any pixel differs.
  function commit() {
    if (!dirty) return false;
    const rect = dirty;
    dirty = null;
    return keep(rect, readAlpha(rect));
  }

  function abort() {
    if (dirty) show(dirty, cropAlpha(dirty));
    dirty = null;
  }

  // Replaces the whole mask as one step to undo.
  function replace(pixels) {
    abort();
    const rect = whole();
    show(rect, pixels);
    return keep(rect, pixels);
  }

  function keep(rect, pixels) {
    const before = cropAlpha(rect);
    if (same(before, pixels)) return false;
    past.push({ rect, pixels: before });
    future = [];
    trim();
    pasteAlpha(rect, pixels);
    changed();
    return true;
  }

  function swap(from, to) {
    abort();
    const step = from.pop();
    if (!step) return false;
    to.push({ rect: step.rect, pixels: cropAlpha(step.rect) });
    pasteAlpha(step.rect, step.pixels);
    show(step.rect, step.pixels);
    changed();
    return true;
  }

  function trim() {
    let bytes = 0;
    let kept = 0;
    while (kept < Math.min(past.length, HISTORY_STEPS) && bytes <= HISTORY_BYTES) {
      bytes += past[past.length - ++kept].pixels.length;
    }
    past = past.slice(past.length - kept);
  }

  function readAlpha(rect) {
    const read = brush.getImageData(rect.x, rect.y, rect.width, rect.height).data;
    const pixels = new Uint8Array(rect.width * rect.height);
    for (let i = 0, j = 3; i < pixels.length; i++, j += 4) pixels[i] = read[j];
    return pixels;
  }

  function cropAlpha(rect) {
    const pixels = new Uint8Array(rect.width * rect.height);
    for (let y = 0; y < rect.height; y++) {
      const start = (rect.y + y) * canvas.width + rect.x;
      pixels.set(alpha.subarray(start, start + rect.width), y * rect.width);
    }
    return pixels;
  }

  function pasteAlpha(rect, pixels) {
    for (let y = 0; y < rect.height; y++) {
      const start = (rect.y + y) * canvas.width + rect.x;
      alpha.set(pixels.subarray(y * rect.width, (y + 1) * rect.width), start);
    }
    found = undefined;
  }

  function show(rect, pixels) {
    const painted = brush.createImageData(rect.width, rect.height);
    const [red, green, blue] = channels(colour);
    for (let i = 0, j = 0; i < pixels.length; i++, j += 4) {
      painted.data[j] = red;
      painted.data[j + 1] = green;
      painted.data[j + 2] = blue;
      painted.data[j + 3] = pixels[i];
    }
    brush.putImageData(painted, rect.x, rect.y);
  }

  function tint(hex) {
    colour = hex;
    if (!canvas.width) return;
    brush.globalCompositeOperation = "source-in";
    brush.fillStyle = hex;
    brush.fillRect(0, 0, canvas.width, canvas.height);
  }

  const whole = () => ({ x: 0, y: 0, width: canvas.width, height: canvas.height });

  function bounds() {
    if (found === undefined) found = boundsOf(alpha, canvas.width, canvas.height);
    return found;
  }

  return {
    reset, draw, commit, abort, replace, tint, bounds,
    undo: () => swap(past, future),
    redo: () => swap(future, past),
    clear: () => replace(new Uint8Array(alpha.length)),
    invert: () => replace(alpha.map((value) => 255 - value)),
    get pixels() { return alpha; },
    get canUndo() { return past.length > 0; },
    get canRedo() { return future.length > 0; },
    get isEmpty() { return bounds() === null; },
    get isDrawing() { return dirty !== null; },
  };
}

function within(area, { width, height }) {
  const left = clamp(Math.floor(area.x), 0, width);
  const top = clamp(Math.floor(area.y), 0, height);
  const right = clamp(Math.ceil(area.x + area.width), 0, width);
  const bottom = clamp(Math.ceil(area.y + area.height), 0, height);
  return right > left && bottom > top ? { x: left, y: top, width: right - left, height: bottom - top } : null;
}

function union(one, other) {
  const x = Math.min(one.x, other.x);
  const y = Math.min(one.y, other.y);
  const right = Math.max(one.x + one.width, other.x + other.width);
  const bottom = Math.max(one.y + one.height, other.y + other.height);
  return { x, y, width: right - x, height: bottom - y };
}

function same(one, other) {
  for (let i = 0; i < one.length; i++) if (one[i] !== other[i]) return false;
  return true;
}

// Returns the smallest rectangle around all pixels of at least half opacity, or null if there is none.
function boundsOf(pixels, width, height) {
  let left = width;
  let right = -1;
  let top = -1;
  let bottom = -1;
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (pixels[i] < 128) continue;
      if (x < left) left = x;
      if (x > right) right = x;
      if (top < 0) top = y;
      bottom = y;
    }
  }
  return right < 0 ? null : { x: left, y: top, width: right - left + 1, height: bottom - top + 1 };
}

function channels(hex) {
  return [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));
}

// Returns the mask as a PNG data URL: white = repaint, on black.
function encodeMask(pixels, width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const grey = pen.createImageData(width, height);
  const words = new Uint32Array(grey.data.buffer);
  for (let i = 0; i < words.length; i++) words[i] = 0xff000000 | (pixels[i] * 0x010101);
  pen.putImageData(grey, 0, 0);
  return canvas.toDataURL("image/png");
}
