// The stage's state, and a bus for events about its changes.
// Must not know the page, pointers or pixels.

const BRUSH_SMALLEST = 0.003; // share of the picture's long side
const BRUSH_LARGEST = 0.4;
const GROW_LIMIT = 256; // px of the full picture, as in stage.py
const FEATHER_LIMIT = 256;

const state = {
  mode: "empty", // empty, painting, running, result
  tool: "brush", // brush, erase, rectangle, lasso
  brush: 0.05, // diameter as a share of the long side, so that it also suits the next picture
  grow: 0,
  feather: 6,
  candidate: 0,
  picture: null, // {id, width, height, full_width, full_height, name}, as shown now
  showBefore: false, // while space is held
};

function createBus() {
  const listeners = new Map();
  return {
    on(name, listener) {
      listeners.set(name, [...(listeners.get(name) ?? []), listener]);
    },
    emit(name, detail) {
      for (const listener of listeners.get(name) ?? []) listener(detail);
    },
  };
}

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

function brushDiameter() {
  return Math.max(1, state.brush * Math.max(state.picture.width, state.picture.height));
}

// Returns the full-size pixels per shown pixel.
function proxyScale() {
  return state.picture.full_width / state.picture.width;
}
