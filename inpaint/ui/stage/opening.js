// Opens a picture by button, drop or paste. The unchanged file goes to the page's own upload control.
// Must not know the picture's contents; the server reads the file.

const UPLOAD_INPUT = "#open-picture input[type=file]";
const PATIENCE_MS = 60000;

function createOpening(root, ui, listen, say) {
  let timer = 0;
  const toasts = new MutationObserver(() => {
    if (document.querySelector(".toast-body.error")) done();
  });

  function choose() {
    if (!allowed()) return;
    document.querySelector(UPLOAD_INPUT)?.click();
  }

  function give(files) {
    const input = document.querySelector(UPLOAD_INPUT);
    if (!input || !files.length || !allowed()) return;
    const parcel = new DataTransfer();
    parcel.items.add(files[0]);
    input.files = parcel.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
    if (files.length > 1 && !ui.opening.hidden) say("One picture at a time: took " + files[0].name + ".");
  }

  function allowed() {
    if (state.mode === "running") say("Cancel the run before you open another picture.");
    return state.mode !== "running";
  }

  function begin(name) {
    ui.opening.textContent = "Opening " + name + "\u2026";
    ui.opening.hidden = false;
    clearTimeout(timer);
    timer = setTimeout(done, PATIENCE_MS);
    toasts.observe(document.body, { childList: true, subtree: true });
  }

  // Called when the new picture has arrived, or the page has said why it has not.
  function done() {
    clearTimeout(timer);
    toasts.disconnect();
    ui.opening.hidden = true;
  }

  listen(window, "pointerdown", done); // uncovers the invitation if the page has shown an error elsewhere

  listen(document, "inpaint-refused", done);

  const carriesFiles = (event) => isShown(root) && [...(event.dataTransfer?.types ?? [])].includes("Files");
  const mark = (over) => root.classList.toggle("ip-dropping", over);

  // Every file is accepted. The server decides by its content whether it is a picture.
  listen(document, "change", (event) => {
    if (event.target.matches?.(UPLOAD_INPUT) && event.target.files.length) begin(event.target.files[0].name);
  }, true);

  // If another control accepts the drop, it has called preventDefault before the event reaches the window.
  listen(window, "dragover", (event) => {
    if (event.defaultPrevented || !carriesFiles(event)) return;
    event.preventDefault();
    mark(true);
  });
  listen(window, "dragleave", (event) => {
    if (!event.relatedTarget) mark(false);
  });
  listen(window, "drop", (event) => {
    mark(false);
    if (event.defaultPrevented || !carriesFiles(event)) return;
    event.preventDefault();
    give([...event.dataTransfer.files]);
  });
  listen(window, "paste", (event) => {
    const all = [...(event.clipboardData?.files ?? [])];
    const pictures = all.filter((file) => file.type.startsWith("image/"));
    const files = pictures.length ? pictures : all; // a file without a known ending has no type
    const wantsText = isTyping(event.target) && event.clipboardData.types.includes("text/plain");
    if (event.defaultPrevented || !files.length || wantsText || !isShown(root)) return;
    event.preventDefault();
    give(files);
  });

  return { choose, begin, done, get isUnderWay() { return !ui.opening.hidden; } };
}

const isShown = (element) => element.getClientRects().length > 0;

const isTyping = (target) => Boolean(target?.closest?.(
  "textarea, select, [contenteditable=true], input:not([type=range], [type=checkbox], [type=radio], [type=file])"));
