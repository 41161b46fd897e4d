// Connects the parts of the stage, and follows the props that the server sends.
// Must not draw, and must not know what the server does.

const EDITS = new Set([
  "brush", "erase", "rectangle", "lasso", "undo", "redo", "clear", "invert", "smaller", "larger", "size",
  "grow-less", "grow-more", "feather-less", "feather-more", "mask-open", "mask-save",
]);
const SAY_MS = 8000;

const root = element.querySelector(".ip-stage");
const ui = Object.fromEntries([...root.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]));
const bus = createBus();
const gone = new AbortController();

// Adds a listener outside the component that is removed with it, because Gradio may build the component again.
function listen(target, name, listener, capture = false) {
  target.addEventListener(name, (event) => {
    if (element.isConnected) listener(event);
    else gone.abort();
  }, { capture, signal: gone.signal });
}

const strokes = createStrokes(ui.mask, () => bus.emit("mask"));
const view = createView(ui.view, ui.world, () => bus.emit("moved"));
const sketch = createSketch(ui.sketch, view);
const tools = createTools(strokes, sketch, say);
const band = createBand(ui.band, strokes, view);
const maskFile = createMaskFile(strokes, say);
const outbox = createOutbox(strokes, listen);
const compare = createCompare(ui, view, outbox.candidateChosen);
const overlays = createOverlays(ui, view);
const opening = createOpening(root, ui, listen, say);
const pointers = createPointers(ui.pad, view, tools, compare, overlays);
const controls = createControls(root, ui, strokes, run, () => bus.emit("band"));
createKeys(root, ui, listen, { view, tools, pointers, compare, overlays, commands: { run, say, showBefore } });

bus.on("mask", outbox.maskChanged);
bus.on("mask", controls.refresh);
bus.on("mask", band.schedule);
bus.on("band", outbox.changed);
bus.on("band", band.schedule);
bus.on("moved", overlays.place);
bus.on("moved", compare.place);
bus.on("moved", band.schedule);
bus.on("moved", showZoom);

// The commands of all buttons and keys, by name.
const commands = {
  open: opening.choose,
  keys: () => ui.keys.showModal(),
  "zoom-in": () => view.zoomAt(1.4, view.frameCentre().x, view.frameCentre().y),
  "zoom-out": () => view.zoomAt(1 / 1.4, view.frameCentre().x, view.frameCentre().y),
  "zoom-fit": view.reset,
  brush: () => chooseTool("brush"),
  erase: () => chooseTool("erase"),
  rectangle: () => chooseTool("rectangle"),
  lasso: () => chooseTool("lasso"),
  smaller: () => setBrush(state.brush / 1.15),
  larger: () => setBrush(state.brush * 1.15),
  size: (part) => setBrush(sizeOf(part)),
  undo: () => tools.isActive ? tools.cancel() : strokes.undo(),
  redo: strokes.redo,
  clear: strokes.clear,
  invert: strokes.invert,
  "grow-less": () => controls.setNumber("grow", state.grow - 1),
  "grow-more": () => controls.setNumber("grow", state.grow + 1),
  "feather-less": () => controls.setNumber("feather", state.feather - 1),
  "feather-more": () => controls.setNumber("feather", state.feather + 1),
  "mask-open": () => ui.maskInput.click(),
  "mask-save": () => strokes.isEmpty ? say("Nothing is painted yet.") : maskFile.save(),
};

function run(name, detail) {
  if (EDITS.has(name) && state.mode !== "painting") return;
  if (name.startsWith("zoom") && !state.picture) return;
  commands[name](detail);
}

function chooseTool(name) {
  state.tool = name;
  root.dataset.inHand = name;
  controls.refresh();
  overlays.place();
}

// Sets the brush size. If no pointer shows the brush, its circle appears in the middle of the frame.
function setBrush(size) {
  state.brush = clamp(size, BRUSH_SMALLEST, BRUSH_LARGEST);
  controls.refresh();
  if (ui.cursor.hidden) overlays.showCursor(view.toPicture(view.frameCentre()));
  overlays.place();
}

function showBefore(held) {
  if (held === state.showBefore) return;
  state.showBefore = held;
  root.classList.toggle("ip-before", held);
  compare.place();
}

function showZoom() {
  const level = Math.round(view.zoom * 100) + " %";
  ui.zoomLevel.textContent = level;
  ui.zoomLevel.setAttribute("aria-label", level + ", show the whole picture"); // speech input can use the visible text as the name
  root.classList.toggle("ip-zoomed", view.zoom > 1);
  ui.world.style.borderRadius = "calc(var(--radius) / " + view.scale + ")";
}

let silence = 0;

function say(text, kind = "") {
  ui.status.textContent = text;
  ui.status.dataset.kind = kind;
  clearTimeout(silence);
  if (text && !kind) silence = setTimeout(() => say(""), SAY_MS);
}

ui.maskInput.addEventListener("change", () => {
  const [file] = ui.maskInput.files;
  if (file) maskFile.open(file).finally(() => (ui.maskInput.value = ""));
});

// The functions below follow the props that the server sends.

let asked = ""; // id of the picture that is shown or being decoded
let ready = Promise.resolve();
let maskTaken = "";
let remembered = JSON.parse(props.value || "{}");
let resultBefore = ""; // id of a result that belongs to an earlier picture
let resultShown = "";
let wasRunning = false;

function followPicture() {
  const wanted = props.picture ?? {};
  if ((wanted.id ?? "") === asked) return;
  asked = wanted.id ?? "";
  resultBefore = props.result?.id ?? "";
  overlays.showArea(null);
  overlays.hidePreview();
  ready = wanted.id ? bringPicture({ ...wanted }) : Promise.resolve(takePicture(null));
}

async function bringPicture(picture) {
  const image = await loadImage(picture.url).catch(() => null);
  if (asked !== picture.id) return;
  if (!image) return say("The picture could not be shown.", "trouble");
  takePicture(picture);
  await restore(picture);
}

function takePicture(picture) {
  pointers.cancel();
  tools.cancel();
  state.picture = picture;
  state.candidate = 0;
  strokes.reset(picture?.width ?? 0, picture?.height ?? 0);
  if (picture) {
    ui.before.src = picture.url;
    Object.assign(ui.world.style, { width: picture.width + "px", height: picture.height + "px" });
    ui.view.style.setProperty("--aspect", picture.width / picture.height);
  }
  root.dataset.picture = picture?.id ?? "";
  const wasAskedFor = opening.isUnderWay;
  opening.done();
  if (ui.status.dataset.kind) say("");
  band.hide();
  matchAccent();
  outbox.newPicture();
  followMode();
  view.reset();
  if (picture && wasAskedFor) catchFocus();
}

// Moves the focus to the picture if it was on a button that is now hidden. Otherwise the focus would leave the stage.
function catchFocus() {
  const { activeElement } = document;
  if (activeElement === document.body || ui.empty.contains(activeElement)) ui.pad.focus({ preventScroll: true });
}

async function followMask() {
  const wanted = props.mask ?? {};
  const pictureId = asked;
  if (!wanted.id || wanted.id === maskTaken) return;
  maskTaken = wanted.id;
  if (pictureId && pictureId === remembered.picture) return; // the mask was taken before the component was built again
  await ready;
  const image = await loadImage(wanted.url).catch(() => null);
  if (!image || !pictureId || state.picture?.id !== pictureId) return;
  maskFile.put(image);
}

function followHeld() {
  outbox.maskIsHeld(props.held?.token ?? "");
}

function followBand() {
  for (const name of ["grow", "feather"]) {
    if (Number.isFinite(props.band?.[name])) controls.setNumber(name, props.band[name]);
  }
}

function followArea() {
  overlays.showArea(props.work_area?.bounds, props.work_area?.label);
}

function followPreview() {
  if (props.preview?.url) overlays.showPreview({ ...props.preview });
  else overlays.hidePreview();
}

function followMode() {
  const running = Object.keys(props.running ?? {}).length > 0;
  const result = props.result?.items?.length && props.result.id !== resultBefore ? props.result : null;
  state.mode = !state.picture ? "empty" : running ? "running" : result ? "result" : "painting";
  root.dataset.state = state.mode;
  if (wasRunning && !running) overlays.hidePreview();
  if (state.mode !== "painting") overlays.showCursor(null);
  if (running) {
    pointers.cancel();
    tools.cancel();
  }
  if (running || wasRunning) say(props.running?.label ?? "", running ? "steady" : "");
  wasRunning = running;
  if (state.mode === "result") showResult(result);
  else hideResult();
  controls.refresh();
}

function showResult(result) {
  const fresh = result.id !== resultShown;
  resultShown = result.id;
  if (fresh) state.candidate = 0;
  compare.show(result);
  if (fresh) {
    compare.startBeside(strokes.bounds());
    outbox.refresh();
  }
}

function hideResult() {
  compare.hide();
  const { name, full_width, full_height } = state.picture ?? {};
  ui.about.textContent = state.picture ? [name, full_width + " \u00d7 " + full_height + " px"].filter(Boolean).join(", ") : "";
}

function followExamples() {
  const examples = props.examples ?? [];
  ui.invite.textContent = examples.length ? "Drop a photo, paste, or try one of these" : "Drop a photo, or paste one";
  ui.examples.replaceChildren(...examples.map(exampleButton));
}

function exampleButton({ name, url, title }) {
  const button = document.createElement("button");
  const image = document.createElement("img");
  const label = document.createElement("span");
  button.type = "button";
  button.dataset.example = name;
  Object.assign(image, { src: url, alt: "", draggable: false });
  label.textContent = title || name;
  button.append(image, label);
  button.addEventListener("click", () => {
    opening.begin(title || name);
    trigger("example", { name });
  });
  return button;
}

// Shows the examples that only fill in the form. They are apart from the examples that run at once.
function followFillings() {
  ui.fillings.replaceChildren(...(props.fillings ?? []).map(({ name, title }) => {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.filling = name;
    button.textContent = title;
    button.addEventListener("click", () => {
      opening.begin(title);
      trigger("filling", { name });
    });
    return button;
  }));
}

function followNotice() {
  if (!props.notice?.text) return;
  opening.done();
  say(props.notice.text, "trouble");
}

// Tints the mask in the accent colour, which differs between light and dark. A canvas does not follow CSS by itself.
function matchAccent() {
  const pen = document.createElement("canvas").getContext("2d");
  pen.fillStyle = getComputedStyle(root).getPropertyValue("--accent").trim();
  strokes.tint(pen.fillStyle);
}

// Restores the mask from the component's own value after Gradio has built the component again, as it does after visible=False.
async function restore({ id }) {
  const kept = remembered;
  remembered = {};
  if (kept.picture !== id) return;
  const image = kept.mask && await loadImage(kept.mask).catch(() => null);
  if (image && state.picture?.id === id) maskFile.put(image);
  controls.setNumber("grow", kept.grow);
  controls.setNumber("feather", kept.feather);
}

new ResizeObserver(view.layout).observe(ui.view);
const theme = new MutationObserver(() => (element.isConnected ? matchAccent() : theme.disconnect()));
theme.observe(document.body, { attributes: true, attributeFilter: ["class"] });

// The order matters if one update changes several props: a picture comes before its mask, its area and its result.
const followers = {
  examples: followExamples, fillings: followFillings, picture: followPicture, mask: followMask, band: followBand, work_area: followArea,
  preview: followPreview, running: followMode, result: followMode, notice: followNotice, held: followHeld,
};
for (const [name, follow] of Object.entries(followers)) watch(name, follow);
followExamples();
followFillings();
followPicture();
for (const follow of [followMask, followHeld, followBand, followArea, followPreview, followMode, followNotice]) follow();
chooseTool("brush");
