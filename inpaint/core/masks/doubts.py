"""Finds masks that are probably not what was meant. They are used as they are, and the report says so. Knows no file.

A soft mask is no mistake: a blurred brush and a gradient are smooth, where a photo is not. The limits were measured on 20 photos and 20
soft masks; one photo out of focus and one of the night sky pass for masks, and no mask for a photo.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaint.core.masks.mask import Mask

Pixels = NDArray[np.uint8]

HALF = 128
NEARLY_PURE = 16
"""This near to 0 and 255 a value counts as black or white."""

GREY_SHARE = 2 / 3
"""A mask is held against a photo only where more of its pixels than this are neither black nor white."""

COARSE_PX = 96
"""Long side at which a photo's content is still seen, and a soft mask's grain no more."""

SMOOTHEST_PHOTO = 5.0
"""Mean of the absolute second difference of the grey parts, at that size: photos have 6 and more, soft masks up to 4.8."""

COLOURED, BRIGHT, COLOURED_SHARE = 48, 32, 0.01
"""A mask is in colour where in more than this share of its bright pixels the channels lie so far apart: not by a JPEG's noise."""

DARK = (
    "The mask's brightest value is {greatest} of 255, so the new picture is mixed in at {percent:.2g} % at most. A mask repaints where "
    "it is white (255): one that holds the numbers of things, or is drawn in a dark colour, has to be made white first."
)
LIKE_A_PHOTO = (
    "Hardly anything in the mask is white or black, as in a photo: its brightness was used as it is. White = repaint, "
    "black = keep; perhaps another file was meant."
)


def mask_doubts(mask: Mask) -> tuple[str, ...]:
    """Sentences that name the likely mistake; none for an ordinary mask and none for a soft one."""
    if mask.is_empty:
        return ()
    greatest = int(mask.pixels.max())
    if greatest < HALF:
        return (DARK.format(greatest=greatest, percent=100 * greatest / 255),)
    return (LIKE_A_PHOTO,) if _is_like_a_photo(mask.pixels) else ()


def is_coloured(pixels: Pixels) -> bool:
    """Whether what was handed in as a mask is in colour. pixels: uint8 [H, W, 3]; channel by channel, since numpy is slow along an axis of 3."""
    red, green, blue = (pixels[..., channel] for channel in range(3))
    highest = np.maximum(np.maximum(red, green), blue)
    spread = highest - np.minimum(np.minimum(red, green), blue)
    return bool(np.count_nonzero(spread > COLOURED) > COLOURED_SHARE * np.count_nonzero(highest > BRIGHT))


def _is_like_a_photo(pixels: Pixels) -> bool:
    if np.count_nonzero(_is_grey(pixels)) < GREY_SHARE * pixels.size:
        return False
    scale = min(1.0, COARSE_PX / max(pixels.shape))
    height, width = (max(1, round(side * scale)) for side in pixels.shape)
    small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    bends = np.abs(cv2.Laplacian(small.astype(np.float32), cv2.CV_32F))[_is_grey(np.asarray(small, np.uint8))]
    return bool(bends.size and bends.mean() >= SMOOTHEST_PHOTO)


def _is_grey(pixels: Pixels) -> NDArray[np.bool_]:
    return (pixels > NEARLY_PURE) & (pixels < 255 - NEARLY_PURE)
