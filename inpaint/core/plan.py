"""Decides how the model will see a picture, before anything runs. It touches no pixel of the picture and knows no engine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from inpaint.core.composite import blending_mask
from inpaint.core.geometry import Bounds, Extent
from inpaint.core.masks.mask import Mask
from inpaint.core.region import Region, WorkArea, plan_region
from inpaint.core.request import EditRequest
from inpaint.core.spec import WorkingLimits


@dataclass(frozen=True, eq=False)
class Plan:
    """How the model will see a picture, decided before anything runs.

    region: the crop that the model sees, and its size. limits: the working extents that the size was chosen from.
    """

    region: Region
    limits: WorkingLimits

    def smaller(self) -> Self | None:
        """Returns the same crop at half the pixels, or None if the model takes no smaller extent."""
        limits, crop = _halved(self.limits, self.region), self.region.crop
        working = _working_extent(crop.extent, limits)
        return replace(self, region=Region(crop, working), limits=limits) if working.area < self.region.working.area else None


@dataclass(frozen=True, eq=False)
class WholePlan(Plan):
    """A plan in which the model sees the whole picture. What does not fit the working shape is cut off at two opposite edges, so
    nothing is distorted.

    picture: the extent of the whole picture.
    """

    picture: Extent

    def smaller(self) -> Self | None:
        """Returns the same picture at half the pixels, cut to the new shape, or None if the model takes no smaller extent."""
        limits = _halved(self.limits, self.region)
        region = _middle_region(self.picture, limits)
        return replace(self, region=region, limits=limits) if region.working.area < self.region.working.area else None


@dataclass(frozen=True, eq=False)
class EditPlan(Plan):
    """A plan of an edit. opacity: how opaque the new picture is at each pixel, in upload space."""

    opacity: Mask


def plan_whole(extent: Extent, limits: WorkingLimits) -> WholePlan:
    """Plans to show the model a whole picture at the extent it paints best. The picture is cut to that shape, and never distorted."""
    return WholePlan(_middle_region(extent, limits), limits, extent)


def plan_edit(
    picture: Extent, mask: Mask, limits: WorkingLimits, *, grow: int = 0, feather: int = 0, work_area: WorkArea = "auto"
) -> EditPlan:
    """Returns how the masked part of a picture of that extent will be seen; no pixel of the picture is needed.

    mask: upload space, of the picture's extent. grow, feather: px. Raises EmptyMask, InvalidRequest.
    """
    opacity = blending_mask(mask, grow, feather)
    return EditPlan(plan_region(picture, opacity.bounds(), limits, work_area), limits, opacity)


def plan_request(request: EditRequest, limits: WorkingLimits) -> EditPlan:
    """Returns how the model will see the request's picture. Raises EmptyMask, InvalidRequest."""
    return plan_edit(request.picture.extent, request.mask, limits, grow=request.grow, feather=request.feather, work_area=request.work_area)


def _middle_region(picture: Extent, limits: WorkingLimits) -> Region:
    working = _working_extent(picture, limits)
    return Region(Bounds.middle(picture, working), working)


def _working_extent(extent: Extent, limits: WorkingLimits) -> Extent:
    """Returns the working extent whose shape is nearest to `extent`, for showing all of it."""
    return plan_region(extent, Bounds.whole(extent), limits, "full").working


def _halved(limits: WorkingLimits, region: Region) -> WorkingLimits:
    half = max(region.working.area // 2, limits.multiple**2)
    return replace(limits, max_pixels=half, native_pixels=limits.native_pixels and half)
