// The toolbar's buttons, numbers and size slider: what each does, and when it is enabled.
// Must not know pixels.

function createControls(root, ui, strokes, run, changed) {
  const buttons = [...root.querySelectorAll("[data-do], [data-tool]")];

  for (const button of buttons) {
    button.addEventListener("click", () => run(button.dataset.do ?? button.dataset.tool));
    // A click keeps the focus on the picture, so that keys still work there. Tab still reaches every button.
    button.addEventListener("mousedown", (event) => event.preventDefault());
  }

  ui.size.addEventListener("input", () => run("size", Number(ui.size.value) / 100));
  for (const name of ["grow", "feather"]) {
    ui[name].addEventListener("input", () => setNumber(name, Number(ui[name].value)));
    ui[name].addEventListener("change", () => (ui[name].value = state[name]));
  }

  function setNumber(name, wanted) {
    const low = name === "grow" ? -GROW_LIMIT : 0;
    const value = clamp(Math.round(wanted) || 0, low, name === "grow" ? GROW_LIMIT : FEATHER_LIMIT);
    const differs = value !== state[name];
    state[name] = value;
    refresh();
    if (differs) changed();
  }

  function refresh() {
    const painting = state.mode === "painting";
    const usable = {
      undo: strokes.canUndo, redo: strokes.canRedo, clear: !strokes.isEmpty, "mask-save": !strokes.isEmpty,
    };
    for (const button of buttons) {
      const { do: name, tool } = button.dataset;
      if (tool) button.setAttribute("aria-pressed", tool === state.tool);
      if (button.closest(".ip-tools")) button.disabled = name !== "keys" && !(painting && (usable[name] ?? true));
    }
    for (const input of [ui.size, ui.grow, ui.feather]) input.disabled = !painting;
    for (const name of ["grow", "feather"]) {
      if (document.activeElement !== ui[name]) ui[name].value = state[name]; // do not change a number that is being typed
    }
    refreshSize();
  }

  function refreshSize() {
    ui.size.value = 100 * sliderOf(state.brush);
    if (!state.picture) return;
    const text = Math.round(brushDiameter() * proxyScale()) + " px";
    ui.size.setAttribute("aria-valuetext", text);
    ui.size.parentElement.title = "Brush size: " + text + " ([ and ])";
  }

  return { refresh, setNumber };
}

// The slider is logarithmic: from 0.3 % to a third of the picture's long side, with fine steps for small brushes.
const sizeOf = (part) => BRUSH_SMALLEST * (BRUSH_LARGEST / BRUSH_SMALLEST) ** part;
const sliderOf = (size) => Math.log(size / BRUSH_SMALLEST) / Math.log(BRUSH_LARGEST / BRUSH_SMALLEST);
