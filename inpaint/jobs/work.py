"""What a job does, as plain data that can be sent to another process, and how an engine does it. Knows no queue and no files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from inpaint.core.geometry import Extent
from inpaint.core.plan import EditPlan, Plan
from inpaint.core.progress import ProgressCallback
from inpaint.core.request import EditRequest, GenerateRequest, ReimagineRequest
from inpaint.core.result import EditResult
from inpaint.core.spec import Task
from inpaint.editing.run import StageClock, run_edit, run_generate, run_reimagine
from inpaint.jobs.eta import Cost


@dataclass(frozen=True, eq=False)
class EditWork:
    """Repaint the masked part of a picture, as it was planned."""

    task: ClassVar[Task] = "inpaint"
    request: EditRequest
    plan: EditPlan

    @property
    def extent(self) -> Extent:
        """What the model sees."""
        return self.plan.region.working


@dataclass(frozen=True, eq=False)
class GenerateWork:
    """First pictures from text."""

    task: ClassVar[Task] = "generate"
    request: GenerateRequest

    @property
    def extent(self) -> Extent:
        """What the model makes."""
        return Extent(self.request.sampling.width or 1, self.request.sampling.height or 1)


@dataclass(frozen=True, eq=False)
class ReimagineWork:
    """Pictures anew from a picture, as it was planned."""

    task: ClassVar[Task] = "image-to-image"
    request: ReimagineRequest
    plan: Plan

    @property
    def extent(self) -> Extent:
        """What the model sees."""
        return self.plan.region.working


Work = EditWork | GenerateWork | ReimagineWork


def do(work: Work, open_engine: Callable[[ProgressCallback], Any], report: ProgressCallback) -> EditResult:
    """open_engine: gives that of the work's model and task; what it takes counts as loading.

    Raises what that raises, and what the run raises: EditCancelled (from report), OutOfMemory, BadOutput.
    """
    clock = StageClock(report, work.request.count)
    engine = open_engine(clock)
    match work:
        case EditWork():
            return run_edit(work.request, work.plan, engine, clock)
        case GenerateWork():
            return run_generate(work.request, engine, clock)
        case ReimagineWork():
            return run_reimagine(work.request, work.plan, engine, clock)


def cost_of(work: Work) -> Cost:
    """What the work's time depends on. A strength below 1 leaves the first steps out."""
    sampling = work.request.sampling
    each = max(1.0, (sampling.num_inference_steps or 1) * (1.0 if sampling.strength is None else sampling.strength))
    return Cost(work.request.model, work.task, work.extent, work.request.count * each)
