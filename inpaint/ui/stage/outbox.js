// What the server gets: the value, always newest when anything on the page is pressed, and the events.
// The mask is sent once after each change: where the server has said that it holds a mask, its token is sent instead.
// Must not know how the mask is drawn.

const SETTLE_MS = 250;

function createOutbox(strokes, listen) {
  let revision = 0;
  let sent = -1; // the revision that the value holds
  let maskUrl = "";
  let maskStale = true;
  let token = newToken(); // names the mask as it is now
  let held = ""; // the token of the mask that the server holds
  let timer = 0;

  function newToken() {
    return Date.now().toString(36) + "-" + Math.random().toString(36).slice(2);
  }

  function maskChanged() {
    maskStale = true;
    token = newToken();
    changed();
  }

  function maskIsHeld(known) {
    if (known === held) return;
    held = known;
    sent = -1; // the next value can do without the mask
  }

  function changed() {
    revision++;
    clearTimeout(timer);
    timer = setTimeout(() => {
      publish();
      trigger("stroke", { rev: revision });
    }, SETTLE_MS);
  }

  function publish() {
    if (sent === revision) return;
    sent = revision;
    if (maskStale && held !== token) encode();
    const found = strokes.bounds();
    props.value = JSON.stringify({
      picture: state.picture?.id ?? "",
      mask: held === token ? null : maskUrl,
      token,
      bounds: found && [found.x, found.y, found.width, found.height],
      grow: state.grow,
      feather: state.feather,
      rev: revision,
    });
  }

  function encode() {
    const { width, height } = state.picture ?? {};
    maskUrl = strokes.isEmpty ? "" : encodeMask(strokes.pixels, width, height);
    maskStale = false;
  }

  // Known at once, with no stroke to tell of.
  function refresh() {
    revision++;
    publish();
  }

  function newPicture() {
    maskStale = true;
    token = newToken();
    clearTimeout(timer);
    refresh();
  }

  function candidateChosen() {
    trigger("candidate", { index: state.candidate });
  }

  // Gradio reads the value when a press reaches its own listener, which is after these.
  for (const press of ["pointerdown", "click", "keydown", "change", "submit"]) {
    listen(window, press, publish, true);
  }

  return { maskChanged, maskIsHeld, changed, refresh, newPicture, candidateChosen };
}
