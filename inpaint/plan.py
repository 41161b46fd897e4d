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

    def smaller(self, request: EditRequest) -> EditPlan | None:
        """The same work area at half the pixels, or None where the model takes no smaller extent."""
        half = max(self.region.working.area // 2, self.limits.multiple**2)
        limits = replace(self.limits, max_pixels=half, native_pixels=self.limits.native_pixels and half)
        region = plan_region(request.picture.extent, self.opacity.bounds(), limits, self.region.crop)
        return EditPlan(self.opacity, region, limits) if region.working.area < self.region.working.area else None


def plan_whole(extent: Extent, limits: WorkingLimits) -> Region:
    """All of a picture, at the extent that the model paints best. Raises InvalidRequest."""
    return plan_region(extent, Bounds(0, 0, extent.width, extent.height), limits, "full")


def plan_edit(request: EditRequest, limits: WorkingLimits) -> EditPlan:
    """Decide, and touch no pixel of the picture. Raises EmptyMask, InvalidRequest."""
    opacity = blending_mask(request.mask, request.grow, request.feather)
    return EditPlan(opacity, plan_region(request.picture.extent, opacity.bounds(), limits, request.work_area), limits)
