// Writes an 8-bit grey PNG row by row, so that a mask of a hundred megapixels needs no canvas of that size.
// Must not know masks.

// rowAt(y) gives the Uint8Array of one row. Returns a Blob.
async function writeGreyPng(width, height, rowAt) {
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint8(8, 8); // 8 bits a pixel; colour type (grey), method, filter and interlace stay 0
  const packed = await packRows(width, height, rowAt);
  const signature = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10);
  return new Blob(
    [signature, ...pngChunk("IHDR", new Uint8Array(header.buffer)), ...pngChunk("IDAT", packed),
      ...pngChunk("IEND", new Uint8Array(0))], { type: "image/png" });
}

async function packRows(width, height, rowAt) {
  const deflate = new CompressionStream("deflate");
  const answer = new Response(deflate.readable).arrayBuffer();
  const writer = deflate.writable.getWriter();
  for (let y = 0; y < height; y++) {
    const row = new Uint8Array(width + 1); // the first byte is the row's filter: none
    row.set(rowAt(y), 1);
    await writer.write(row);
  }
  await writer.close();
  return new Uint8Array(await answer);
}

function pngChunk(name, data) {
  const head = new Uint8Array(8);
  new DataView(head.buffer).setUint32(0, data.length);
  head.set([...name].map((letter) => letter.charCodeAt(0)), 4);
  const tail = new DataView(new ArrayBuffer(4));
  tail.setUint32(0, crc32([head.subarray(4), data]));
  return [head, data, new Uint8Array(tail.buffer)];
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? 0xedb88320 ^ (byte >>> 1) : byte >>> 1;
  return byte;
});

function crc32(parts) {
  let sum = 0xffffffff;
  for (const part of parts) for (const byte of part) sum = CRC_TABLE[(sum ^ byte) & 255] ^ (sum >>> 8);
  return (sum ^ 0xffffffff) >>> 0;
}
