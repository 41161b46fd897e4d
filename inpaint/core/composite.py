"""Pastes a model's output back into the original picture, and counts the pixels that changed where they must not.

Inside the mask the result shows the new picture, in the blend band both are mixed, and everywhere else the original stays.
This module knows no model and no file.
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
"""A difference of this many levels (of 255) or fewer cannot be seen on a screen."""


def blending_mask(mask: Mask, grow: int, feather: int) -> Mask:
    """Returns how opaque the new picture is at each pixel of the upload: 255 inside the grown mask, falling to 0 over `feather`
    px outside it.

    grow, feather: upload pixels; a negative grow shrinks the mask. Raises EmptyMask if nothing is painted or shrinking leaves
    nothing.
    """
    if mask.is_empty:
        raise EmptyMask
    grown = mask.grow(grow)
    if grown.is_empty:
        raise EmptyMask(f"Shrinking the mask by {-grow} px leaves nothing of it.", "Shrink it less.")
    return grown.feather(feather)


def visible_rgb(picture: Picture) -> Pixels:
    """Returns the picture as a model sees it: uint8 [H, W, 3], mixed over the white backdrop. Colours of fully transparent
    pixels do not show.
    """
    if picture.alpha is None:
        return picture.pixels
    return _mix(np.full_like(picture.pixels[..., :3], BACKDROP), picture.pixels[..., :3], picture.alpha)


def composite(picture: Picture, painted: Pixels, opacity: Mask, region: Region) -> Picture:
    """Returns the original with `painted` pasted at the region's crop, mixed according to `opacity`.

    painted: uint8 [h, w, 3] at the crop's extent. opacity: in upload space; where it is 0 the pixel stays exactly as it was.
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
    """Counts the pixels that differ in any channel and lie farther than `band` px from the mask. If the sizes differ, all pixels count."""
    if original.pixels.shape != result.pixels.shape:
        return result.extent.area
    return int(np.count_nonzero(_differing(original.pixels, result.pixels) & ~mask.within(band)))


def looks_the_same(original: Picture, result: Picture) -> bool:
    """Returns whether nobody could see a difference: visible colours and alpha differ by at most UNSEEN_LEVELS."""
    if original.pixels.shape != result.pixels.shape:
        return False
    return bool(cv2.absdiff(_seen(original), _seen(result)).max() <= UNSEEN_LEVELS)


def _seen(picture: Picture) -> Pixels:
    return picture.pixels if picture.alpha is None else np.dstack([visible_rgb(picture), picture.alpha])


def _differing(one: Pixels, other: Pixels) -> NDArray[np.bool_]:
    """Returns bool [H, W]: where any channel differs. It loops over channels because numpy's `any` over an axis of 3 takes three
    times as long on 12 MP.
    """
    channels = (one[..., c] != other[..., c] for c in range(one.shape[2]))
    return functools.reduce(np.logical_or, channels)


def _blended(crop: Pixels, painted: Pixels, share: Pixels) -> Pixels:
    """Mixes n seam pixels and returns uint8 [n, 3 or 4].

    In a picture with transparency the new part becomes opaque. It is mixed with the colour that was visible over the
    backdrop, not with the colour stored under alpha 0.
    """
    if crop.shape[1] == 3:
        return _mix(crop, painted, share)
    below = _mix(np.full_like(painted, BACKDROP), crop[..., :3], crop[..., 3])
    alpha = _mix(crop[..., 3], np.full_like(share, 255), share)
    return np.column_stack([_mix(below, painted, share), alpha])


def _mix(below: Pixels, above: Pixels, opacity: Pixels) -> Pixels:
    """Blends two images in integers. Opacity 0 gives exactly `below`, 255 gives exactly `above`, and equal inputs stay equal.

    opacity: one value a pixel; `below` and `above` may have one more axis, of channels.
    """
    share = opacity.astype(np.uint16)
    if below.ndim > share.ndim:
        share = share[..., np.newaxis]
    return ((below * (255 - share) + above * share + 127) // 255).astype(np.uint8)
