"""The mask and its operations. In every mask of the app 255 means repaint and 0 means keep; values between are soft.

This module knows no model. The engines convert a mask into what their model expects.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaint.core.geometry import Bounds, Extent
from inpaint.errors import EmptyMask

Pixels = NDArray[np.uint8]

ANTIALIAS_PX = 2
"""Width of the soft rim that antialiasing leaves at a drawn edge. Soft values within it are not taken for opacity."""


@dataclass(frozen=True, eq=False)
class Mask:
    """uint8 [H, W], 255 = repaint, 0 = keep. The array is made read-only.

    notices: sentences about what was read differently from how the file stores it.
    """

    pixels: Pixels
    notices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.pixels.ndim != 2 or self.pixels.dtype != np.uint8:
            raise ValueError(f"a mask is uint8 [H, W], not {self.pixels.dtype} {self.pixels.shape}")
        frozen = np.ascontiguousarray(self.pixels)
        if frozen is self.pixels and frozen.flags.writeable:
            frozen = frozen.copy()
        frozen.flags.writeable = False
        object.__setattr__(self, "pixels", frozen)

    @property
    def extent(self) -> Extent:
        return Extent.of(self.pixels)

    @property
    def painted(self) -> NDArray[np.bool_]:
        """bool [H, W]: True for every pixel that may change at all."""
        return self.pixels > 0

    @property
    def is_empty(self) -> bool:
        return not self.pixels.any()

    @property
    def is_full(self) -> bool:
        return bool(self.pixels.all())

    def bounds(self) -> Bounds:
        """Returns the smallest bounds around the painted pixels. Raises EmptyMask."""
        found = Bounds.around(self.painted)
        if found is None:
            raise EmptyMask
        return found

    def invert(self) -> Mask:
        return Mask(np.subtract(np.uint8(255), self.pixels))

    def grow(self, radius: int) -> Mask:
        """Returns the mask grown by `radius` px (Euclidean); a negative radius shrinks it.

        Each new pixel is as opaque as the nearest painted one. When the mask shrinks, the picture's border does not count as
        an edge of the mask.
        """
        if radius == 0 or self.is_empty:
            return self
        step = (lambda box: _grown(box, radius)) if radius > 0 else (lambda box: _shrunk(box, -radius))
        return self._changed_near(abs(radius), step)

    def feather(self, width: int) -> Mask:
        """Returns the mask with a soft rim of `width` px outside it (smoothstep of the Euclidean distance). Values inside are not reduced.

        Antialiased pixels at a painted edge are made solid first, so that the rim falls from the full value.
        """
        if width == 0 or self.is_empty:
            return self
        return self._changed_near(width, lambda box: _feathered(box, width))

    def within(self, distance: int) -> NDArray[np.bool_]:
        """Returns bool [H, W]: the painted pixels and all pixels at most `distance` px (Euclidean) from one."""
        if distance == 0 or self.is_empty:
            return self.painted
        near = self._changed_near(distance, lambda box: (_distance_to_painted(box) <= distance).astype(np.uint8))
        return near.painted

    def _changed_near(self, reach: int, change: Callable[[Pixels], Pixels]) -> Mask:
        """Returns the mask with `change` applied to the painted bounds plus `reach` + 1 px around them. A stroke on a 64 MP
        picture stays cheap.
        """
        near = self.bounds().expand(reach + 1, self.extent).slices
        pixels = self.pixels.copy()
        pixels[near] = change(self.pixels[near])
        return Mask(pixels)


def _grown(pixels: Pixels, radius: int) -> Pixels:
    distance, nearest = _nearest_painted(_without_antialiasing(pixels))
    return np.where(distance <= radius, nearest, 0).astype(np.uint8)


def _shrunk(pixels: Pixels, radius: int) -> Pixels:
    if pixels.all():
        return pixels
    distance = cv2.distanceTransform((pixels > 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.where(distance > radius, pixels, 0).astype(np.uint8)


def _feathered(pixels: Pixels, width: int) -> Pixels:
    solid = _without_antialiasing(pixels)
    distance, nearest = _nearest_painted(solid)
    fall = 1.0 - distance / (width + 1.0)
    ramp = np.where(distance <= width, fall * fall * (3.0 - 2.0 * fall), 0.0)
    return np.where(solid > 0, solid, np.rint(nearest * ramp)).astype(np.uint8)


def _distance_to_painted(pixels: Pixels) -> NDArray[np.float32]:
    unpainted = (pixels == 0).astype(np.uint8)
    return np.asarray(cv2.distanceTransform(unpainted, cv2.DIST_L2, cv2.DIST_MASK_PRECISE), np.float32)


def _nearest_painted(pixels: Pixels) -> tuple[NDArray[np.float32], Pixels]:
    """Returns the distance in px to the nearest painted pixel, and that pixel's value; both are [H, W]."""
    unpainted = (pixels == 0).astype(np.uint8)
    _, labels = cv2.distanceTransformWithLabels(unpainted, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    values = np.zeros(int(labels.max()) + 1, np.uint8)
    values[labels[unpainted == 0]] = pixels[unpainted == 0]
    return _distance_to_painted(pixels), values[labels]


def _without_antialiasing(pixels: Pixels) -> Pixels:
    """Returns the mask in which soft values within ANTIALIAS_PX of a more opaque pixel take its value. Unpainted pixels stay unpainted."""
    side = 2 * ANTIALIAS_PX + 1
    raised = cv2.dilate(pixels, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    return np.where(pixels > 0, raised, 0).astype(np.uint8)
