"""run_edit with an engine that does what the test says: plan, engine, paste, report."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from inpaint.core.masks.mask import Mask
from inpaint.core.picture import Picture
from inpaint.core.plan import plan_edit, plan_whole
from inpaint.core.progress import Progress, ProgressCallback, UseAsIs
from inpaint.core.request import EditRequest, ReimagineRequest, SamplingParams, WorkArea
from inpaint.core.result import EditResult, StoppedAt
from inpaint.core.spec import WorkingLimits
from inpaint.editing.run import EVERYTHING_PAINTED, StageClock, run_edit, run_reimagine
from inpaint.engines.base import EngineInput, EngineOutput
from inpaint.errors import BadOutput, EditCancelled, EmptyMask, OutOfMemory
from tests.fakes import ANY_EXTENT, MULTIPLES_OF_64, FakeEngine, block, noise, paints, returns_its_input

H, W = 90, 140
MASKS = {
    "middle": block(H, W, 30, 40, 50, 70),
    "one pixel": block(H, W, 44, 70, 45, 71),
    "whole": block(H, W, 0, 0, H, W),
    "top left": block(H, W, 0, 0, 9, 11),
    "bottom right": block(H, W, 80, 130, H, W),
    "left edge": block(H, W, 0, 0, H, 2),
    "two islands": block(H, W, 0, 0, 5, 5) | block(H, W, 85, 135, H, W),
    "soft": (block(H, W, 30, 40, 50, 70) // 2).astype(np.uint8),
}


def request(
    mask: NDArray[np.uint8],
    pixels: NDArray[np.uint8] | None = None,
    *,
    grow: int = 0,
    feather: int = 6,
    count: int = 1,
    work_area: WorkArea = "auto",
) -> EditRequest:
    picture = Picture(noise(*mask.shape) if pixels is None else pixels, notices=("was CMYK",))
    return EditRequest(picture, Mask(mask), "fake", SamplingParams(seed=5), count, grow, feather, work_area, ("chosen",))


def ran(asked: EditRequest, engine: FakeEngine, limits: WorkingLimits = ANY_EXTENT) -> EditResult:
    return run_edit(asked, plan_edit(asked, limits), engine, StageClock(lambda progress: None, asked.count))


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("work_area", ["auto", "full"])
@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_an_engine_that_returns_its_input_returns_the_upload(mask: NDArray[np.uint8], work_area: WorkArea, channels: int) -> None:
    pixels = noise(H, W, channels)
    pixels[..., 3:] = 255
    result = ran(request(mask, pixels, work_area=work_area), FakeEngine(returns_its_input))
    assert np.array_equal(result.candidates[0].picture.pixels, pixels)


@pytest.mark.parametrize("limits", [ANY_EXTENT, MULTIPLES_OF_64], ids=["unscaled", "scaled"])
@pytest.mark.parametrize(("grow", "feather"), [(0, 0), (0, 6), (5, 0), (-3, 4), (20, 40)], ids=str)
@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_only_mask_and_band_change(mask: NDArray[np.uint8], grow: int, feather: int, limits: WorkingLimits) -> None:
    asked = request(mask, grow=grow, feather=feather)
    try:
        result = ran(asked, FakeEngine(paints(1, 2, 3)), limits)
    except EmptyMask:
        assert grow < 0
        return
    after, before = result.candidates[0].picture.pixels, asked.picture.pixels
    far = ~Mask(mask).within(max(grow, 0) + feather)
    assert np.array_equal(after[far], before[far])
    assert result.candidates[0].changed_outside == 0
    assert result.blend_band_px == max(grow, 0) + feather
    solid = Mask(mask).grow(grow).pixels == 255
    assert np.all(after[solid] == (1, 2, 3))


def test_the_engine_sees_hard_masks_of_the_working_extent() -> None:
    engine = FakeEngine()
    result = ran(request(MASKS["soft"]), engine, MULTIPLES_OF_64)
    assert result.region is not None
    (work,) = engine.seen
    assert work.mask.shape == result.region.working.shape and work.picture.shape == (*work.mask.shape, 3)
    assert set(np.unique(work.mask)) == {0, 255}


def test_each_candidate_has_its_own_seed_and_the_notices_are_told_once() -> None:
    engine = FakeEngine(notices=("cut to 77 tokens",))
    result = ran(request(MASKS["whole"], count=3), engine)
    assert [work.sampling.seed for work in engine.seen] == [5, 6, 7] == [candidate.seed for candidate in result.candidates]
    assert result.notices == ("was CMYK", "chosen", EVERYTHING_PAINTED, "cut to 77 tokens")


@pytest.mark.parametrize("stage", ["prior", "denoising", "decoding"])
@pytest.mark.parametrize("error", [OutOfMemory("Too little."), BadOutput("NaN."), EditCancelled()], ids=lambda e: type(e).__name__)
def test_an_engine_that_fails_at_a_stage(error: Exception, stage: str) -> None:
    engine = FakeEngine(fails={stage: error})
    with pytest.raises(type(error)):
        ran(request(MASKS["middle"]), engine)
    assert ran(request(MASKS["middle"]), FakeEngine()).candidates


@pytest.mark.parametrize("stage", ["prior", "denoising", "decoding", "compositing"])
def test_whoever_watches_may_stop_it_at_any_stage(stage: str) -> None:
    def stop(progress: Progress) -> None:
        if progress.stage == stage:
            raise EditCancelled

    asked = request(MASKS["middle"])
    with pytest.raises(EditCancelled):
        run_edit(asked, plan_edit(asked, ANY_EXTENT), FakeEngine(), StageClock(stop))


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda work: work.picture[:-1], id="a row short"),
        pytest.param(lambda work: work.picture[..., 0], id="grey"),
        pytest.param(lambda work: work.picture.astype(np.float32), id="float"),
        pytest.param(lambda work: np.dstack([work.picture, work.mask]), id="four channels"),
    ],
)
def test_a_wrong_picture_from_the_engine_is_never_pasted(wrong: object) -> None:
    with pytest.raises(BadOutput, match="instead of a picture"):
        ran(request(MASKS["middle"]), FakeEngine(wrong))


def test_the_seconds_are_booked_by_stage() -> None:
    result = ran(request(MASKS["middle"], count=2), FakeEngine(stages=("prior", "denoising", "prior")))
    assert set(result.seconds) == {"prior", "denoising", "compositing"}
    assert all(seconds >= 0 for seconds in result.seconds.values())


def test_an_empty_mask_runs_nothing() -> None:
    engine = FakeEngine()
    with pytest.raises(EmptyMask):
        ran(request(np.zeros((H, W), np.uint8)), engine)
    assert engine.seen == []


@pytest.mark.parametrize("shape", [(1, 1), (20, 16_000)], ids=str)
@pytest.mark.parametrize("limits", [ANY_EXTENT, MULTIPLES_OF_64], ids=["unscaled", "multiples of 64"])
def test_extreme_pictures(shape: tuple[int, int], limits: WorkingLimits) -> None:
    mask = np.zeros(shape, np.uint8)
    mask[0, 0] = 255
    result = ran(request(mask), FakeEngine(paints(9, 9, 9)), limits).candidates[0]
    assert result.picture.pixels.shape == (*shape, 3) and tuple(result.picture.pixels[0, 0]) == (9, 9, 9)
    assert result.changed_outside == 0


class Patient(FakeEngine):
    """Can be ended early after each of nine steps."""

    def inpaint(self, work: EngineInput, report: ProgressCallback) -> EngineOutput:
        report(Progress("prior"))
        try:
            for step in range(10):
                report(Progress("denoising", step, 9))
        except UseAsIs:
            pass
        report(Progress("decoding"))
        return EngineOutput(work.picture)


class Stubborn(Patient):
    """Cannot: it lets the request pass."""

    def inpaint(self, work: EngineInput, report: ProgressCallback) -> EngineOutput:
        report(Progress("denoising", 5, 9))
        return EngineOutput(work.picture)


class Enough:
    """Asks, from one moment on, to use what is there, as a job does: where there is something."""

    def __init__(self, candidate: int, stage: str, step: int) -> None:
        self._since = (candidate, stage, step)
        self._asked = False

    def __call__(self, progress: Progress) -> None:
        self._asked |= self._since == (progress.candidate, progress.stage, progress.step)
        if self._asked and progress.stage in ("prior", "denoising") and (progress.candidate > 1 or progress.step):
            raise UseAsIs


@pytest.mark.parametrize(
    ("engine", "count", "asked_at", "made", "stopped_at", "notice"),
    [
        pytest.param(Patient(), 1, (1, "denoising", 4), 1, StoppedAt(1, 4, 9), "Stopped at step 4 of 9, as asked.", id="the only one"),
        pytest.param(
            Patient(),
            4,
            (2, "denoising", 4),
            2,
            StoppedAt(2, 4, 9),
            "Candidate 2 of 4: stopped at step 4 of 9, as asked.",
            id="the second of four",
        ),
        *[
            pytest.param(Patient(), 4, at, 1, None, "Ended after candidate 1 of 4, as asked.", id=f"the second has no picture: {at}")
            for at in ((1, "decoding", 0), (2, "prior", 0), (2, "denoising", 0), (2, "denoising", 1))
        ],
        pytest.param(Stubborn(), 4, (2, "denoising", 5), 1, None, "Ended after candidate 1 of 4, as asked.", id="an engine that cannot"),
    ],
)
def test_used_as_it_is_no_candidate_is_a_blur(
    engine: FakeEngine, count: int, asked_at: tuple[int, str, int], made: int, stopped_at: StoppedAt | None, notice: str
) -> None:
    asked = EditRequest(Picture(noise(32, 32)), Mask(block(32, 32, 8, 8, 16, 16)), "fake", SamplingParams(seed=5), count)
    result = run_edit(asked, plan_edit(asked, ANY_EXTENT), engine, StageClock(Enough(*asked_at), count))
    assert [candidate.seed for candidate in result.candidates] == [5, 6][:made]
    assert (result.stopped_at, result.notices) == (stopped_at, (notice,))


def test_an_engine_that_cannot_end_early_is_cancelled_by_it() -> None:
    asked = request(MASKS["middle"])
    with pytest.raises(EditCancelled):
        run_edit(asked, plan_edit(asked, ANY_EXTENT), Stubborn(), StageClock(Enough(1, "denoising", 5)))


def test_a_picture_made_anew_keeps_name_colours_and_date() -> None:
    class Anew(FakeEngine):
        def reimagine(self, picture: NDArray[np.uint8], sampling: SamplingParams, report: ProgressCallback) -> EngineOutput:
            return EngineOutput(255 - picture)

    original = Picture(noise(32, 32), "beach", b"profile", "2024:05:06 07:08:09", ("was CMYK",))
    asked = ReimagineRequest(original, "fake", SamplingParams(seed=5))
    result = run_reimagine(asked, plan_whole(original.extent, ANY_EXTENT), Anew(), StageClock(lambda progress: None))
    made = result.candidates[0].picture
    assert (made.name, made.icc_profile, made.taken) == ("beach", b"profile", "2024:05:06 07:08:09")
    assert np.array_equal(made.pixels, 255 - original.pixels) and result.notices == ("was CMYK",)


def test_progress_names_the_candidate() -> None:
    heard = list[Progress]()
    asked = EditRequest(Picture(noise(32, 32)), Mask(block(32, 32, 8, 8, 16, 16)), "fake", SamplingParams(seed=5), count=3)
    run_edit(asked, plan_edit(asked, ANY_EXTENT), FakeEngine(), StageClock(heard.append, 3))
    assert [(p.candidate, p.candidates) for p in heard if p.stage == "denoising"] == [(1, 3), (2, 3), (3, 3)]


OF_64 = WorkingLimits(multiple=64, max_pixels=1_048_576, native_pixels=262_144, max_upscale=3.0)
"""Kandinsky 2.2's on a CPU."""


@pytest.mark.parametrize(
    ("size", "notices"),
    [
        pytest.param((512, 512), [], id="a size that the model takes"),
        pytest.param((1280, 1280), ["The picture is made at 512 x 512 px (it was 1280 x 1280)."], id="smaller"),
        pytest.param(
            (2000, 1500),
            ["The picture is made at 576 x 448 px (it was 2000 x 1500, of which the middle 1929 x 1500 px is seen)."],
            id="4:3",
        ),
        pytest.param(
            (200, 160), ["The picture is made at 576 x 448 px (it was 200 x 160, of which the middle 200 x 156 px is seen)."], id="5:4"
        ),
        pytest.param(
            (900, 40), ["The picture is made at 2432 x 128 px (it was 900 x 40, of which the middle 760 x 40 px is seen)."], id="a strip"
        ),
    ],
)
def test_a_picture_made_anew_is_cut_not_squeezed_and_its_size_is_said(size: tuple[int, int], notices: list[str]) -> None:
    class Anew(FakeEngine):
        def reimagine(self, picture: NDArray[np.uint8], sampling: SamplingParams, report: ProgressCallback) -> EngineOutput:
            return EngineOutput(picture)

    asked = ReimagineRequest(Picture(noise(size[1], size[0])), "fake", SamplingParams())
    plan = plan_whole(asked.picture.extent, OF_64)
    result = run_reimagine(asked, plan, Anew(), StageClock(lambda progress: None))
    assert list(result.notices) == notices and plan.region.stretch < 1.01
    smaller = plan.smaller()
    assert smaller is not None and smaller.region.stretch < 1.05 and smaller.region.working.area <= plan.region.working.area / 2
