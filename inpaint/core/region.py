"""The work area: which crop of the picture the model sees, and how large. The only place that converts between the two spaces.

`plan_region` decides and touches no pixels; a Region then crops and restores. Knows no model by name.
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
"""Even a dot gets this much context, in upload pixels: fewer give the model nothing to continue."""

MAX_ASPECT = 2.0
"""A thin crop is widened to 2:1: models are trained near square and repeat themselves in long strips."""


@dataclass(frozen=True)
class Region:
    """crop: bounds in upload space. working: the extent at which the model sees that crop."""

    crop: Bounds
    working: Extent

    @property
    def stretch(self) -> float:
        """How much more one side is scaled than the other; 1 = not at all."""
        across, down = self.working.width / self.crop.width, self.working.height / self.crop.height
        return max(across, down) / min(across, down)

    @property
    def scale(self) -> float:
        """Working pixels for one upload pixel, by the square root of the areas."""
        return math.sqrt(self.working.area / self.crop.extent.area)

    def take_picture(self, pixels: Pixels) -> Pixels:
        """uint8 [H, W, 3] in upload space -> uint8 [h, w, 3] at the working extent (Lanczos where a size differs)."""
        return _resized(pixels[self.crop.slices], self.working)

    def take_mask(self, mask: Mask) -> Pixels:
        """Upload space -> uint8 [h, w], only 0 and 255: a working pixel is painted where any of its upload pixels is."""
        painted = mask.painted[self.crop.slices].astype(np.uint8) * 255
        for extent in (Extent(self.working.width, painted.shape[0]), self.working):
            painted = _covered(painted, extent)
        return painted

    def restore(self, pixels: Pixels) -> Pixels:
        """uint8 [h, w, 3] at the working extent -> uint8 at the crop's extent, to be pasted at the crop."""
        return _resized(pixels, self.crop.extent)


def plan_region(picture: Extent, painted: Bounds, limits: WorkingLimits, work_area: WorkArea = "auto") -> Region:
    """Where the model looks, and how large.

    painted: the smallest bounds that hold every pixel which may change (blend band included), upload space.
    Raises InvalidRequest where given bounds leave the picture or do not hold `painted`.
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
    """The working extents round the crop's shape that the model takes, the nearest first."""
    wanted = limits.native_pixels or min(crop.area, limits.max_pixels)
    scale = min(math.sqrt(wanted / crop.area), limits.max_upscale)
    sides = (_multiples(side * scale, limits.multiple) for side in (crop.width, crop.height))
    for width, height in itertools.product(*sides):
        yield _bounded(Extent(width, height), limits)


def _multiples(length: float, multiple: int) -> tuple[int, int]:
    """The two multiples round a length, the nearer one first."""
    below, above = math.floor(length / multiple) * multiple, math.ceil(length / multiple) * multiple
    nearer, other = (below, above) if length - below <= above - length else (above, below)
    return max(multiple, nearer), max(multiple, other)


def _bounded(extent: Extent, limits: WorkingLimits) -> Extent:
    width, height = extent.width, extent.height
    while width * height > limits.max_pixels and max(width, height) > limits.multiple:
        width, height = (width - limits.multiple, height) if width >= height else (width, height - limits.multiple)
    return Extent(width, height)


def _least_stretched(regions: Iterable[Region]) -> Region:
    """To the percent; of equals the first, which is nearest to the area that the model paints best at."""
    return min(regions, key=lambda region: round(region.stretch, 2))


def _match_aspect(crop: Bounds, working: Extent, picture: Extent) -> Bounds:
    """The crop, widened on one side so that its shape is the working one: then nothing is stretched."""
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
    """One side resized: area averaging when shrinking (any coverage counts), nearest when enlarging."""
    shrinks = extent.area < painted.size
    method = cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST
    source = painted.astype(np.float32) if shrinks else painted
    return np.where(cv2.resize(source, (extent.width, extent.height), interpolation=method) > 0, 255, 0).astype(np.uint8)
