// Handles mouse, pen and fingers on the picture: one pointer paints or moves the line, two fingers zoom, middle button or Shift pans.
// Must not know what a tool paints.

const PEN_RUBBER = 32; // bit of a pen's eraser in PointerEvent.buttons
const SETTLED_MS = 1000; // a finger that has drawn longer than this, and farther, is drawing; a shorter touch may be a palm or the start of a pinch
const SETTLED_PX = 24;

// The pointer that begins an action owns it until it is lifted, and other pointers are ignored meanwhile. Only a pen may take over
// from fingers, because the hand that holds it often touches first.
function createPointers(pad, view, tools, compare, overlays) {
  const fingers = new Map(); // fingers that may pinch; a hand that rests beside a pen is not included
  let action = null; // "tool", "split", "pan", "pinch" or null
  let owner = null; // {id, type, buttons, since, start, reach}: the pointer that acts; null while two fingers pinch
  let grip = null; // position of the last pan or pinch

  pad.addEventListener("pointerdown", (event) => {
    const point = view.inFrame(event);
    if (isGone(event)) finish(true);
    if (event.pointerType === "pen") putFingersAside();
    if (event.pointerType === "touch") {
      if (owner?.type === "pen") return;
      if (event.isPrimary) endPinch();
      fingers.set(event.pointerId, point);
      if (fingers.size > 1 && mayPinch()) return startPinch();
    }
    if (action) return;
    action = actionFor(event);
    if (action) begin(event, point);
  });

  // Returns whether the end of the owner's action was missed: the owner comes down again, or a first finger does, so no other is left.
  function isGone({ pointerId, pointerType, isPrimary }) {
    return owner && (pointerId === owner.id || (owner.type === "touch" && pointerType === "touch" && isPrimary));
  }

  function begin(event, point) {
    event.preventDefault();
    pad.classList.add("ip-by-pointer"); // hides the picture's focus ring after a press
    pad.focus({ preventScroll: true });
    const { pointerId: id, pointerType: type, buttons, timeStamp: since } = event;
    owner = { id, type, buttons, since, start: point, reach: 0 };
    capture(event);
    grip = point;
    if (type === "pen") holdTouches(true);
    if (action === "tool") tools.begin(view.toPicture(point), event.altKey || Boolean(event.buttons & PEN_RUBBER));
    if (action === "split") compare.dragTo(point.x);
  }

  function actionFor(event) {
    if (event.button === 1 || (event.button === 0 && event.shiftKey)) return "pan";
    if (event.button !== 0 && !(event.buttons & PEN_RUBBER)) return null;
    if (state.mode === "result") return "split";
    return state.mode === "painting" && !state.showBefore ? "tool" : null;
  }

  // Captures the pointer. This fails for a pointer that is gone already, such as a finger that only tapped.
  function capture(event) {
    try {
      pad.setPointerCapture(event.pointerId);
    } catch {
      return;
    }
  }

  function putFingersAside() {
    endPinch();
    if (owner?.type === "touch") finish(isSettled());
  }

  // Ignores touches while a pen is down, so that a hand beside the picture neither presses buttons nor scrolls the page.
  function holdTouches(held) {
    const listener = held ? window.addEventListener : window.removeEventListener;
    listener.call(window, "touchstart", refuse, { capture: true, passive: false });
  }

  const refuse = (event) => (pad.isConnected ? event.preventDefault() : holdTouches(false));

  const isSettled = () => performance.now() - owner.since > SETTLED_MS && owner.reach > SETTLED_PX;

  const mayPinch = () => !owner || (owner.type === "touch" && !(action === "tool" && isSettled()));

  function startPinch() {
    if (owner) finish(false);
    action = "pinch";
    grip = pinch();
  }

  function endPinch() {
    fingers.clear();
    if (action === "pinch") action = null;
  }

  function pinch() {
    const [one, other] = [...fingers.values()];
    return {
      x: (one.x + other.x) / 2, y: (one.y + other.y) / 2, spread: Math.hypot(one.x - other.x, one.y - other.y) || 1,
    };
  }

  pad.addEventListener("pointermove", (event) => {
    const point = view.inFrame(event);
    if (fingers.has(event.pointerId)) fingers.set(event.pointerId, point);
    if (action === "pinch") return fingers.size > 1 && followPinch();
    if (event.pointerId === owner?.id) return follow(event, point);
    if (!owner && event.pointerType !== "touch") overlays.showCursor(view.toPicture(point));
  });

  function follow(event, point) {
    // The button was released where the page gets no event, as over a system dialog.
    if (owner.type === "mouse" && !(event.buttons & owner.buttons)) return finish(true);
    owner.reach = Math.max(owner.reach, Math.hypot(point.x - owner.start.x, point.y - owner.start.y));
    if (owner.type !== "touch" || action === "tool") overlays.showCursor(view.toPicture(point));
    if (action === "tool") followTool(event, point);
    if (action === "split") compare.dragTo(point.x);
    if (action === "pan") {
      view.panBy(point.x - grip.x, point.y - grip.y);
      grip = point;
    }
  }

  // Draws all points of a movement. The browser bundles fast movements, and without these points a quick circle becomes a polygon.
  function followTool(event, point) {
    const bundled = event.getCoalescedEvents?.() ?? [];
    for (const { clientX, clientY } of bundled.length ? bundled : [event]) {
      tools.move(view.toPicture({ x: point.x + clientX - event.clientX, y: point.y + clientY - event.clientY }));
    }
  }

  function followPinch() {
    const now = pinch();
    view.panBy(now.x - grip.x, now.y - grip.y);
    view.zoomAt(now.spread / grip.spread, now.x, now.y);
    grip = now;
  }

  // Ends a pointer's action. What a lost or cancelled pointer has drawn stays as one step to undo, unless the system cancelled a short
  // touch, which is a palm.
  function release(event) {
    fingers.delete(event.pointerId);
    if (action === "pinch" && !fingers.size) action = null; // a pinch ends only when all fingers are lifted, so that the last one does not paint
    if (event.pointerId === owner?.id) finish(event.type === "pointerup" || owner.type !== "touch" || owner.reach > SETTLED_PX);
  }

  function finish(keep) {
    if (action === "tool") keep ? tools.end() : tools.cancel();
    if (owner.type === "touch") overlays.showCursor(null);
    letGo();
  }

  function letGo() {
    holdTouches(false);
    action = owner = null;
  }

  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) pad.addEventListener(end, release);
  pad.addEventListener("pointerleave", () => {
    if (!action) overlays.showCursor(null);
  });

  pad.addEventListener("mousedown", (event) => {
    if (event.button === 1) event.preventDefault(); // otherwise the middle button starts the browser's own scrolling
  });

  // If the whole picture is visible, turning the wheel to zoom out scrolls the page instead.
  pad.addEventListener("wheel", (event) => {
    if (event.deltaY > 0 && view.zoom === 1 && !event.ctrlKey) return;
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 24 : 1;
    const { x, y } = view.inFrame(event);
    view.zoomAt(Math.exp(-clamp(event.deltaY * lines, -240, 240) * (event.ctrlKey ? 0.01 : 0.002)), x, y);
  }, { passive: false });

  pad.addEventListener("blur", () => pad.classList.remove("ip-by-pointer"));

  return {
    cancel() {
      if (action === "tool") tools.cancel();
      letGo();
    },
  };
}
