// Draws the outline of a rectangle or lasso while it is being made, sharp at every zoom.
// Must not know the mask.

function createSketch(svg, view) {
  const [under, over] = svg.querySelectorAll("path");

  // points: proxy pixels; closed by a straight line.
  function show(points) {
    const drawn = points.map((point) => view.toFrame(point)).map(({ x, y }) => x.toFixed(1) + " " + y.toFixed(1));
    const line = drawn.length ? "M" + drawn.join("L") + "Z" : "";
    under.setAttribute("d", line);
    over.setAttribute("d", line);
  }

  return { show, hide: () => show([]) };
}
