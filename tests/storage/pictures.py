"""Encoded pictures of every kind that people hand in, and damaged ones, made in memory."""

from __future__ import annotations

import functools
import io
import struct
import zlib
from typing import Any

import numpy as np
import pillow_heif
from PIL import Image, ImageCms

from tests.fakes import Pixels, noise

EXIF_IFD, GPS_IFD, ORIENTATION, DATE_TAKEN = 0x8769, 0x8825, 0x0112, 0x9003
TAKEN = "2024:05:06 07:08:09"


def encoded(image: Image.Image, file_format: str, **options: Any) -> bytes:
    if file_format == "HEIF":
        pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def smooth(height: int, width: int) -> Pixels:
    """uint8 [H, W, 3]: ramps that a lossy encoder keeps within a few levels, another one on each side."""
    y, x = np.mgrid[0:height, 0:width]
    return np.dstack([255 * x / max(1, width - 1), 255 * y / max(1, height - 1), np.full(x.shape, 90.0)]).astype(np.uint8)


def exif(orientation: int = 1, *, place: bool = False) -> Image.Exif:
    made = Image.Exif()
    made[ORIENTATION] = orientation
    made.get_ifd(EXIF_IFD)[DATE_TAKEN] = TAKEN
    if place:
        made.get_ifd(GPS_IFD)[1], made.get_ifd(GPS_IFD)[2] = "N", (52.0, 31.0, 0.0)
    return made


@functools.cache
def srgb_profile() -> bytes:
    """Made once: it holds the second at which it was made."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def cmyk_profile() -> bytes:
    """A minimal ICC profile of a press (ICC.1:2001-04, lut8Type): paper is white, every ink is nearly black."""
    corners = [(255, 128, 128), *[(0, 128, 128)] * 15]
    ramp = bytes(range(256))
    identity = struct.pack(">9i", *(65_536 * (k % 4 == 0) for k in range(9)))
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + ramp * 4 + bytes(sum(corners, ())) + ramp * 3
    head = struct.pack(">I4sI4s4s4s12x4s", 128 + 16 + len(lut), b"none", 0x02100000, b"prtr", b"CMYK", b"Lab ", b"acsp")
    white = struct.pack(">3i", 63_190, 65_536, 54_061)
    return head + bytes(28) + white + bytes(128 - len(head) - 40) + struct.pack(">I4sII", 1, b"A2B0", 144, len(lut)) + lut


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of these chunks, checksums included."""
    parts = (struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def header(width: int, height: int, bits: int = 8, colour: int = 2) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)


def png16(pixels: np.ndarray[Any, np.dtype[np.uint16]]) -> bytes:
    """A 16-bit RGB PNG, which Pillow reads but does not write. pixels: uint16 [H, W, 3]."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    return png(header(pixels.shape[1], pixels.shape[0], 16, 2), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))


def bomb() -> bytes:
    """900 megapixels of black in 110 KB."""
    row = b"\0" * (1 + 30_000 // 8)
    packer = zlib.compressobj(9)
    data = b"".join([*(packer.compress(row) for _ in range(30_000)), packer.flush()])
    return png(header(30_000, 30_000, 1, 0), (b"IDAT", data), (b"IEND", b""))


def with_chunks(*chunks: tuple[bytes, bytes], after: bool = False) -> bytes:
    """A 2 x 2 PNG with more chunks before or after its pixels."""
    pixels = (b"IDAT", zlib.compress((b"\0" + b"\x10" * 6) * 2))
    body = [pixels, *chunks] if after else [*chunks, pixels]
    return png(header(2, 2), *body, (b"IEND", b""))


def text_bomb() -> tuple[bytes, bytes]:
    return b"zTXt", b"a\0\0" + zlib.compress(b"\0" * 64_000_000, 9)


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


PHOTO = encoded(Image.fromarray(smooth(40, 60)), "JPEG", quality=95)
PLAIN_PNG = encoded(Image.fromarray(noise(40, 60)), "PNG")

UNREADABLE: dict[str, bytes] = {
    "empty": b"",
    "text": b"hello, I am a picture",
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
    "PDF": b"%PDF-1.7\n",
    "PNG signature alone": b"\x89PNG\r\n\x1a\n",
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "half a JPEG": PHOTO[: len(PHOTO) // 2],
    "half a PNG": PLAIN_PNG[: len(PLAIN_PNG) // 2],
    "a flipped byte in a PNG": flipped(PLAIN_PNG, len(PLAIN_PNG) // 2),
    "zTXt bomb": with_chunks(text_bomb()),
    "zTXt bomb behind the pixels": with_chunks(text_bomb(), after=True),
    "80 text chunks": with_chunks(*[(b"zTXt", b"a\0\0" + zlib.compress(b"x" * 1_000_000))] * 80),
    "no pixels": png(header(5, 5), (b"IEND", b"")),
    "0 x 0": png(header(0, 0), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")),
}
TOO_LARGE: dict[str, bytes] = {
    "decompression bomb": bomb(),
    "over the pixel limit": encoded(Image.new("1", (9_000, 8_000)), "PNG"),
    "over the side limit": encoded(Image.new("1", (16_385, 1)), "PNG"),
    "over the side limit, upright": encoded(Image.new("1", (1, 16_385)), "PNG"),
}
