"""What a model sees of a picture: pixels at a working extent that can shrink when memory runs out. Knows no engine."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from inpaint.core.composite import visible_rgb
from inpaint.core.geometry import Extent
from inpaint.core.picture import Picture
from inpaint.core.plan import EditPlan, Plan
from inpaint.core.region import Region
from inpaint.core.request import SamplingParams

Pixels = NDArray[np.uint8]


SMALLEST_SHARE = 16
"""A shortage of memory may shrink a working extent to one sixteenth of its pixels, which is a quarter of each side. With less the
model sees too little to continue it, and the result would be useless."""


class ModelView(Protocol):
    """Anything that has a working extent which may shrink."""

    @property
    def extent(self) -> Extent:
        """The current working extent."""
        ...

    def shrink(self) -> bool:
        """Halves the pixels from now on and returns True.

        Returns False and changes nothing if there is no smaller extent, or if it would be too small to be of use.
        """
        ...


class PlannedView:
    """The part of a picture that a plan shows to the model. picture: uint8 [h, w, 3] RGB."""

    def __init__(self, whole: Picture, plan: Plan) -> None:
        self._whole = whole
        self._least = plan.region.working.area / SMALLEST_SHARE
        self._take(plan)

    @property
    def region(self) -> Region:
        return self._plan.region

    @property
    def extent(self) -> Extent:
        return self._plan.region.working

    def shrink(self) -> bool:
        plan = self._plan.smaller()
        if plan is None or plan.region.working.area < self._least:
            return False
        self._take(plan)
        return True

    def _take(self, plan: Plan) -> None:
        self._plan = plan
        self.picture: Pixels = plan.region.take_picture(visible_rgb(self._whole))


class EditView(PlannedView):
    """The work area of an edit, with its mask. mask: uint8 [h, w], only 0 and 255."""

    def __init__(self, whole: Picture, plan: EditPlan) -> None:
        self._opacity = plan.opacity
        super().__init__(whole, plan)

    def _take(self, plan: Plan) -> None:
        super()._take(plan)
        self.mask: Pixels = plan.region.take_mask(self._opacity)


class NewPictureView:
    """The view of a picture made from text: the model sees nothing, and the size that was asked for cannot shrink."""

    def __init__(self, sampling: SamplingParams) -> None:
        self._extent = Extent(sampling.width or 1, sampling.height or 1)

    @property
    def extent(self) -> Extent:
        return self._extent

    def shrink(self) -> bool:
        return False
