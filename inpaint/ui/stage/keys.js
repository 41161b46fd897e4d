// Handles every key of the page, and painting with the keyboard.
// Must not know how a command works; it runs commands by name.

const CURSOR_STEP = 10; // screen pixels
const RUN_BUTTON = "#run-button button, button#run-button";
const CANCEL_BUTTON = "#cancel-button button, button#cancel-button";

const LETTER_COMMANDS = {
  b: "brush", e: "erase", r: "rectangle", l: "lasso", i: "invert", "[": "smaller", "]": "larger",
  "+": "zoom-in", "=": "zoom-in", "-": "zoom-out", "0": "zoom-fit", "?": "keys",
};
const BY_PLACE = { BracketLeft: "[", BracketRight: "]", Minus: "-", Equal: "=", Slash: "?" };
const SIGN = /^[^\p{L}\p{N}\s]$/u; // with Alt or Option only signs are handled; letters and digits belong to the browser and the system
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function createKeys(root, ui, listen, { view, tools, pointers, compare, overlays, commands }) {
  let cursor = null; // where the keyboard's brush is, in proxy pixels

  listen(window, "keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || !event.key || !isShown(root) || ui.keys.open) return;
    if (pageKey(event) || (!isTyping(event.target) && stageKey(event))) event.preventDefault();
  });

  function pageKey(event) {
    const command = event.ctrlKey || event.metaKey;
    if (event.key === "Enter" && command) return press(RUN_BUTTON);
    if (event.key !== "Escape") return false;
    if (!tools.isActive) return press(CANCEL_BUTTON);
    pointers.cancel();
    tools.cancel();
    return true;
  }

  function press(selector) {
    const button = document.querySelector(selector);
    if (!button || !isShown(button) || button.disabled) return false;
    button.click();
    return true;
  }

  function stageKey(event) {
    if (typesWithAlt(event) && SIGN.test(event.key)) return runCommand(event.key);
    if (event.ctrlKey || event.metaKey) return historyKey(event);
    if (event.key === " ") return hold(event);
    if (event.key in ARROWS) return arrow(event);
    if (event.key === "Enter") return event.target === ui.pad && state.mode === "painting" && penDownOrUp();
    if (event.altKey || typesWithAlt(event)) return false;
    const key = keyName(event);
    if (/^[1-4]$/.test(key)) return state.mode === "result" && (compare.choose(Number(key) - 1), true);
    return runCommand(key);
  }

  function runCommand(key) {
    const name = LETTER_COMMANDS[key];
    return Boolean(name) && (commands.run(name), true);
  }

  function historyKey(event) {
    if (typesWithAlt(event)) return false;
    const key = keyName(event);
    if (key !== "z" && key !== "y") return false;
    commands.run(key === "y" || event.shiftKey ? "redo" : "undo");
    return true;
  }

  // Space on a button presses that button. Anywhere else it shows the picture before the edit while it is held.
  function hold(event) {
    const pressable = event.target.closest?.("button, a, summary, [role=button], [role=tab]");
    if (!state.picture || (pressable && pressable !== ui.handle)) return false;
    if (!tools.isActive) commands.showBefore(true);
    return true;
  }

  listen(window, "keyup", (event) => {
    if (event.key === " ") commands.showBefore(false);
  });
  listen(window, "blur", () => commands.showBefore(false));

  function arrow(event) {
    if (event.target !== ui.pad && event.target !== ui.handle) return false;
    const [x, y] = ARROWS[event.key];
    if (event.shiftKey) view.panBy(-x * 40, -y * 40);
    else if (state.mode === "result") compare.nudge(x - y);
    else if (state.mode === "painting") moveCursor(x * CURSOR_STEP, y * CURSOR_STEP);
    return true;
  }

  function moveCursor(x, y) {
    const from = view.toFrame(cursor ?? view.toPicture(view.frameCentre()));
    const wanted = view.toPicture({ x: from.x + x, y: from.y + y });
    cursor = { x: clamp(wanted.x, 0, state.picture.width), y: clamp(wanted.y, 0, state.picture.height) };
    follow();
    tools.move(cursor);
    overlays.showCursor(cursor, true);
    ui.pad.classList.remove("ip-by-pointer");
  }

  // Scrolls so that the keyboard's brush stays visible when the picture is larger than the frame.
  function follow() {
    const { x, y } = view.toFrame(cursor);
    const { clientWidth, clientHeight } = ui.view;
    view.panBy(clamp(x, 24, clientWidth - 24) - x, clamp(y, 24, clientHeight - 24) - y);
  }

  function penDownOrUp() {
    if (!cursor) moveCursor(0, 0);
    if (tools.isActive) tools.end();
    else tools.begin(cursor);
    commands.say(tools.isActive ? "Down. Arrow keys draw, Enter lifts, Esc takes it back." : "Up.");
    return true;
  }

  ui.pad.addEventListener("blur", () => {
    cursor = null;
    overlays.showCursor(null);
  });
}

// Returns the name of a key. On a layout of Latin letters it is the letter that the key types; on others (Cyrillic, Greek, Hebrew,
// Thai) it is the letter at the same place of a US keyboard. Digits that need Shift, as on AZERTY, count by their place.
function keyName(event) {
  const key = event.key.toLowerCase();
  const digit = !event.shiftKey && !(key in LETTER_COMMANDS) && event.code.match(/^Digit([0-9])$/);
  if (digit) return digit[1];
  if (!/^[\p{L}\p{M}\p{N}]+$/u.test(key) || /[\p{ASCII}\p{Script=Latin}\p{Script=Common}]/u.test(key)) return key;
  return event.code.match(/^Key([A-Z])$/)?.[1].toLowerCase() ?? BY_PLACE[event.code] ?? key;
}

// Returns whether Option or AltGr is held to type a character: many layouts need one of them for [ and ]. Windows reports AltGr as Ctrl+Alt.
const typesWithAlt = (event) => (event.altKey || event.getModifierState("AltGraph")) && !event.metaKey;
