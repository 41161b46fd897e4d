"""What is decided of an edit before anything runs. Touches no pixel of the picture; knows no engine."""

from __future__ import annotations

from dataclasses import dataclass, replace

from inpaint.core.composite import blending_mask
from inpaint.core.geometry import Bounds, Extent
from inpaint.core.mask import Mask
from inpaint.core.region import Region, plan_region
from inpaint.core.request import EditRequest
from inpaint.core.spec import WorkingLimits


@dataclass(frozen=True, eq=False)
class EditPlan:
    """What is decided before anything runs. opacity: of the new picture, upload space. region: where the model will look.

    limits: the working extents that it was chosen from.
    """

    opacity: Mask
    region: Region
    limits: WorkingLimits

    def smaller(self) -> EditPlan | None:
        """The same work area at half the pixels, or None where the model takes no smaller extent."""
        limits = _halved(self.limits, self.region)
        region = plan_region(self.opacity.extent, self.opacity.bounds(), limits, self.region.crop)
        return EditPlan(self.opacity, region, limits) if region.working.area < self.region.working.area else None


@dataclass(frozen=True)
class WholePlan:
    """All of a picture, as the model will see it. limits: the working extents that it was chosen from."""

    region: Region
    limits: WorkingLimits

    def smaller(self) -> WholePlan | None:
        """Half the pixels, or None where the model takes no smaller extent."""
        plan = plan_whole(self.region.crop.extent, _halved(self.limits, self.region))
        return plan if plan.region.working.area < self.region.working.area else None


def plan_whole(extent: Extent, limits: WorkingLimits) -> WholePlan:
    """All of a picture, at the extent that the model paints best. Raises InvalidRequest."""
    return WholePlan(plan_region(extent, Bounds.whole(extent), limits, "full"), limits)


def plan_edit(request: EditRequest, limits: WorkingLimits) -> EditPlan:
    """Decide, and touch no pixel of the picture. Raises EmptyMask, InvalidRequest."""
    opacity = blending_mask(request.mask, request.grow, request.feather)
    return EditPlan(opacity, plan_region(request.picture.extent, opacity.bounds(), limits, request.work_area), limits)


def _halved(limits: WorkingLimits, region: Region) -> WorkingLimits:
    half = max(region.working.area // 2, limits.multiple**2)
    return replace(limits, max_pixels=half, native_pixels=limits.native_pixels and half)
