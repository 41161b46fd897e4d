"""One edit, told in five steps. Knows no page, no queue and no file."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Sequence

import numpy as np

from inpaint.core.composite import changed_outside, composite
from inpaint.core.geometry import Extent
from inpaint.core.mask import Mask
from inpaint.core.picture import Picture
from inpaint.core.region import Region
from inpaint.core.request import EditRequest, GenerateRequest, ReimagineRequest, SamplingParams
from inpaint.core.result import Candidate, EditResult, Progress
from inpaint.engines.base import (
    Engine,
    EngineInput,
    EngineOutput,
    Generator,
    Inpainter,
    Pixels,
    Reimaginer,
    Report,
    UseAsIs,
)
from inpaint.errors import BadOutput
from inpaint.ladder import MemoryLadder
from inpaint.plan import EditPlan, Plan
from inpaint.sight import EditSight, NewSight, PlannedSight, Sight

Request = EditRequest | GenerateRequest | ReimagineRequest

EVERYTHING_PAINTED = "The whole picture is painted: all of it may change."


class StageClock:
    """Passes progress on with the candidate it belongs to, and keeps how many seconds each stage took and whether an early end was asked for."""

    def __init__(self, report: Report, candidates: int = 1) -> None:
        self._report = report
        self._candidates = candidates
        self.candidate = 1
        self._stage, self._since = "", time.perf_counter()
        self.seconds: dict[str, float] = {}
        self.ended_early = False
        self._notice = ""

    def say(self, notice: str) -> None:
        """A sentence for whoever watches, from now on."""
        self._notice = notice

    def __call__(self, progress: Progress) -> None:
        if progress.stage != self._stage:
            self.stop()
            self._stage = progress.stage
        try:
            self._report(dataclasses.replace(progress, candidate=self.candidate, candidates=self._candidates, notice=self._notice))
        except UseAsIs:
            self.ended_early = True
            raise

    def stop(self) -> None:
        """End the stage that is running and book its time."""
        now = time.perf_counter()
        if self._stage:
            self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + now - self._since
        self._stage, self._since = "", now


def run_edit(request: EditRequest, plan: EditPlan, engine: Inpainter, report: Report) -> EditResult:
    """Repaint the masked part; each candidate is sampled by itself with its own seed. Used as it is, the others are left out.

    plan: of plan_edit, which is made before the engine is loaded, so that what cannot be is refused at once.
    Raises EditCancelled (from report), OutOfMemory, BadOutput.
    """
    sight = EditSight(request.picture, plan)

    def paint(sampling: SamplingParams, clock: Report) -> EngineOutput:
        return engine.inpaint(EngineInput(sight.picture, sight.mask, sampling), clock)

    def paste(painted: Pixels, seed: int, clock: Report) -> Candidate:
        clock(Progress("compositing"))
        return _pasted(request, plan.opacity, sight.region, painted, seed)

    result = _run(request, engine, sight, report, paint, paste)
    notices = [*request.picture.notices, *request.notices, *([EVERYTHING_PAINTED] if request.mask.is_full else [])]
    return dataclasses.replace(_noticed(result, notices), region=sight.region, blend_band_px=request.blend_band_px)


def run_generate(request: GenerateRequest, engine: Generator, report: Report) -> EditResult:
    """First pictures from text; each candidate is sampled by itself with its own seed. Raises as run_edit does."""
    def keep(painted: Pixels, seed: int, clock: Report) -> Candidate:
        return Candidate(Picture(painted, request.model), seed, 0)

    return _run(request, engine, NewSight(request.sampling), report, engine.generate, keep)


def run_reimagine(request: ReimagineRequest, plan: Plan, engine: Reimaginer, report: Report) -> EditResult:
    """Pictures anew from a picture, at its working extent; each candidate is sampled by itself with its own seed. Raises as
    run_edit does."""
    sight = PlannedSight(request.picture, plan)

    def reimagine(sampling: SamplingParams, clock: Report) -> EngineOutput:
        return engine.reimagine(sight.picture, sampling, clock)

    def keep(painted: Pixels, seed: int, clock: Report) -> Candidate:
        return Candidate(dataclasses.replace(request.picture, pixels=painted), seed, 0)

    return _noticed(_run(request, engine, sight, report, reimagine, keep), request.picture.notices)


def _run(request: Request, engine: Engine, sight: Sight, report: Report,
         attempt: Callable[[SamplingParams, Report], EngineOutput], finish: Callable[[Pixels, int, Report], Candidate]) -> EditResult:
    """What the three have in common. attempt: one candidate by the engine. finish: from its pixels to the candidate."""
    clock = StageClock(report, request.count)
    ladder = MemoryLadder(engine, sight, clock.say)
    candidates: list[Candidate] = []
    notices: list[str] = []
    try:
        for clock.candidate, sampling in enumerate(_by_candidate(request.sampling, request.count), start=1):
            output = ladder.climb(functools.partial(attempt, sampling, clock), clock.candidate)
            _check_output(output.picture, sight.extent)
            candidates.append(finish(output.picture, sampling.seed, clock))
            notices.extend(output.notices)
            if clock.ended_early:
                break
    finally:
        engine.restore()
    clock.stop()
    return EditResult(tuple(candidates), request.model, request.sampling, None, 0, clock.seconds,
                      tuple(dict.fromkeys([*notices, *ladder.given_up])))


def _noticed(result: EditResult, before: Sequence[str]) -> EditResult:
    return dataclasses.replace(result, notices=tuple(dict.fromkeys([*before, *result.notices])))


def _check_output(picture: Pixels, working: Extent) -> None:
    """Nothing that a model may return wrong reaches a person's picture. Raises BadOutput."""
    if picture.dtype != np.uint8 or picture.shape != (*working.shape, 3):
        raise BadOutput(f"The model returned {picture.dtype} {picture.shape} instead of a picture of {working}.",
                        "Try another seed or model.")


def _by_candidate(sampling: SamplingParams, count: int) -> list[SamplingParams]:
    return [dataclasses.replace(sampling, seed=sampling.seed + k) for k in range(count)]


def _pasted(request: EditRequest, opacity: Mask, region: Region, painted: Pixels, seed: int) -> Candidate:
    picture = composite(request.picture, region.restore(painted), opacity, region)
    return Candidate(picture, seed, changed_outside(request.picture, picture, request.mask, request.blend_band_px))
