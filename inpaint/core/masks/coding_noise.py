"""What a lossy format leaves in a mask beside its edges, and the mask without it. Pure pixels; knows no format.

Encoders answer a hard edge with waves on both sides of it ("ringing"), which in a mask would mark pixels that nobody painted.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaint.core.geometry import Bounds, Extent
from inpaint.core.masks.mask import ANTIALIAS_PX

Pixels = NDArray[np.uint8]

NOISE = 8
"""Values this near to 0 and 255 are noise wherever they lie."""

REACH_PX = 16
"""How far ringing is seen: in a JPEG over the diagonal of a block (10 px), in WebP, AVIF and HEIC farther."""

FAINTEST = 32
"""Of a solid part whose ringing rises over the noise."""

EDGE_HIGH, EDGE_LOW, CUT = 0.56, 0.16, 0.6
"""Shares of the solid part. An edge is hard where it falls from EDGE_HIGH to EDGE_LOW within ANTIALIAS_PX; what is under CUT beside
one is not painted. A little over half: at JPEG quality 30 the waves reach half. Measured on 24 shapes, JPEG from 30, WebP, AVIF and
HEIC: nothing is left outside the shape, and of a soft edge (a blur from 3 px on) nothing is lost."""


def without_coding_noise(pixels: Pixels) -> Pixels:
    """uint8 [H, W] -> the same without noise and ringing. Soft edges keep their values, and so does a grey part's inside."""
    cleaned = np.where(pixels > 255 - NOISE, np.uint8(255), pixels)
    cleaned[pixels < NOISE] = 0
    found = Bounds.around(cleaned > 0)
    if found is not None:
        near = found.expand(REACH_PX, Extent.of(pixels)).slices
        cleaned[near][_is_ringing(pixels[near])] = 0
    return cleaned


def _is_ringing(pixels: Pixels) -> NDArray[np.bool_]:
    """bool [H, W]: faint beside a hard edge that is nearer than any soft one."""
    around = np.ones((2 * REACH_PX + 1, 2 * REACH_PX + 1), np.uint8)
    solid_value = np.asarray(cv2.dilate(pixels, around), np.uint8)
    solid = pixels >= np.maximum(_share(solid_value, 0.5), NOISE)
    hard = solid & _beside_hard_edge(pixels, solid_value)
    if not hard.any():
        return np.zeros(pixels.shape, np.bool_)
    to_hard = _distance_to(hard)
    return (pixels < _share(solid_value, CUT)) & (to_hard <= REACH_PX) & (to_hard <= _distance_to(solid & ~hard))


def _beside_hard_edge(pixels: Pixels, solid_value: Pixels) -> NDArray[np.bool_]:
    side = 2 * ANTIALIAS_PX + 1
    near = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    falls = (pixels >= _share(solid_value, EDGE_HIGH)) & (cv2.erode(pixels, near) <= _share(solid_value, EDGE_LOW))
    return cv2.dilate((falls & (solid_value > FAINTEST)).astype(np.uint8), near) > 0


def _share(values: Pixels, share: float) -> Pixels:
    """By a table of 256: 64 MP take no more memory than one byte a pixel."""
    return np.asarray(cv2.LUT(values, np.ceil(np.arange(256) * share).astype(np.uint8)), np.uint8)


def _distance_to(chosen: NDArray[np.bool_]) -> NDArray[np.float32]:
    """px to the nearest chosen pixel; far beyond any reach where none is chosen."""
    return np.asarray(cv2.distanceTransform((~chosen).astype(np.uint8), cv2.DIST_L2, 5), np.float32)
