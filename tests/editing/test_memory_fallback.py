"""Memory that runs out: rung after rung, each said, nothing kept from the next job, an end in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from inpaint.core.geometry import Extent
from inpaint.core.masks.mask import Mask
from inpaint.core.picture import Picture
from inpaint.core.plan import plan_edit, plan_whole
from inpaint.core.progress import Progress, ProgressCallback
from inpaint.core.request import EditRequest, GenerateRequest, ReimagineRequest, SamplingParams
from inpaint.core.result import EditResult
from inpaint.core.spec import WorkingLimits
from inpaint.editing.run import StageClock, run_edit, run_generate, run_reimagine
from inpaint.engines.base import EngineInput, EngineOutput, FreeMemory
from inpaint.errors import EditCancelled, OutOfMemory
from tests.fakes import ANY_EXTENT, block, noise

LIMITS = WorkingLimits(multiple=8, max_pixels=4096, native_pixels=4096, max_upscale=4.0)


@dataclass
class Cramped:
    """Has memory for `room` working pixels, and for more by each thing it gives up; `last` is worth all it needs."""

    room: int
    things: tuple[str, ...] = ()
    worth: int = 0
    last: str | None = None
    given: int = 0
    gave_last: bool = False
    device: str = "cuda"
    seen: list[Extent] = field(default_factory=list)

    def inpaint(self, work: EngineInput, report: ProgressCallback) -> EngineOutput:
        return self._made(Extent.of(work.picture), report)

    def reimagine(self, picture: NDArray[np.uint8], sampling: SamplingParams, report: ProgressCallback) -> EngineOutput:
        return self._made(Extent.of(picture), report)

    def generate(self, sampling: SamplingParams, report: ProgressCallback) -> EngineOutput:
        return self._made(Extent(sampling.width or 0, sampling.height or 0), report)

    def _made(self, extent: Extent, report: ProgressCallback) -> EngineOutput:
        report(Progress("denoising", 1, 1))
        self.seen.append(extent)
        if extent.area > self.room + self.given * self.worth and not self.gave_last:
            raise OutOfMemory("The device said no.")
        return EngineOutput(np.full((*extent.shape, 3), 7, np.uint8))

    def reduce_memory(self) -> str | None:
        if self.given == len(self.things):
            return None
        self.given += 1
        return self.things[self.given - 1]

    def reduce_memory_slowly(self) -> str | None:
        if self.last is None or self.gave_last:
            return None
        self.gave_last = True
        return self.last

    def restore(self) -> None:
        self.given, self.gave_last = 0, False

    def free_memory(self) -> FreeMemory:
        return FreeMemory(1_230_000_000, self.device)


Run = Callable[..., EditResult]


def request(count: int = 1) -> EditRequest:
    return EditRequest(Picture(noise(64, 64)), Mask(block(64, 64, 20, 20, 40, 40)), "fake", SamplingParams(), count)


def edited(engine: Cramped, count: int = 1) -> EditResult:
    asked = request(count)
    return run_edit(asked, plan_edit(asked, LIMITS), engine, StageClock(lambda progress: None, count))


def reimagined(engine: Cramped, count: int = 1) -> EditResult:
    asked = ReimagineRequest(Picture(noise(64, 64)), "fake", SamplingParams(), count)
    return run_reimagine(asked, plan_whole(asked.picture.extent, LIMITS), engine, StageClock(lambda progress: None, count))


def generated(engine: Cramped, count: int = 1) -> EditResult:
    return run_generate(
        GenerateRequest("fake", SamplingParams(width=64, height=64), count), engine, StageClock(lambda progress: None, count)
    )


def test_with_room_nothing_is_given_up() -> None:
    engine = Cramped(room=4096, things=("never",))
    assert edited(engine).notices == () and engine.seen == [Extent(64, 64)]


ONE, TWO, LAST = "Memory ran out, so one.", "Memory ran out, so two.", "Memory ran out, so the last."
FROM_64, FROM_40, FROM_24 = (
    f"Memory ran out, so the model saw {now} x {now} instead of {before} x {before} pixels."
    for before, now in ((64, 40), (40, 24), (24, 16))
)


@pytest.mark.parametrize("run", [edited, reimagined], ids=["inpaint", "image-to-image"])
@pytest.mark.parametrize(
    ("engine", "notices", "seen"),
    [
        pytest.param(Cramped(3000, ("one", "two"), 1100), (ONE,), [64, 64], id="one thing was enough"),
        pytest.param(Cramped(2000, ("one", "two"), 1100), (ONE, TWO), [64, 64, 64], id="two things"),
        pytest.param(Cramped(2048), (FROM_64,), [64, 40], id="a smaller extent"),
        pytest.param(Cramped(300, ("one",), 10), (ONE, FROM_64, FROM_40, FROM_24), [64, 64, 40, 24, 16], id="the smallest that fits"),
        pytest.param(
            Cramped(0, ("one",), 10, "the last"), (ONE, FROM_64, FROM_40, FROM_24, LAST), [64, 64, 40, 24, 16, 16], id="all of it"
        ),
    ],
)
def test_rungs_are_taken_in_order_and_said(run: Run, engine: Cramped, notices: tuple[str, ...], seen: list[int]) -> None:
    engine = replace(engine, seen=[])
    result = run(engine)
    assert result.notices == notices
    assert [extent.width for extent in engine.seen] == seen
    assert result.candidates[0].changed_outside == 0
    if run is edited:
        assert result.region is not None and result.region.working.width == seen[-1]
    else:
        assert result.candidates[0].picture.extent.width == seen[-1]


def test_each_rung_is_said_to_whoever_watches_as_it_is_taken() -> None:
    heard, asked = list[Progress](), request()
    run_edit(asked, plan_edit(asked, LIMITS), Cramped(0, ("one",), 10, "the last"), StageClock(heard.append))
    assert [progress.notice for progress in heard] == ["", ONE, FROM_64, FROM_40, FROM_24, LAST, LAST]


def test_a_picture_from_words_keeps_the_size_that_was_asked_for() -> None:
    engine = Cramped(2000, ("one",), 100, "the last")
    result = generated(engine)
    assert result.notices == (ONE, LAST) and engine.seen == [Extent(64, 64)] * 3
    assert result.candidates[0].picture.extent == Extent(64, 64)


def test_what_was_given_up_stays_so_for_the_other_candidates_and_not_for_the_next_job() -> None:
    engine = Cramped(3000, ("one",), 1100)
    assert edited(engine, count=3).notices == ("Memory ran out, so one.",)
    assert [extent.width for extent in engine.seen] == [64, 64, 64, 64], "one failed try, then three candidates"
    assert engine.given == 0


def test_candidates_that_were_made_before_memory_ran_out_are_told_apart() -> None:
    class Later(Cramped):
        def _made(self, extent: Extent, report: ProgressCallback) -> EngineOutput:
            self.room = 2048 if self.seen else 4096
            return super()._made(extent, report)

    assert edited(Later(4096), count=3).notices == (
        "From candidate 2 on: memory ran out, so the model saw 40 x 40 instead of 64 x 64 pixels.",
    )


@pytest.mark.parametrize(
    ("run", "size"),
    [
        (edited, "64 x 64 pixels, and for any size down to 16 x 16"),
        (reimagined, "64 x 64 pixels, and for any size down to 16 x 16"),
        (generated, "64 x 64 pixels"),
    ],
    ids=["inpaint", "image-to-image", "generate"],
)
def test_after_the_last_rung_a_sentence_with_the_size_asked_for_and_the_free_memory(run: Run, size: str) -> None:
    engine = Cramped(room=10, things=("one",))
    with pytest.raises(OutOfMemory) as caught:
        run(engine)
    assert caught.value.message == f"There is too little memory for {size}: 1.2 GB are free."
    assert "Nothing more can be given up" in caught.value.hint and ("smaller size" in caught.value.hint) == (run is generated)
    assert engine.given == 0
    assert run(Cramped(room=4096)).candidates


def test_an_extent_never_shrinks_below_a_sixteenth_although_the_model_would_take_it() -> None:
    """A fill takes any extent: it would end at a few pixels, and a picture made of these would count as a success."""
    asked = EditRequest(Picture(noise(200, 300)), Mask(block(200, 300, 50, 50, 150, 250)), "fake", SamplingParams())
    engine = Cramped(room=300)
    with pytest.raises(OutOfMemory, match="There is too little memory for 300 x 200 pixels"):
        run_edit(asked, plan_edit(asked, ANY_EXTENT), engine, StageClock(lambda progress: None))
    assert engine.seen[0] == Extent(300, 200) and engine.seen[-2].area > engine.seen[-1].area >= 300 * 200 / 16


def test_a_card_that_was_named_by_its_number_is_named_where_memory_is_too_little() -> None:
    with pytest.raises(OutOfMemory, match="1.2 GB are free on cuda:1"):
        edited(Cramped(room=10, device="cuda:1"))


def test_a_given_work_area_keeps_its_place_when_it_shrinks() -> None:
    asked = request()
    plan = plan_edit(asked, LIMITS)
    smaller = plan.smaller()
    assert smaller is not None
    assert smaller.region.crop == plan.region.crop and smaller.region.working.area <= plan.region.working.area / 2


def test_cancel_on_the_ladder_restores_too() -> None:
    engine, heard = Cramped(3000, ("one",), 1100), list[Progress]()

    def report(progress: Progress) -> None:
        heard.append(progress)
        if len(heard) == 2:
            raise EditCancelled

    asked = request()
    with pytest.raises(EditCancelled):
        run_edit(asked, plan_edit(asked, LIMITS), engine, StageClock(report))
    assert engine.given == 0
