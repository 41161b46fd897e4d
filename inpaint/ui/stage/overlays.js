// Draws everything over the picture except the mask: work area, preview frame and brush circle.
// Must not know tools or the server.

function createOverlays(ui, view) {
  const frame = ui.preview.getContext("2d");
  let area = null; // [left, top, width, height] in full pixels
  let areaLabel = "";
  let newest = 0; // number of the newest preview frame: frames are decoded at the same time, and an older one must not replace a newer one
  let pointer = null;

  function showArea(bounds, label) {
    area = bounds ?? null;
    areaLabel = label ?? "";
    placeArea();
  }

  function placeArea() {
    ui.area.hidden = !area || !state.picture;
    if (ui.area.hidden) return;
    const [x, y, width, height] = area.map((value) => value / proxyScale());
    const from = view.toFrame({ x, y });
    const to = view.toFrame({ x: x + width, y: y + height });
    Object.assign(ui.area.style, {
      left: from.x + "px", top: from.y + "px", width: to.x - from.x + "px", height: to.y - from.y + "px",
    });
    ui.area.classList.toggle("ip-inside", from.y < 28);
    ui.areaLabel.textContent = ui.preview.hidden ? areaLabel : ui.preview.dataset.label || areaLabel;
  }

  async function showPreview({ url, bounds, label }) {
    const turn = ++newest;
    const image = await loadImage(url).catch(() => null);
    if (!image || turn !== newest || !state.picture) return;
    Object.assign(ui.preview, { width: image.naturalWidth, height: image.naturalHeight, hidden: false });
    frame.drawImage(image, 0, 0);
    const [left, top, width, height] = bounds.map((value) => value / proxyScale() + "px");
    Object.assign(ui.preview.style, { left, top, width, height });
    ui.preview.dataset.label = label ?? "";
    placeArea();
  }

  function hidePreview() {
    newest++;
    ui.preview.hidden = true;
    placeArea();
  }

  // Shows the brush circle. point: proxy pixels, or null to hide it. keyboard: also marks the circle's middle.
  function showCursor(point, keyboard = false) {
    pointer = point;
    ui.cursor.classList.toggle("ip-cross", keyboard);
    placeCursor();
  }

  function placeCursor() {
    const round = state.tool === "brush" || state.tool === "erase";
    const keyboard = ui.cursor.classList.contains("ip-cross");
    ui.cursor.hidden = !pointer || state.mode !== "painting" || !(round || keyboard);
    if (ui.cursor.hidden) return;
    const { x, y } = view.toFrame(pointer);
    const size = (round ? brushDiameter() : 1) * view.scale;
    ui.cursor.style.width = ui.cursor.style.height = size + "px";
    ui.cursor.style.transform = "translate(" + (x - size / 2) + "px, " + (y - size / 2) + "px)";
  }

  function place() {
    placeArea();
    placeCursor();
  }

  return { showArea, showPreview, hidePreview, showCursor, place };
}

async function loadImage(url) {
  const image = new Image();
  image.src = url;
  await image.decode();
  return image;
}
