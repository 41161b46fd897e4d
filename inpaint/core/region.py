"""The work area: which crop of the picture the model sees, and at what size. Only this module converts between upload and working space.

`plan_region` decides and touches no pixels; a Region then crops and restores. This module knows no model by name.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inpaint.core.geometry import Bounds, Extent
from inpaint.core.masks.mask import Mask
from inpaint.core.request import WorkArea
from inpaint.core.spec import WorkingLimits
from inpaint.errors import InvalidRequest

Pixels = NDArray[np.uint8]

MIN_MARGIN_PX = 32
"""Least context around a mask, in upload pixels, even around a dot. With less the model sees nothing that it could continue."""

MAX_ASPECT = 2.0
"""Longest crop shape: a thinner crop is widened to 2:1. Models are trained on nearly square pictures and repeat content in long strips."""


@dataclass(frozen=True)
class Region:
    """The part of the picture that the model sees. crop: bounds in upload space. working: the extent at which the model sees that crop."""

    crop: Bounds
    working: Extent

    @property
    def stretch(self) -> float:
        """How much more one side is scaled than the other; 1 means that the proportions are kept."""
        across, down = self.working.width / self.crop.width, self.working.height / self.crop.height
        return max(across, down) / min(across, down)

    @property
    def scale(self) -> float:
        """Working pixels per upload pixel along a side, as the square root of the ratio of the areas."""
        return math.sqrt(self.working.area / self.crop.extent.area)

    def take_picture(self, pixels: Pixels) -> Pixels:
        """Crops uint8 [H, W, 3] in upload space and returns uint8 [h, w, 3] at the working extent, resized with Lanczos if the
        sizes differ.
        """
        return _resized(pixels[self.crop.slices], self.working)

    def take_mask(self, mask: Mask) -> Pixels:
        """Returns the mask's crop at the working extent: uint8 [h, w], only 0 and 255. A working pixel is painted if any of its
        upload pixels is.
        """
        painted = mask.painted[self.crop.slices].astype(np.uint8) * 255
        for extent in (Extent(self.working.width, painted.shape[0]), self.working):
            painted = _covered(painted, extent)
        return painted

    def restore(self, pixels: Pixels) -> Pixels:
        """Resizes uint8 [h, w, 3] from the working extent to the crop's extent, so that it can be pasted at the crop."""
        return _resized(pixels, self.crop.extent)


def plan_region(picture: Extent, painted: Bounds, limits: WorkingLimits, work_area: WorkArea = "auto") -> Region:
    """Chooses the crop that the model sees and the extent at which it sees it.

    painted: the smallest bounds in upload space that hold every pixel which may change, blend band included. Raises
    InvalidRequest if the given work area leaves the picture or does not hold `painted`.
    """
    if work_area == "auto":
        crop = _crop_with_context(picture, painted, limits)
        return _least_stretched(Region(_match_aspect(crop, working, picture), working) for working in _fitting(crop.extent, limits))
    crop = Bounds.whole(picture) if work_area == "full" else _checked(work_area, painted, picture)
    if _is_working_extent(crop.extent, limits):
        return Region(crop, crop.extent)
    return _least_stretched(Region(crop, working) for working in _fitting(crop.extent, limits))


def _crop_with_context(picture: Extent, painted: Bounds, limits: WorkingLimits) -> Bounds:
    margin = max(MIN_MARGIN_PX, round(limits.context * (painted.width + painted.height) / 2))
    crop = painted.expand(margin, picture)
    least = math.ceil(math.sqrt(limits.native_pixels) / limits.max_upscale) if limits.native_pixels else 0
    short = max(least, math.ceil(crop.extent.long_side / MAX_ASPECT))
    return crop.widen(Extent(short, short), picture)


def _fitting(crop: Extent, limits: WorkingLimits) -> Iterator[Extent]:
    """Yields the working extents near the crop's shape that the model takes, the nearest first."""
    wanted = limits.native_pixels or min(crop.area, limits.max_pixels)
    scale = min(math.sqrt(wanted / crop.area), limits.max_upscale)
    sides = (_multiples(side * scale, limits.multiple) for side in (crop.width, crop.height))
    for width, height in itertools.product(*sides):
        yield _bounded(Extent(width, height), limits)


def _multiples(length: float, multiple: int) -> tuple[int, int]:
    """Returns the multiples just below and just above a length, the nearer one first."""
    below, above = math.floor(length / multiple) * multiple, math.ceil(length / multiple) * multiple
    nearer, other = (below, above) if length - below <= above - length else (above, below)
    return max(multiple, nearer), max(multiple, other)


def _bounded(extent: Extent, limits: WorkingLimits) -> Extent:
    width, height = extent.width, extent.height
    while width * height > limits.max_pixels and max(width, height) > limits.multiple:
        width, height = (width - limits.multiple, height) if width >= height else (width, height - limits.multiple)
    return Extent(width, height)


def _least_stretched(regions: Iterable[Region]) -> Region:
    """Returns the region whose proportions change least, compared to the percent. Of equals it takes the first, whose area is
    nearest to the model's best.
    """
    return min(regions, key=lambda region: round(region.stretch, 2))


def _match_aspect(crop: Bounds, working: Extent, picture: Extent) -> Bounds:
    """Returns the crop widened on one side to the shape of the working extent, so that nothing is distorted."""
    aspect = working.width / working.height
    wanted = Extent(max(crop.width, round(crop.height * aspect)), max(crop.height, round(crop.width / aspect)))
    return crop.widen(wanted, picture)


def _is_working_extent(extent: Extent, limits: WorkingLimits) -> bool:
    sides_fit = extent.width % limits.multiple == 0 and extent.height % limits.multiple == 0
    return sides_fit and extent.area <= limits.max_pixels


def _checked(area: Bounds, painted: Bounds, picture: Extent) -> Bounds:
    if not Bounds.whole(picture).contains(area):
        raise InvalidRequest("work_area", f"The work area leaves the picture, which is {picture}.")
    if not area.contains(painted):
        raise InvalidRequest(
            "work_area",
            f"The work area must hold the whole mask with its blend band: at least {','.join(map(str, painted.as_list()))} (L,T,W,H).",
        )
    return area


def _resized(pixels: Pixels, extent: Extent) -> Pixels:
    if Extent.of(pixels) == extent:
        return np.ascontiguousarray(pixels)
    size = (extent.width, extent.height)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def _covered(painted: Pixels, extent: Extent) -> Pixels:
    """Resizes one side of a 0/255 mask. Shrinking averages areas and keeps any pixel with some coverage; enlarging takes the
    nearest pixel.
    """
    shrinks = extent.area < painted.size
    method = cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST
    source = painted.astype(np.float32) if shrinks else painted
    return np.where(cv2.resize(source, (extent.width, extent.height), interpolation=method) > 0, 255, 0).astype(np.uint8)
