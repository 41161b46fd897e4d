"""Encodes pictures as data URLs, for the page's own components."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inpaint.storage.previews import Preview, encode_jpeg, preview_of

Pixels = NDArray[np.uint8]

PNG_PREFIX = "data:image/png;base64,"
JPEG_PREFIX = "data:image/jpeg;base64,"


def preview_url(preview: Preview) -> str:
    """Returns the data URL of a preview that is already encoded."""
    return JPEG_PREFIX + base64.b64encode(preview.jpeg).decode("ascii")


def thumbnail_url(pixels: Pixels, long_side: int) -> str:
    """Returns a JPEG data URL of at most `long_side` px. pixels: uint8 [H, W], [H, W, 3] or [H, W, 4], RGB(A)."""
    return preview_url(preview_of(pixels, long_side))


def data_url_png(pixels: Pixels) -> str:
    """Returns a PNG data URL of uint8 [H, W], [H, W, 3] or [H, W, 4]; for masks and exact pictures."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=4)
    return PNG_PREFIX + base64.b64encode(buffer.getvalue()).decode("ascii")


def data_url_jpeg(pixels: Pixels, quality: int = 80) -> str:
    """Returns a JPEG data URL of uint8 [H, W] or [H, W, 3]; for frames of a running job."""
    return JPEG_PREFIX + base64.b64encode(encode_jpeg(pixels, quality)).decode("ascii")
