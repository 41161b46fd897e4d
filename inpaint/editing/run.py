"""Runs an edit, a generation or a reimagination: each candidate by the engine, then pasted, checked and collected into a result.

This module knows no page, no queue and no file.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Sequence

import numpy as np

from inpaint.core.composite import changed_outside, composite
from inpaint.core.geometry import Extent
from inpaint.core.masks.mask import Mask
from inpaint.core.picture import Picture
from inpaint.core.plan import EditPlan, Plan
from inpaint.core.progress import Progress, ProgressCallback, UseAsIs
from inpaint.core.region import Region
from inpaint.core.request import EditRequest, GenerateRequest, ReimagineRequest, SamplingParams
from inpaint.core.result import Candidate, EditResult, StoppedAt
from inpaint.editing.memory_fallback import MemoryFallback
from inpaint.editing.model_view import EditView, ModelView, NewPictureView, PlannedView
from inpaint.engines.base import Engine, EngineInput, EngineOutput, Generator, Inpainter, Pixels, Reimaginer
from inpaint.errors import BadOutput, EditCancelled

Request = EditRequest | GenerateRequest | ReimagineRequest

EVERYTHING_PAINTED = "The whole picture is painted: all of it may change."


class EnoughMade(EditCancelled):
    """Raised when the person keeps what is there while a later candidate shows nothing yet. That candidate is left out; earlier
    ones are the result.
    """


class StageClock:
    """Passes progress on with its candidate's number. It also records the seconds of each stage, and where the person ended a
    candidate early.

    It starts before the engine is opened, so that loading is timed too.
    """

    def __init__(self, report: ProgressCallback, candidates: int = 1) -> None:
        self._report = report
        self.candidates = candidates
        self.candidate = 1
        self._stage, self._since = "", time.perf_counter()
        self.seconds: dict[str, float] = {}
        self.stopped_at: StoppedAt | None = None
        self._notice = ""

    def notice(self, notice: str) -> None:
        """Adds a sentence to every progress report from now on."""
        self._notice = notice

    def __call__(self, progress: Progress) -> None:
        """Passes progress on, and raises what the callback raises.

        A UseAsIs that comes before the second denoising step of a later candidate becomes EnoughMade: after one step the
        picture is only a blur.
        """
        if progress.stage != self._stage:
            self.stop()
            self._stage = progress.stage
        try:
            self._report(
                dataclasses.replace(progress, candidate=self.candidate, candidates=self.candidates, notice=self._notice or progress.notice)
            )
        except UseAsIs:
            if self.candidate > 1 and (progress.stage != "denoising" or progress.step <= 1):
                raise EnoughMade from None
            self.stopped_at = StoppedAt(self.candidate, progress.step, progress.total)
            raise

    def stop(self) -> None:
        """Ends the current stage and adds its time to `seconds`."""
        now = time.perf_counter()
        if self._stage:
            self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + now - self._since
        self._stage, self._since = "", now


def run_edit(request: EditRequest, plan: EditPlan, engine: Inpainter, clock: StageClock) -> EditResult:
    """Repaints the masked part. Each candidate is sampled by itself, with its own seed; if one is ended early, the remaining
    ones are left out.

    plan: made by plan_request before the engine is loaded, so that impossible requests fail at once. clock: of this run, for as
    many candidates. Raises EditCancelled (from the clock's callback), OutOfMemory, BadOutput.
    """
    view = EditView(request.picture, plan)

    def paint(sampling: SamplingParams, clock: ProgressCallback) -> EngineOutput:
        return engine.inpaint(EngineInput(view.picture, view.mask, sampling), clock)

    def paste(painted: Pixels, seed: int, clock: ProgressCallback) -> Candidate:
        clock(Progress("compositing"))
        return _pasted(request, plan.opacity, view.region, painted, seed)

    result = _run(request, engine, view, clock, paint, paste)
    notices = [*request.picture.notices, *request.notices, *([EVERYTHING_PAINTED] if request.mask.is_full else [])]
    return dataclasses.replace(_noticed(result, notices), region=view.region, blend_band_px=request.blend_band_px)


def run_generate(request: GenerateRequest, engine: Generator, clock: StageClock) -> EditResult:
    """Makes pictures from text. Each candidate is sampled by itself, with its own seed. Raises EditCancelled, OutOfMemory, BadOutput."""

    def keep(painted: Pixels, seed: int, clock: ProgressCallback) -> Candidate:
        return Candidate(Picture(painted, request.model), seed, 0)

    return _noticed(_run(request, engine, NewPictureView(request.sampling), clock, engine.generate, keep), request.notices)


def run_reimagine(request: ReimagineRequest, plan: Plan, engine: Reimaginer, clock: StageClock) -> EditResult:
    """Makes new pictures from a picture and a prompt, each sampled by itself with its own seed.

    The result has the plan's working extent; a notice says so if that differs from the picture's. Raises EditCancelled,
    OutOfMemory, BadOutput.
    """
    view = PlannedView(request.picture, plan)

    def reimagine(sampling: SamplingParams, clock: ProgressCallback) -> EngineOutput:
        return engine.reimagine(view.picture, sampling, clock)

    def keep(painted: Pixels, seed: int, clock: ProgressCallback) -> Candidate:
        return Candidate(dataclasses.replace(request.picture, pixels=painted), seed, 0)

    result = _run(request, engine, view, clock, reimagine, keep)
    return _noticed(result, [*request.picture.notices, *request.notices, *_size_words(request.picture.extent, plan.region)])


def _run(
    request: Request,
    engine: Engine,
    view: ModelView,
    clock: StageClock,
    attempt: Callable[[SamplingParams, ProgressCallback], EngineOutput],
    finish: Callable[[Pixels, int, ProgressCallback], Candidate],
) -> EditResult:
    """Makes the candidates of an edit, a generation or a reimagination.

    attempt: runs the engine for one candidate. finish: makes the candidate from the engine's pixels.
    """
    fallback = MemoryFallback(engine, view, clock.notice)
    candidates: list[Candidate] = []
    notices: list[str] = []
    try:
        for clock.candidate, sampling in enumerate(_by_candidate(request.sampling, request.count), start=1):
            output = fallback.run(functools.partial(attempt, sampling, clock), clock.candidate)
            _check_output(output.picture, view.extent)
            candidates.append(finish(output.picture, sampling.seed, clock))
            notices.extend(output.notices)
            if clock.stopped_at:
                break
    except (EnoughMade, UseAsIs):
        if not candidates:
            raise
        clock.stopped_at = None
        notices.append(f"Ended after candidate {len(candidates)} of {request.count}, as asked.")
    finally:
        engine.restore()
    clock.stop()
    said = [*notices, *_stopped_words(clock), *fallback.notices]
    return EditResult(
        tuple(candidates), request.model, request.sampling, None, 0, clock.seconds, tuple(dict.fromkeys(said)), clock.stopped_at
    )


def _stopped_words(clock: StageClock) -> list[str]:
    if clock.stopped_at is None:
        return []
    at = f"topped at step {clock.stopped_at.step} of {clock.stopped_at.total}, as asked."
    return [f"S{at}" if clock.candidates == 1 else f"Candidate {clock.stopped_at.candidate} of {clock.candidates}: s{at}"]


def _noticed(result: EditResult, before: Sequence[str]) -> EditResult:
    return dataclasses.replace(result, notices=tuple(dict.fromkeys([*before, *result.notices])))


def _size_words(picture: Extent, region: Region) -> list[str]:
    """Returns a notice if the result has another size than its picture. It also says which part of the picture was seen."""
    if region.working == picture:
        return []
    seen = "" if region.crop.extent == picture else f", of which the middle {region.crop.extent} px is seen"
    return [f"The picture is made at {region.working} px (it was {picture}{seen})."]


def _check_output(picture: Pixels, working: Extent) -> None:
    """Raises BadOutput if the model returned anything but a picture of the working extent."""
    if picture.dtype != np.uint8 or picture.shape != (*working.shape, 3):
        raise BadOutput(
            f"The model returned {picture.dtype} {picture.shape} instead of a picture of {working}.", "Try another seed or model."
        )


def _by_candidate(sampling: SamplingParams, count: int) -> list[SamplingParams]:
    return [dataclasses.replace(sampling, seed=sampling.seed + k) for k in range(count)]


def _pasted(request: EditRequest, opacity: Mask, region: Region, painted: Pixels, seed: int) -> Candidate:
    picture = composite(request.picture, region.restore(painted), opacity, region)
    return Candidate(picture, seed, changed_outside(request.picture, picture, request.mask, request.blend_band_px))
