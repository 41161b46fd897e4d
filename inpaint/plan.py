"""What is decided of an edit before anything runs. Touches no pixel of the picture; knows no engine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from inpaint.core.composite import blending_mask
from inpaint.core.geometry import Bounds, Extent
from inpaint.core.mask import Mask
from inpaint.core.region import Region, plan_region
from inpaint.core.request import EditRequest
from inpaint.core.spec import WorkingLimits


@dataclass(frozen=True, eq=False)
class Plan:
    """How the model will see a picture, decided before anything runs. region: where it looks.

    limits: the working extents that it was chosen from.
    """

    region: Region
    limits: WorkingLimits

    def smaller(self) -> Self | None:
        """The same crop at half the pixels, or None where the model takes no smaller extent."""
        limits, crop = _halved(self.limits, self.region), self.region.crop
        working = plan_whole(crop.extent, limits).region.working
        return replace(self, region=Region(crop, working), limits=limits) if working.area < self.region.working.area else None


@dataclass(frozen=True, eq=False)
class EditPlan(Plan):
    """opacity: of the new picture, upload space."""

    opacity: Mask


def plan_whole(extent: Extent, limits: WorkingLimits) -> Plan:
    """All of a picture, at the extent that the model paints best. Raises InvalidRequest."""
    return Plan(plan_region(extent, Bounds.whole(extent), limits, "full"), limits)


def plan_edit(request: EditRequest, limits: WorkingLimits) -> EditPlan:
    """Decide, and touch no pixel of the picture. Raises EmptyMask, InvalidRequest."""
    opacity = blending_mask(request.mask, request.grow, request.feather)
    return EditPlan(plan_region(request.picture.extent, opacity.bounds(), limits, request.work_area), limits, opacity)


def _halved(limits: WorkingLimits, region: Region) -> WorkingLimits:
    half = max(region.working.area // 2, limits.multiple**2)
    return replace(limits, max_pixels=half, native_pixels=limits.native_pixels and half)
