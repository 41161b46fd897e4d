"""Which page gets which run: a reload its own, another page of the same person none of the others, and old ones nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from inpaint.config.settings import QueueLimits
from inpaint.jobs import job as jobs
from inpaint.jobs.job import Job
from inpaint.saving import Saved
from inpaint.ui.runs import resume
from inpaint.ui.runs.resume import ADOPTION_SECONDS, RESULT_SECONDS, RUNS_KEPT, OpenRun, OpenRuns
from tests.fakes import run_apart

AWAY_SECONDS = 60.0
NOTHING: Saved = Saved((), None, ())  # pyright: ignore[reportArgumentType]


class Done:
    """An executor that is done at once."""

    can_end_early = False

    def run(self, work: object, report: object) -> Saved:
        return NOTHING


@dataclass
class Pages:
    """Runs of Ann's pages, under a clock that the test moves. watchers: open while a page looks at its run."""

    now: list[float]
    runs: OpenRuns[OpenRun] = field(init=False)
    watchers: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        self.runs = OpenRuns(lambda: self.now[0])

    def start(self, page_id: str, *, person: str = "ann", watched: bool = False, finished: bool = False) -> OpenRun:
        job: Job[Saved] = Job("work", person, 1, page_id, limits=QueueLimits(away_seconds=AWAY_SECONDS))
        if watched:
            self.watchers.enter_context(job.watched())
        if finished:
            job.run(Done())
        run = OpenRun(job, {})
        self.runs.record(person, page_id, run)
        return run

    def open(self, page_id: str) -> OpenRun | None:
        """What a page of Ann's finds again when it is opened."""
        return run_apart(self.runs.wait_and_adopt("ann", page_id))


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pages]:
    monkeypatch.setattr(resume, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(resume, "RELOAD_SECONDS", 0.02)
    now = [1000.0]
    monkeypatch.setattr(jobs, "time", SimpleNamespace(monotonic=lambda: now[0]))
    pages = Pages(now)
    yield pages
    pages.watchers.close()


@pytest.mark.parametrize("finished", [False, True], ids=["running", "finished unseen"])
def test_a_new_page_takes_over_what_a_closed_one_left(pages: Pages, finished: bool) -> None:
    left = pages.start("first page", finished=finished)
    assert pages.open("second page") is left
    assert pages.runs.of("ann", "second page") is left and pages.runs.of("ann", "first page") is None


@pytest.mark.parametrize("case", ["still watched", "another person", "busy itself", "runs one itself"])
def test_what_is_not_its_own_stays_where_it_is(case: str, pages: Pages) -> None:
    person = "bob" if case == "another person" else "ann"
    left = pages.start("first page", person=person, watched=case == "still watched")
    if case == "busy itself":
        pages.runs.claim("ann", "second page")
    if case == "runs one itself":
        pages.start("second page")
    assert pages.open("second page") is None
    assert pages.runs.of(person, "first page") is left


def test_a_page_that_begins_something_while_it_waits_takes_nothing_over(pages: Pages) -> None:
    left = pages.start("first page", watched=True)

    async def waits() -> OpenRun | None:
        waiting = asyncio.create_task(pages.runs.wait_and_adopt("ann", "second page"))
        await asyncio.sleep(0)
        pages.runs.claim("ann", "second page")
        pages.watchers.close()
        return await waiting

    assert run_apart(waits()) is None and pages.runs.of("ann", "first page") is left


def test_of_two_pages_that_are_restored_together_each_gets_one_run(pages: Pages) -> None:
    older, newer = pages.start("first page"), pages.start("second page")
    assert [pages.open("third page"), pages.open("fourth page")] == [newer, older]


def test_a_run_that_was_found_again_is_no_other_pages_until_its_page_has_had_time_to_follow_it(pages: Pages) -> None:
    left = pages.start("first page")
    pages.now[0] += AWAY_SECONDS - 1
    assert pages.open("second page") is left
    assert pages.open("third page") is None
    pages.now[0] += ADOPTION_SECONDS - 1
    assert not left.job.is_abandoned, "whoever found it has the whole time of a reload again"
    pages.now[0] += 2
    assert pages.open("third page") is left, "the page that found it was closed before it followed"


@pytest.mark.parametrize(
    ("finished", "seconds", "is_there"),
    [
        pytest.param(False, AWAY_SECONDS - 1, True, id="running, away for less than the limit"),
        pytest.param(False, AWAY_SECONDS + 1, False, id="running, abandoned"),
        pytest.param(True, AWAY_SECONDS + 1, True, id="finished, away for longer than a reload takes"),
        pytest.param(True, RESULT_SECONDS + 1, False, id="finished, nobody came back"),
    ],
)
def test_how_long_a_run_is_remembered(finished: bool, seconds: float, is_there: bool, pages: Pages) -> None:
    left = pages.start("first page", finished=finished)
    pages.now[0] += seconds
    assert pages.open("second page") is (left if is_there else None)
    pages.runs.drop_old()
    assert (pages.runs.of("ann", "second page") is left) == is_there


def test_a_cancelled_run_is_nothing_to_come_back_to(pages: Pages) -> None:
    pages.start("first page").job.cancel()
    assert pages.open("second page") is None


def test_only_an_unfinished_job_is_this_pages_job(pages: Pages) -> None:
    pages.start("page", finished=True)
    assert pages.runs.unfinished("ann", "page") is None
    running = pages.start("page")
    assert pages.runs.unfinished("ann", "page") is running.job
    pages.runs.forget("ann", "page")
    assert pages.runs.unfinished("ann", "page") is None


def test_the_runs_that_are_remembered_are_bounded(pages: Pages) -> None:
    for number in range(RUNS_KEPT + 5):
        pages.start(str(number))
        pages.runs.claim("ann", str(number))
    assert pages.runs.of("ann", "4") is None and pages.runs.of("ann", "5") is not None
