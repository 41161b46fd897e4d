"""Removes from a mask the noise that a lossy image format adds near edges. Works on pixels alone and knows no format.

Lossy encoders turn a hard edge into faint waves on both sides of it ("ringing"). In a mask these waves would mark pixels that
nobody painted.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaint.core.geometry import Bounds, Extent
from inpaint.core.masks.mask import ANTIALIAS_PX

Pixels = NDArray[np.uint8]

NOISE = 8
"""Values within this distance of 0 or 255 are treated as exactly 0 or 255, wherever they lie."""

REACH_PX = 16
"""How far from an edge ringing is found: up to 10 px in a JPEG (the diagonal of a block), farther in WebP, AVIF and HEIC."""

FAINTEST = 32
"""Lowest value of a solid part whose ringing can exceed NOISE; fainter parts need no cleaning."""

EDGE_HIGH, EDGE_LOW, CUT = 0.56, 0.16, 0.6
"""Shares of the value of the solid part beside an edge. An edge is hard if it falls from EDGE_HIGH to EDGE_LOW within ANTIALIAS_PX.
Beside a hard edge, pixels under CUT count as unpainted. CUT is a little over half because the waves reach half at JPEG quality 30.
Measured on 24 shapes in JPEG (quality 30 and up), WebP, AVIF and HEIC: nothing is left outside the shape, and soft edges (blurs of
3 px and more) lose nothing."""


def without_coding_noise(pixels: Pixels) -> Pixels:
    """Returns a mask (uint8 [H, W]) without noise and ringing. Soft edges and the inside of grey parts keep their values."""
    cleaned = np.where(pixels > 255 - NOISE, np.uint8(255), pixels)
    cleaned[pixels < NOISE] = 0
    found = Bounds.around(cleaned > 0)
    if found is not None:
        near = found.expand(REACH_PX, Extent.of(pixels)).slices
        cleaned[near][_is_ringing(pixels[near])] = 0
    return cleaned


def _is_ringing(pixels: Pixels) -> NDArray[np.bool_]:
    """Returns bool [H, W]: faint pixels within REACH_PX of a hard edge that are not nearer to a soft edge."""
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
    """Multiplies every value by `share`, rounded up. A table of 256 entries keeps memory at one byte a pixel, even for 64 MP."""
    return np.asarray(cv2.LUT(values, np.ceil(np.arange(256) * share).astype(np.uint8)), np.uint8)


def _distance_to(chosen: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Returns the distance in px from each pixel to the nearest chosen one. If none is chosen, the distances exceed any reach used here."""
    return np.asarray(cv2.distanceTransform((~chosen).astype(np.uint8), cv2.DIST_L2, 5), np.float32)
