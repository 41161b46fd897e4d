// What the server gets: the value, always newest when anything on the page is pressed, and the events.
// Must not know how the mask is drawn.

const SETTLE_MS = 250;

function createOutbox(strokes, listen) {
  let revision = 0;
  let sent = -1; // the revision that the value holds
  let maskUrl = "";
  let maskStale = true;
  let timer = 0;

  function maskChanged() {
    maskStale = true;
    changed();
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
    if (maskStale) encode();
    const found = strokes.bounds();
    props.value = JSON.stringify({
      picture: state.picture?.id ?? "",
      mask: maskUrl,
      bounds: found && [found.x, found.y, found.width, found.height],
      grow: state.grow,
      feather: state.feather,
      candidate: state.candidate,
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
    clearTimeout(timer);
    refresh();
  }

  function candidateChosen() {
    refresh();
    trigger("candidate", { index: state.candidate });
  }

  // Gradio reads the value when a press reaches its own listener, which is after these.
  for (const press of ["pointerdown", "click", "keydown", "change", "submit"]) {
    listen(window, press, publish, true);
  }

  return { maskChanged, changed, refresh, newPicture, candidateChosen };
}
