// Opens a mask from a picture file, and saves the mask as a file. White always means repaint.
// Must not know the server: mask files are read in the browser and never uploaded.

const BAND_ROWS = 64; // rows of a file that are read at once, because a canvas of the whole file may be larger than a browser allows
const PLAIN = 16; // values within this distance of 0 or 255 do not count as grey, because black and white are seldom pure in a JPEG

function createMaskFile(strokes, say) {
  async function open(file) {
    let opened;
    try {
      opened = await createImageBitmap(file, { colorSpaceConversion: "none" });
    } catch {
      return say(file.name + " is not a picture that can be read as a mask.", "trouble");
    }
    const refused = sizeTrouble(opened.width, opened.height);
    if (refused) return say(refused, "trouble");
    const { pixels, grey, brightest } = cutAtHalf(opened);
    if (!pixels.some((value) => value >= 128)) return say("That mask marks nothing: " + darkness(grey, brightest), "trouble");
    if (!strokes.replace(pixels)) return say("That mask is painted already.");
    say("Opened the mask " + file.name + "." + (grey ? " Grey parts of it were cut at half: light ones count as painted." : ""));
  }

  // Says how dark a mask is that marks nothing. A mask of labels such as 0 and 1 looks black to a person, but is not.
  function darkness(grey, brightest) {
    if (grey) return "it is darker than half all over.";
    return brightest ? "its brightest value is " + brightest + " of 255, and white repaints." : "it is black all over.";
  }

  // Turns a file's grey values into painted or not painted, since the server accepts no others. It cuts at the file's own size and
  // then averages over each shown pixel, so that contours are smooth if the picture is shown smaller than it is.
  function cutAtHalf(image) {
    const { width, height } = state.picture;
    const painted = new Uint32Array(width * height);
    const all = new Uint32Array(width * height);
    let grey = false;
    let brightest = 0;
    eachRow(image, (row, y) => {
      const start = Math.floor((y * height) / image.height) * width;
      for (let x = 0; x < row.length; x++) {
        const at = start + Math.floor((x * width) / image.width);
        all[at]++;
        if (row[x] >= 128) painted[at]++;
        brightest = Math.max(brightest, row[x]);
        if (row[x] > PLAIN && row[x] < 255 - PLAIN) grey = true;
      }
    });
    return { pixels: Uint8Array.from(painted, (count, i) => Math.round((255 * count) / all[i])), grey, brightest };
  }

  function sizeTrouble(width, height) {
    const { full_width, full_height, width: shown_width, height: shown_height } = state.picture;
    const fits = (width === full_width && height === full_height)
      || (width === shown_width && height === shown_height);
    return fits ? "" : "This mask is " + width + " x " + height + " px, the picture is " + full_width + " x "
      + full_height + " px. Open a mask of the picture's own size.";
  }

  // Replaces the mask with a picture's luminance over black, as one step to undo.
  function put(image) {
    const { width, height } = state.picture;
    return strokes.replace(luminance(image, [0, 0, image.width, image.height], width, height));
  }

  async function save() {
    const name = (state.picture.name || "picture").replace(/[.][^.]*$/, "") + "-mask.png";
    const { full_width, full_height } = state.picture;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await writeGreyPng(full_width, full_height, fullRows()));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    say("Saved " + name + ", " + full_width + " x " + full_height + " px, white = repaint.");
  }

  // Returns a function that returns a row of the mask at full size. It enlarges as the server does: bilinear, then cut at half.
  function fullRows() {
    const { width, height, full_width, full_height } = state.picture;
    const pixels = strokes.pixels.slice();
    const columns = Array.from({ length: full_width }, (_, x) => neighbours(x, full_width, width));
    return (y) => {
      const rows = neighbours(y, full_height, height);
      const upper = pixels.subarray(rows.low * width, (rows.low + 1) * width);
      const lower = pixels.subarray(rows.high * width, (rows.high + 1) * width);
      return Uint8Array.from(columns, ({ low, high, part }) => {
        const above = upper[low] + (upper[high] - upper[low]) * part;
        const below = lower[low] + (lower[high] - lower[low]) * part;
        return above + (below - above) * rows.part >= 127.5 ? 255 : 0;
      });
    };
  }

  return { open, put, save };
}

// Returns the two proxy pixels on both sides of the centre of full pixel `at`, and its relative distance from the lower one.
function neighbours(at, full, shown) {
  const centre = clamp(((at + 0.5) * shown) / full - 0.5, 0, shown - 1);
  const low = Math.floor(centre);
  return { low, high: Math.min(low + 1, shown - 1), part: centre - low };
}

// Calls `take` with each row of a picture at its own size: a Uint8Array of luminances, and y.
function eachRow(image, take) {
  for (let top = 0; top < image.height; top += BAND_ROWS) {
    const count = Math.min(BAND_ROWS, image.height - top);
    const band = luminance(image, [0, top, image.width, count], image.width, count);
    for (let y = 0; y < count; y++) take(band.subarray(y * image.width, (y + 1) * image.width), top + y);
  }
}

// Returns the luminance over black of a part [x, y, width, height] of a picture, drawn at the given size.
function luminance(image, part, width, height) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.fillRect(0, 0, width, height);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(image, ...part, 0, 0, width, height);
  const read = pen.getImageData(0, 0, width, height).data;
  const pixels = new Uint8Array(width * height);
  for (let i = 0, j = 0; i < pixels.length; i++, j += 4) {
    pixels[i] = Math.round(0.299 * read[j] + 0.587 * read[j + 1] + 0.114 * read[j + 2]);
  }
  return pixels;
}
