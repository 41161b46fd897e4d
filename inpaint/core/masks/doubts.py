"""Finds masks that are probably not what the person meant. They are used as they are, and the report mentions the doubt. Knows no file.

A soft mask is not a mistake: blurred brushes and gradients are smooth, photos are not. The limits were measured on 20 photos
and 20 soft masks. Two photos (one out of focus, one of the night sky) pass for masks, and no mask passes for a photo.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaint.core.masks.mask import Mask

Pixels = NDArray[np.uint8]

HALF = 128
NEARLY_PURE = 16
"""A value within this distance of 0 or 255 counts as black or white."""

GREY_SHARE = 2 / 3
"""Only a mask with at least this share of grey pixels (neither black nor white) is tested for looking like a photo."""

COARSE_PX = 96
"""Long side, in px, to which a mask is shrunk before the test: a photo's content is still visible, the grain of a soft mask is not."""

SMOOTHEST_PHOTO = 5.0
"""From this value on a mask looks like a photo: the mean absolute second difference of the grey parts at a long side of COARSE_PX.
Photos measure 6 and more, soft masks at most 4.8."""

COLOURED, BRIGHT, COLOURED_SHARE = 48, 32, 0.01
"""A mask is in colour if the channels differ by more than COLOURED in more than COLOURED_SHARE of the pixels brighter than BRIGHT.
JPEG noise alone stays below that."""

DARK = (
    "The mask's brightest value is {greatest} of 255, so the new picture is mixed in at {percent:.2g} % at most. A mask repaints where "
    "it is white (255): one that holds the numbers of things, or is drawn in a dark colour, has to be made white first."
)
LIKE_A_PHOTO = (
    "Hardly anything in the mask is white or black, as in a photo: its brightness was used as it is. White = repaint, "
    "black = keep; perhaps another file was meant."
)


def mask_doubts(mask: Mask) -> tuple[str, ...]:
    """Returns sentences that name the likely mistake, or none for an ordinary or soft mask."""
    if mask.is_empty:
        return ()
    greatest = int(mask.pixels.max())
    if greatest < HALF:
        return (DARK.format(greatest=greatest, percent=100 * greatest / 255),)
    return (LIKE_A_PHOTO,) if _is_like_a_photo(mask.pixels) else ()


def is_coloured(pixels: Pixels) -> bool:
    """Returns whether an image that was given as a mask is in colour. pixels: uint8 [H, W, 3].

    It works channel by channel, since numpy is slow along an axis of 3.
    """
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
