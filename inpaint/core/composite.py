"""Paste-back: the new picture inside the mask, a soft seam in the blend band, the original everywhere else, and the proof.

Knows no model and no file.
"""

from __future__ import annotations

import functools
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaint.core.masks.mask import Mask
from inpaint.core.picture import BACKDROP, Picture
from inpaint.core.region import Region
from inpaint.errors import EmptyMask

Pixels = NDArray[np.uint8]

UNSEEN_LEVELS = 2
"""Of 255: smaller than what a screen shows anybody."""


def blending_mask(mask: Mask, grow: int, feather: int) -> Mask:
    """How opaque the new picture is, upload space: 255 inside the grown mask, falling to 0 over `feather` px outside.

    grow, feather: upload pixels; a negative grow shrinks. Raises EmptyMask where nothing is painted or nothing is left.
    """
    if mask.is_empty:
        raise EmptyMask
    grown = mask.grow(grow)
    if grown.is_empty:
        raise EmptyMask(f"Shrinking the mask by {-grow} px leaves nothing of it.", "Shrink it less.")
    return grown.feather(feather)


def visible_rgb(picture: Picture) -> Pixels:
    """uint8 [H, W, 3]: the picture over the backdrop, as a model sees it; colours hidden under transparency stay hidden."""
    if picture.alpha is None:
        return picture.pixels
    return _mix(np.full_like(picture.pixels[..., :3], BACKDROP), picture.pixels[..., :3], picture.alpha)


def composite(picture: Picture, painted: Pixels, opacity: Mask, region: Region) -> Picture:
    """The original with `painted` pasted at the region's crop through `opacity`.

    painted: uint8 [h, w, 3] at the crop's extent. opacity: upload space; 0 leaves the pixel untouched, bit for bit.
    """
    rows_columns = region.crop.slices
    share = opacity.pixels[rows_columns]
    pixels = picture.pixels.copy()
    crop = pixels[rows_columns]
    solid, seam = share == 255, (share > 0) & (share < 255)
    crop[..., :3][solid], crop[..., 3:][solid] = painted[solid], 255
    crop[seam] = _blended(crop[seam], painted[seam], share[seam])
    return replace(picture, pixels=pixels)


def changed_outside(original: Picture, result: Picture, mask: Mask, band: int) -> int:
    """How many pixels differ (any channel) farther than `band` px from the given mask. Another extent counts every pixel."""
    if original.pixels.shape != result.pixels.shape:
        return result.extent.area
    return int(np.count_nonzero(_differing(original.pixels, result.pixels) & ~mask.within(band)))


def looks_the_same(original: Picture, result: Picture) -> bool:
    """Whether nobody could see a change: what shows over the backdrop, and the alpha, differ by UNSEEN_LEVELS at most."""
    if original.pixels.shape != result.pixels.shape:
        return False
    return bool(cv2.absdiff(_seen(original), _seen(result)).max() <= UNSEEN_LEVELS)


def _seen(picture: Picture) -> Pixels:
    return picture.pixels if picture.alpha is None else np.dstack([visible_rgb(picture), picture.alpha])


def _differing(one: Pixels, other: Pixels) -> NDArray[np.bool_]:
    """bool [H, W]. Channel by channel: numpy's `any` over an axis of 3 takes three times as long on 12 MP."""
    channels = (one[..., c] != other[..., c] for c in range(one.shape[2]))
    return functools.reduce(np.logical_or, channels)


def _blended(crop: Pixels, painted: Pixels, share: Pixels) -> Pixels:
    """uint8 [n, 3 or 4], of n pixels. In a picture with transparency the new part is opaque, and what shows through the seam is the
    visible colour, not the one hidden under alpha 0."""
    if crop.shape[1] == 3:
        return _mix(crop, painted, share)
    below = _mix(np.full_like(painted, BACKDROP), crop[..., :3], crop[..., 3])
    alpha = _mix(crop[..., 3], np.full_like(share, 255), share)
    return np.column_stack([_mix(below, painted, share), alpha])


def _mix(below: Pixels, above: Pixels, opacity: Pixels) -> Pixels:
    """Integer blend, exact at both ends: opacity 0 gives `below`, 255 gives `above`, equal inputs give themselves.

    opacity: of each pixel; below and above may have a last axis of channels more.
    """
    share = opacity.astype(np.uint16)
    if below.ndim > share.ndim:
        share = share[..., np.newaxis]
    return ((below * (255 - share) + above * share + 127) // 255).astype(np.uint8)
