// Shows a result over its picture: the line between after and before, and the candidates' thumbnails.
// Must not know the mask or how a result was made.

const SPLIT_STEP = 0.02;
const FIRST_START = 0.3; // the line starts between these shares of the picture's width
const LAST_START = 0.93;
const TAG_ROOM = 84; // px that the tags Before and After need beside the line

function createCompare(ui, view, chosen) {
  let split = 0.5; // where the line is: share of the visible picture, from the left
  let items = [];

  function show(result) {
    items = result.items;
    ui.line.textContent = result.line ?? "";
    ui.candidates.replaceChildren(...(items.length > 1 ? items.map(thumbnail) : []));
    choose(clamp(state.candidate, 0, items.length - 1), true);
  }

  function hide() {
    items = [];
    ui.line.textContent = "";
    ui.after.hidden = true;
    ui.candidates.replaceChildren();
  }

  function thumbnail(item, index) {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.candidate = index;
    button.title = (item.label || "Candidate") + " (" + (index + 1) + ")";
    button.setAttribute("aria-label", "Candidate " + (index + 1) + (item.label ? ", " + item.label : ""));
    const image = document.createElement("img");
    Object.assign(image, { src: item.url, alt: "", draggable: false });
    button.append(image);
    button.addEventListener("click", () => choose(index));
    return button;
  }

  function choose(index, silent = false) {
    if (!items[index]) return;
    const changed = index !== state.candidate;
    state.candidate = index;
    ui.after.src = items[index].url;
    ui.after.hidden = false;
    ui.about.textContent = items[index].label ?? "";
    [...ui.candidates.children].forEach((button, i) => button.setAttribute("aria-pressed", i === index));
    place();
    if (changed && !silent) chosen();
  }

  // Places the line so that the whole change is visible at first: just right of the painted part and its soft seam, or at the
  // picture's edge if too little room is left to show the picture before.
  function startBeside(bounds) {
    if (!bounds) return moveTo(0.5);
    const seam = Math.max(0, state.grow + state.feather) / state.picture.full_width;
    const edge = (bounds.x + bounds.width) / state.picture.width + seam;
    moveTo(edge > LAST_START ? 1 : Math.max(FIRST_START, edge + 0.04));
  }

  function moveTo(part) {
    split = clamp(part, 0, 1);
    place();
  }

  const dragTo = (x) => moveTo((x - view.seen().x) / view.seen().width);

  function place() {
    if (state.mode !== "result") return;
    const seen = view.seen();
    const x = seen.x + seen.width * (state.showBefore ? 0 : split);
    const cut = state.picture.width - view.toPicture({ x, y: 0 }).x;
    ui.after.style.clipPath = "inset(0 " + cut + "px 0 0)";
    Object.assign(ui.split.style, { left: x + "px", top: seen.y + "px", height: seen.height + "px" });
    ui.view.style.setProperty("--seen-left", seen.x + "px");
    ui.view.style.setProperty("--seen-top", seen.y + "px");
    ui.afterTag.hidden = x - seen.x < TAG_ROOM;
    ui.beforeTag.hidden = !state.showBefore && seen.x + seen.width - x < TAG_ROOM;
    const part = Math.round(split * 100);
    ui.handle.setAttribute("aria-valuenow", part);
    ui.handle.setAttribute("aria-valuetext", part + " % after");
  }

  return { show, hide, choose, startBeside, moveTo, dragTo, place, nudge: (steps) => moveTo(split + steps * SPLIT_STEP) };
}
