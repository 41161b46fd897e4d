"""Reads mask files that people hand in. Their brightness becomes the mask, and notices say what was read differently from how it looks.

Takes bytes, never a path from a request. Knows no models and no page.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inpaint.config.settings import PictureLimits
from inpaint.core.geometry import Extent
from inpaint.core.masks.coding_noise import without_coding_noise
from inpaint.core.masks.doubts import is_coloured
from inpaint.core.masks.mask import Mask
from inpaint.errors import BadMask
from inpaint.storage.uploads import Upload, eight_bit, opened, reading, upright

LOSSY_FORMATS = {"JPEG": "JPEG", "MPO": "JPEG", "WEBP": "WebP", "AVIF": "AVIF", "HEIF": "HEIC"}
"""Titles of lossy formats by Pillow's names. MPO is a phone's JPEG with a second picture behind the first. A WebP may also be lossless,
which `_lossy_title` finds out; AVIF and HEIC always count as lossy, because nothing in Pillow tells."""
TRANSPARENT_MASK = (
    "The mask is transparent in places; these count as black and stay as they are. If they are what should change, invert the mask, "
    "or save it in black and white."
)
IN_COLOUR = "The mask is in colour and was read by its brightness: red counts as 76 of 255, green as 150, blue as 29."
LABELS = "The mask holds only 0 and 1, as labels do: 1 was read as white, so that is what changes."


def read_mask(upload: Upload, picture: Extent, limits: PictureLimits) -> Mask:
    """Reads a picture's luminance as a mask: white = repaint, grey is soft, transparency counts as black.

    Raises UnreadableImage, ImageTooLarge, and BadMask if the mask's extent is not the picture's.
    """
    with reading(upload.name, limits):
        image = opened(upload, limits)
        image.load()
        turned, title = upright(image), _lossy_title(image, upload.data)
        labels = None if title else _labels_in_white(turned)
        plain = labels or eight_bit(turned, [])
    if plain.size != (picture.width, picture.height):
        raise BadMask(f"The mask is {plain.width} x {plain.height}, the picture {picture}.", "A mask must have the size of its picture.")
    is_transparent = plain.mode == "RGBA" and bool((np.asarray(plain)[..., 3] < 255).any())
    if plain.mode == "RGBA":
        plain = Image.alpha_composite(Image.new("RGBA", plain.size, (0, 0, 0, 255)), plain)
    notices = [LABELS] if labels else [TRANSPARENT_MASK] if is_transparent else []
    notices += [IN_COLOUR] if is_coloured(np.asarray(plain.convert("RGB"))) else []
    pixels = np.array(plain.convert("L"))
    if title:
        pixels = _without_coding_noise(pixels, title, notices)
    return Mask(pixels, tuple(notices))


def _without_coding_noise(pixels: NDArray[np.uint8], title: str, notices: list[str]) -> NDArray[np.uint8]:
    cleaned = without_coding_noise(pixels)
    dropped = int(np.count_nonzero((cleaned == 0) & (pixels > 0)))
    if dropped:
        notices.append(
            f"The mask was saved as {title}, which leaves faint traces beside an edge: {dropped:,} px of them do not count as "
            "painted. A mask saved as PNG has none."
        )
    return cleaned


def _lossy_title(image: Image.Image, data: bytes) -> str:
    """Returns the title of the file's format if it is lossy, else "".

    For a WebP the chunk of its first frame decides: "VP8 " is lossy, "VP8L" is lossless.
    """
    is_lossless = image.format == "WEBP" and b"VP8L" in data and b"VP8 " not in data[: data.index(b"VP8L")]
    return "" if is_lossless else LOSSY_FORMATS.get(image.format or "", "")


def _labels_in_white(image: Image.Image) -> Image.Image | None:
    """Returns the mask with 255 in place of 1 if its highest value is 1, as in label images; None for any other mask.

    Read as opacity, 1 of 255 would change nothing visible.
    """
    if image.has_transparency_data or not (image.mode in ("L", "RGB") or image.mode.startswith("I")):
        return None
    values = np.asarray(image)
    return Image.fromarray((values == 1).astype(np.uint8) * 255) if values.max() == 1 else None
