"""What to give up, one thing after another, when a device's memory runs out. Knows no device: the engine gives up its part first.

Never another device silently, and never for good: the next job starts with everything again.
"""

from __future__ import annotations

from inpaint.core.composite import visible_rgb
from inpaint.core.region import Region
from inpaint.core.request import EditRequest, SamplingParams
from inpaint.engines.base import EngineInput, EngineOutput, Inpainter, Pixels, Report
from inpaint.errors import OutOfMemory
from inpaint.plan import EditPlan

MEMORY_RAN_OUT = "Memory ran out, so"


class MemoryLadder:
    """Paints candidates of one edit. given_up: a sentence for each rung that was needed."""

    def __init__(self, request: EditRequest, plan: EditPlan, engine: Inpainter) -> None:
        self._request, self._engine = request, engine
        self.given_up: list[str] = []
        self._take(plan)

    @property
    def region(self) -> Region:
        return self._plan.region

    def paint(self, sampling: SamplingParams, report: Report) -> EngineOutput:
        """At the working extent of `region`, which may be smaller afterwards. Raises OutOfMemory after the last rung."""
        while True:
            try:
                return self._engine.inpaint(EngineInput(self._picture, self._mask, sampling), report)
            except OutOfMemory as error:
                refused = error.message
            # Left the except block: its traceback would keep the failed try's memory from being given back.
            self._step_down(refused)

    def _step_down(self, refused: str) -> None:
        relief = self._engine.relieve()
        if relief is not None:
            self.given_up.append(f"{MEMORY_RAN_OUT} {relief}.")
            return
        plan = self._plan.smaller(self._request)
        if plan is None:
            raise OutOfMemory(refused, "Nothing more can be given up; choose a smaller work area or close other programs.")
        self.given_up.append(f"{MEMORY_RAN_OUT} the model saw {plan.region.working} instead of {self.region.working} pixels.")
        self._take(plan)

    def _take(self, plan: EditPlan) -> None:
        self._plan = plan
        self._picture: Pixels = plan.region.take_picture(visible_rgb(self._request.picture))
        self._mask: Pixels = plan.region.take_mask(plan.opacity)
