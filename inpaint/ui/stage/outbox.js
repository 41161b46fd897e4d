// Sends the stage's value and events to the server. The value is up to date whenever something on the page is pressed.
// The mask is sent only once after each change. If the server has said that it holds this mask, its token is sent instead.
// Must not know how the mask is drawn.

const SETTLE_MS = 250;

function createOutbox(strokes, listen) {
  let revision = 0;
  let sent = -1; // revision of the last value
  let maskUrl = "";
  let maskStale = true;
  let token = newToken(); // names the current mask
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
    sent = -1; // makes the next press write a value without the mask
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

  // Writes the value at once, without a stroke event.
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

  // Gradio reads the value in its own listener, which runs after these.
  for (const press of ["pointerdown", "click", "keydown", "change", "submit"]) {
    listen(window, press, publish, true);
  }

  return { maskChanged, maskIsHeld, changed, refresh, newPicture, candidateChosen };
}
