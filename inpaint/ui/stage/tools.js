// Brush, eraser, rectangle and lasso: what each draws between a pointer's down and up, in proxy pixels.
// Must not know where the pointer comes from: mouse, pen, finger and keyboard all call begin, move, end.

function createTools(strokes, sketch, say) {
  let path = null;
  let tool = null;
  let erasing = false;

  // subtract: true to erase with a painting tool and paint with the eraser, for a pen's eraser end or a held Alt key.
  function begin(point, subtract = false) {
    path = [point];
    tool = state.tool === "erase" ? "brush" : state.tool;
    erasing = (state.tool === "erase") !== subtract;
    if (tool === "brush") drawLine(point, point);
  }

  function move(point) {
    if (!path) return;
    const last = path[path.length - 1];
    if (tool === "brush") drawLine(last, point);
    if (tool === "rectangle") path = [path[0], point];
    else path.push(point);
    if (tool !== "brush") sketch.show(outline());
  }

  function end() {
    if (!path) return;
    if (tool === "brush") endStroke();
    else fill(outline());
    path = null;
    sketch.hide();
  }

  function cancel() {
    path = null;
    strokes.abort();
    sketch.hide();
  }

  function outline() {
    if (tool !== "rectangle") return path;
    const [from, to] = [path[0], path[path.length - 1]].map(({ x, y }) => ({ x: Math.round(x), y: Math.round(y) }));
    return [from, { x: to.x, y: from.y }, to, { x: from.x, y: to.y }];
  }

  function drawLine(from, to) {
    const size = brushDiameter();
    const reach = size / 2 + 2;
    const area = boxAround([from, to], reach);
    strokes.draw(area, erasing, (brush) => {
      brush.lineCap = "round";
      brush.lineWidth = size;
      brush.beginPath();
      brush.moveTo(from.x, from.y);
      brush.lineTo(to.x, to.y + (from.x === to.x && from.y === to.y ? 0.01 : 0)); // a line without length would draw no dot
      brush.stroke();
    });
  }

  // The outline and its filling are two steps, so that one undo removes a filling that was not wanted.
  function endStroke() {
    strokes.commit();
    if (erasing || !closesOutline(path, brushDiameter())) return;
    if (fill(path)) say("Filled the outline. Undo takes back the filling alone.");
  }

  function fill(points) {
    strokes.draw(boxAround(points, 1), erasing, (brush) => {
      brush.beginPath();
      for (const { x, y } of points) brush.lineTo(x, y);
      brush.fill();
    });
    return strokes.commit();
  }

  return { begin, move, end, cancel, get isActive() { return path !== null; } };
}

function boxAround(points, margin) {
  const xs = points.map((point) => point.x);
  const ys = points.map((point) => point.y);
  const x = xs.reduce((a, b) => Math.min(a, b)) - margin;
  const y = ys.reduce((a, b) => Math.min(a, b)) - margin;
  const right = xs.reduce((a, b) => Math.max(a, b)) + margin;
  const bottom = ys.reduce((a, b) => Math.max(a, b)) + margin;
  return { x, y, width: right - x, height: bottom - y };
}

// Returns whether a brush stroke was meant as an outline to fill. A circle drawn by hand has 4 pi A / L^2 of about 0.8 and ends
// near its start. Strokes back and forth enclose almost nothing for their length, and rubbing in small circles leaves no hole
// wider than the brush.
function closesOutline(path, size) {
  const first = path[0];
  const last = path[path.length - 1];
  let area = 0;
  let length = 0;
  path.forEach((point, i) => {
    const next = path[(i + 1) % path.length];
    area += (point.x * next.y - next.x * point.y) / 2;
    if (i + 1 < path.length) length += Math.hypot(next.x - point.x, next.y - point.y);
  });
  const box = boxAround(path, 0);
  return Math.hypot(last.x - first.x, last.y - first.y) <= Math.max(size, 0.06 * length)
    && Math.min(box.width, box.height) > 2.5 * size
    && 4 * Math.PI * Math.abs(area) > 0.35 * length * length;
}
