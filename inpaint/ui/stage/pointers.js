// Mouse, pen and fingers on the picture: one paints or moves the line, two zoom, middle or Shift drags.
// Must not know what a tool paints.

const PEN_RUBBER = 32; // the bit of PointerEvent.buttons

function createPointers(pad, view, tools, compare, overlays) {
  const fingers = new Map();
  let action = null; // tool, split, pan, pinch
  let grip = null; // where the last pan or pinch was

  pad.addEventListener("pointerdown", (event) => {
    const point = view.inFrame(event);
    if (event.pointerType === "touch") fingers.set(event.pointerId, point);
    if (fingers.size > 1) return startPinch();
    if (action) return;
    action = actionFor(event);
    if (!action) return;
    event.preventDefault();
    pad.classList.add("ip-by-pointer"); // a press is no reason for a focus ring round the picture
    pad.focus({ preventScroll: true });
    capture(event);
    grip = point;
    if (action === "tool") tools.begin(view.toPicture(point), event.altKey || Boolean(event.buttons & PEN_RUBBER));
    if (action === "split") compare.dragTo(point.x);
  });

  function actionFor(event) {
    if (event.button === 1 || (event.button === 0 && event.shiftKey)) return "pan";
    if (event.button !== 0 && !(event.buttons & PEN_RUBBER)) return null;
    if (state.mode === "result") return "split";
    return state.mode === "painting" && !state.showBefore ? "tool" : null;
  }

  // Capture fails for a pointer that is gone already, such as a finger that only tapped.
  function capture(event) {
    try {
      pad.setPointerCapture(event.pointerId);
    } catch {
      return;
    }
  }

  function startPinch() {
    if (action === "tool") tools.cancel();
    action = "pinch";
    grip = pinch();
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
    if (event.pointerType !== "touch" || action === "tool") overlays.showCursor(view.toPicture(point));
    if (action === "tool") followTool(event, point);
    if (action === "split") compare.dragTo(point.x);
    if (action === "pan") {
      view.panBy(point.x - grip.x, point.y - grip.y);
      grip = point;
    }
    if (action === "pinch" && fingers.size > 1) followPinch();
  });

  // The browser bundles fast movements; without the bundled points a quick circle turns into a polygon.
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

  function release(event) {
    fingers.delete(event.pointerId);
    if (action === "tool") event.type === "pointerup" ? tools.end() : tools.cancel();
    if (action === "pinch" && fingers.size) return; // the finger that stays must not paint
    action = null;
    if (event.pointerType === "touch") overlays.showCursor(null);
  }

  pad.addEventListener("pointerup", release);
  pad.addEventListener("pointercancel", release);
  pad.addEventListener("pointerleave", () => {
    if (!action) overlays.showCursor(null);
  });

  pad.addEventListener("mousedown", (event) => {
    if (event.button === 1) event.preventDefault(); // or the middle button starts the browser's own scrolling
  });

  // At the whole picture a wheel that would zoom further out scrolls the page instead.
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
      action = null;
    },
  };
}
