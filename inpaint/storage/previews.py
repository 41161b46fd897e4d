"""Makes the small JPEGs that the page shows of pictures. A preview is made once and can be shown many times."""

from __future__ import annotations

import io
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inpaint.core.geometry import Extent

Pixels = NDArray[np.uint8]

PREVIEW_LONG_SIDE = 1280
NEUTRAL_GROUND = 214
"""Grey level shown behind transparent pixels: light enough for dark drawings, dark enough for white ones."""


@dataclass(frozen=True)
class Preview:
    """A small version of a picture for showing. jpeg: the bytes of the file. extent: its size in pixels."""

    jpeg: bytes
    extent: Extent


def preview_of(pixels: Pixels, long_side: int = PREVIEW_LONG_SIDE) -> Preview:
    """Returns a preview of at most `long_side` px. pixels: uint8 [H, W], [H, W, 3] or [H, W, 4], RGB(A)."""
    extent = preview_extent(Extent.of(pixels), long_side)
    if extent != Extent.of(pixels):
        pixels = np.asarray(cv2.resize(pixels, (extent.width, extent.height), interpolation=cv2.INTER_AREA), np.uint8)
    return Preview(encode_jpeg(_on_neutral_ground(pixels), quality=90), extent)


def preview_extent(full: Extent, long_side: int = PREVIEW_LONG_SIDE) -> Extent:
    """Returns the extent at which a picture is shown. It is never larger than the picture, and no side is under 1 px."""
    if full.long_side <= long_side:
        return full
    scale = long_side / full.long_side
    return Extent(max(1, round(full.width * scale)), max(1, round(full.height * scale)))


def encode_jpeg(pixels: Pixels, quality: int) -> bytes:
    """Returns a JPEG file of uint8 [H, W] or [H, W, 3]."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _on_neutral_ground(pixels: Pixels) -> Pixels:
    if pixels.ndim == 2 or pixels.shape[2] == 3:
        return pixels
    alpha = pixels[..., 3:].astype(np.uint16)
    mixed = pixels[..., :3] * alpha + NEUTRAL_GROUND * (255 - alpha)
    return (mixed // 255).astype(np.uint8)
