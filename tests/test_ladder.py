"""Memory that runs out: rung after rung, each said, nothing kept from the next job, an end in words."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from inpaint.core.geometry import Extent
from inpaint.core.mask import Mask
from inpaint.core.picture import Picture
from inpaint.core.request import EditRequest, SamplingParams
from inpaint.core.result import Progress
from inpaint.core.spec import WorkingLimits
from inpaint.edit import run_edit
from inpaint.engines.base import EngineInput, EngineOutput, Report
from inpaint.errors import EditCancelled, OutOfMemory
from inpaint.plan import plan_edit
from tests.fakes import block, noise

LIMITS = WorkingLimits(multiple=8, max_pixels=4096, native_pixels=4096, max_upscale=4.0)


@dataclass
class Cramped:
    """Has memory for `room` working pixels, and for more by each thing it gives up."""

    room: int
    things: tuple[str, ...] = ()
    worth: int = 0
    given: int = 0
    seen: list[Extent] = field(default_factory=list)

    def inpaint(self, work: EngineInput, report: Report) -> EngineOutput:
        report(Progress("denoising", 1, 1))
        extent = Extent.of(work.picture)
        self.seen.append(extent)
        if extent.area > self.room + self.given * self.worth:
            raise OutOfMemory(f"There is too little memory for {extent}.")
        return EngineOutput(np.full_like(work.picture, 7))

    def relieve(self) -> str | None:
        if self.given == len(self.things):
            return None
        self.given += 1
        return self.things[self.given - 1]

    def restore(self) -> None:
        self.given = 0


def request(count: int = 1) -> EditRequest:
    return EditRequest(Picture(noise(64, 64)), Mask(block(64, 64, 20, 20, 40, 40)), "fake", SamplingParams(), count)


def run(engine: Cramped, count: int = 1):
    asked = request(count)
    return run_edit(asked, plan_edit(asked, LIMITS), engine, lambda progress: None)


def test_with_room_nothing_is_given_up() -> None:
    engine = Cramped(room=4096, things=("never",))
    assert run(engine).notices == () and engine.seen == [Extent(64, 64)]


@pytest.mark.parametrize(("room", "things", "worth", "notices", "seen"), [
    pytest.param(3000, ("one", "two"), 1100, ("Memory ran out, so one.",), [64, 64], id="one thing was enough"),
    pytest.param(2000, ("one", "two"), 1100, ("Memory ran out, so one.", "Memory ran out, so two."), [64, 64, 64], id="two things"),
    pytest.param(2048, (), 0, ("Memory ran out, so the model saw 40 x 40 instead of 64 x 64 pixels.",), [64, 40], id="a smaller extent"),
    pytest.param(300, ("one",), 10, (
        "Memory ran out, so one.", "Memory ran out, so the model saw 40 x 40 instead of 64 x 64 pixels.",
        "Memory ran out, so the model saw 24 x 24 instead of 40 x 40 pixels.",
        "Memory ran out, so the model saw 16 x 16 instead of 24 x 24 pixels."), [64, 64, 40, 24, 16], id="all of it"),
])
def test_rungs_are_taken_in_order_and_said(room: int, things: tuple[str, ...], worth: int, notices: tuple[str, ...],
                                          seen: list[int]) -> None:
    engine = Cramped(room, things, worth)
    result = run(engine)
    assert result.notices == notices
    assert [extent.width for extent in engine.seen] == seen
    assert result.region is not None and result.region.working.width == seen[-1]
    assert result.candidates[0].changed_outside == 0


def test_what_was_given_up_stays_so_for_the_other_candidates_and_not_for_the_next_job() -> None:
    engine = Cramped(3000, ("one",), 1100)
    assert run(engine, count=3).notices == ("Memory ran out, so one.",)
    assert [extent.width for extent in engine.seen] == [64, 64, 64, 64], "one failed try, then three candidates"
    assert engine.given == 0


def test_after_the_last_rung_a_sentence_with_the_size() -> None:
    engine = Cramped(room=10, things=("one",))
    with pytest.raises(OutOfMemory, match="too little memory for 8 x 8") as caught:
        run(engine)
    assert "Nothing more can be given up" in caught.value.hint
    assert engine.given == 0
    assert run(Cramped(room=4096)).candidates


def test_a_given_work_area_keeps_its_place_when_it_shrinks() -> None:
    asked = request()
    plan = plan_edit(asked, LIMITS)
    smaller = plan.smaller(asked)
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
        run_edit(asked, plan_edit(asked, LIMITS), engine, report)
    assert engine.given == 0
