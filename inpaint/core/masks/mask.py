"""The mask and its operations. 255 = repaint, everywhere, always; values between are soft.

Knows no model: what a model needs of a mask is made from it in the engines' room.
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
"""How wide the soft rim of a drawn edge is: within it a soft value is taken for antialiasing, not for opacity."""


@dataclass(frozen=True, eq=False)
class Mask:
    """uint8 [H, W], 255 = repaint, 0 = keep. The array is made read-only.

    notices: sentences about what was read otherwise than the file holds it.
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
        """bool [H, W]: every pixel that may change at all."""
        return self.pixels > 0

    @property
    def is_empty(self) -> bool:
        return not self.pixels.any()

    @property
    def is_full(self) -> bool:
        return bool(self.pixels.all())

    def bounds(self) -> Bounds:
        """The smallest bounds round the painted pixels. Raises EmptyMask."""
        found = Bounds.around(self.painted)
        if found is None:
            raise EmptyMask
        return found

    def invert(self) -> Mask:
        return Mask(np.subtract(np.uint8(255), self.pixels))

    def grow(self, radius: int) -> Mask:
        """Outward by radius px (Euclidean), each new pixel as opaque as the nearest painted one; negative shrinks.

        The picture's own edge never eats into the mask.
        """
        if radius == 0 or self.is_empty:
            return self
        step = (lambda box: _grown(box, radius)) if radius > 0 else (lambda box: _shrunk(box, -radius))
        return self._changed_near(abs(radius), step)

    def feather(self, width: int) -> Mask:
        """A soft rim of `width` px outside the mask (smoothstep of the Euclidean distance); inside nothing is thinned.

        A painted edge's own antialiasing is filled first, so that the seam falls from the full value.
        """
        if width == 0 or self.is_empty:
            return self
        return self._changed_near(width, lambda box: _feathered(box, width))

    def within(self, distance: int) -> NDArray[np.bool_]:
        """bool [H, W]: the painted pixels and all that lie at most `distance` px (Euclidean) from one."""
        if distance == 0 or self.is_empty:
            return self.painted
        near = self._changed_near(distance, lambda box: (_distance_to_painted(box) <= distance).astype(np.uint8))
        return near.painted

    def _changed_near(self, reach: int, change: Callable[[Pixels], Pixels]) -> Mask:
        """`change` runs on the painted bounds and reach + 1 px round them only: a stroke on 64 MP stays cheap."""
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
    """Distance in px to the nearest painted pixel, and that pixel's value; both [H, W]."""
    unpainted = (pixels == 0).astype(np.uint8)
    _, labels = cv2.distanceTransformWithLabels(unpainted, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    values = np.zeros(int(labels.max()) + 1, np.uint8)
    values[labels[unpainted == 0]] = pixels[unpainted == 0]
    return _distance_to_painted(pixels), values[labels]


def _without_antialiasing(pixels: Pixels) -> Pixels:
    """Soft values within ANTIALIAS_PX of a more opaque one take its value; unpainted pixels stay unpainted."""
    side = 2 * ANTIALIAS_PX + 1
    raised = cv2.dilate(pixels, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    return np.where(pixels > 0, raised, 0).astype(np.uint8)
