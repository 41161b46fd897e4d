"""run_edit with an engine that does what the test says: plan, engine, paste, report."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from inpaint.core.mask import Mask
from inpaint.core.picture import Picture
from inpaint.core.request import EditRequest, ReimagineRequest, SamplingParams, WorkArea
from inpaint.core.result import EditResult, Progress
from inpaint.core.spec import WorkingLimits
from inpaint.edit import EVERYTHING_PAINTED, run_edit, run_reimagine
from inpaint.engines.base import EngineInput, EngineOutput, Report, UseAsIs
from inpaint.errors import BadOutput, EditCancelled, EmptyMask, OutOfMemory
from inpaint.plan import plan_edit, plan_whole
from tests.fakes import ANY_EXTENT, MULTIPLES_OF_64, FakeEngine, block, noise, paints, returns_its_input

H, W = 90, 140
MASKS = {
    "middle": block(H, W, 30, 40, 50, 70), "one pixel": block(H, W, 44, 70, 45, 71), "whole": block(H, W, 0, 0, H, W),
    "top left": block(H, W, 0, 0, 9, 11), "bottom right": block(H, W, 80, 130, H, W), "left edge": block(H, W, 0, 0, H, 2),
    "two islands": block(H, W, 0, 0, 5, 5) | block(H, W, 85, 135, H, W),
    "soft": (block(H, W, 30, 40, 50, 70) // 2).astype(np.uint8),
}


def request(mask: NDArray[np.uint8], pixels: NDArray[np.uint8] | None = None, *, grow: int = 0, feather: int = 6,
            count: int = 1, work_area: WorkArea = "auto") -> EditRequest:
    picture = Picture(noise(*mask.shape) if pixels is None else pixels, notices=("was CMYK",))
    return EditRequest(picture, Mask(mask), "fake", SamplingParams(seed=5), count, grow, feather, work_area, ("chosen",))


def ran(asked: EditRequest, engine: FakeEngine, limits: WorkingLimits = ANY_EXTENT) -> EditResult:
    return run_edit(asked, plan_edit(asked, limits), engine, lambda progress: None)


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
    work, = engine.seen
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
        run_edit(asked, plan_edit(asked, ANY_EXTENT), FakeEngine(), stop)


@pytest.mark.parametrize("wrong", [
    pytest.param(lambda work: work.picture[:-1], id="a row short"), pytest.param(lambda work: work.picture[..., 0], id="grey"),
    pytest.param(lambda work: work.picture.astype(np.float32), id="float"),
    pytest.param(lambda work: np.dstack([work.picture, work.mask]), id="four channels"),
])
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


def test_used_as_it_is_the_other_candidates_are_left_out() -> None:
    """They would stop at their first step, and be noise."""
    class Patient(FakeEngine):
        def inpaint(self, work: EngineInput, report: Report) -> EngineOutput:
            try:
                report(Progress("denoising", 1, 9))
            except UseAsIs:
                return EngineOutput(work.picture, ("Stopped at step 1 of 9, as asked.",))
            return EngineOutput(work.picture)

    asked = EditRequest(Picture(noise(32, 32)), Mask(block(32, 32, 8, 8, 16, 16)), "fake", SamplingParams(seed=5), count=4)
    heard = list[Progress]()

    def second_time(progress: Progress) -> None:
        heard.append(progress)
        if [p.stage for p in heard].count("denoising") == 2 and progress.stage == "denoising":
            raise UseAsIs

    result = run_edit(asked, plan_edit(asked, ANY_EXTENT), Patient(), second_time)
    assert [candidate.seed for candidate in result.candidates] == [5, 6]
    assert result.notices == ("Stopped at step 1 of 9, as asked.",)


def test_a_picture_made_anew_keeps_name_colours_and_date() -> None:
    class Anew(FakeEngine):
        def reimagine(self, picture: NDArray[np.uint8], sampling: SamplingParams, report: Report) -> EngineOutput:
            return EngineOutput(255 - picture)

    original = Picture(noise(32, 32), "beach", b"profile", "2024:05:06 07:08:09", ("was CMYK",))
    asked = ReimagineRequest(original, "fake", SamplingParams(seed=5))
    result = run_reimagine(asked, plan_whole(original.extent, ANY_EXTENT), Anew(), lambda progress: None)
    made = result.candidates[0].picture
    assert (made.name, made.icc_profile, made.taken) == ("beach", b"profile", "2024:05:06 07:08:09")
    assert np.array_equal(made.pixels, 255 - original.pixels) and result.notices == ("was CMYK",)


def test_progress_names_the_candidate() -> None:
    heard = list[Progress]()
    asked = EditRequest(Picture(noise(32, 32)), Mask(block(32, 32, 8, 8, 16, 16)), "fake", SamplingParams(seed=5), count=3)
    run_edit(asked, plan_edit(asked, ANY_EXTENT), FakeEngine(), heard.append)
    assert [(p.candidate, p.candidates) for p in heard if p.stage == "denoising"] == [(1, 3), (2, 3), (3, 3)]
