// Computes the Euclidean distance to the nearest painted pixel (Felzenszwalb and Huttenlocher 2012: two passes of parabolas).
// Must not know what is painted, or why.

const FAR = 1e12;

// marked: Uint8Array [height * width], nonzero = painted. Returns Float32Array of distances in pixels.
function distanceToMarked(marked, width, height) {
  const grid = new Float32Array(width * height);
  for (let i = 0; i < grid.length; i++) grid[i] = marked[i] ? 0 : FAR;
  const longest = Math.max(width, height);
  const scratch = {
    line: new Float64Array(longest), vertex: new Int32Array(longest), edge: new Float64Array(longest + 1),
  };
  for (let x = 0; x < width; x++) transformLine(grid, x, width, height, scratch);
  for (let y = 0; y < height; y++) transformLine(grid, y * width, 1, width, scratch);
  for (let i = 0; i < grid.length; i++) grid[i] = Math.sqrt(grid[i]);
  return grid;
}

// Computes squared distances along one row or column, in place, as the lower envelope of one parabola per pixel.
function transformLine(grid, start, step, count, { line, vertex, edge }) {
  for (let i = 0; i < count; i++) line[i] = grid[start + i * step];
  let top = 0;
  vertex[0] = 0;
  edge[0] = -FAR;
  edge[1] = FAR;
  for (let i = 1; i < count; i++) {
    let meeting = crossing(line, i, vertex[top]);
    while (meeting <= edge[top]) meeting = crossing(line, i, vertex[--top]);
    vertex[++top] = i;
    edge[top] = meeting;
    edge[top + 1] = FAR;
  }
  for (let i = 0, k = 0; i < count; i++) {
    while (edge[k + 1] < i) k++;
    grid[start + i * step] = (i - vertex[k]) ** 2 + line[vertex[k]];
  }
}

function crossing(line, right, left) {
  return (line[right] + right * right - line[left] - left * left) / (2 * (right - left));
}
