"""Many people, one worker: turns, limits, estimates, leaving and coming back, time limit, keeping, shutdown."""

from __future__ import annotations

import contextlib
import contextvars
import gc
import threading
import time
import weakref
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from inpaint.config.settings import QueueLimits
from inpaint.core.geometry import Extent
from inpaint.core.progress import Progress, ProgressCallback, Stage, UseAsIs
from inpaint.errors import Busy, EditCancelled, JobTimeout, MachineError
from inpaint.jobs import job as jobs_clock
from inpaint.jobs.eta import Cost
from inpaint.jobs.job import ABANDONED, Job
from inpaint.jobs.worker import Worker
from tests.fakes import Calls

PATIENCE = 30


class Gate:
    """A task that says when it runs and goes on when it is let."""

    def __init__(self) -> None:
        self.running, self.open = threading.Event(), threading.Event()

    def __call__(self, report: ProgressCallback) -> str:
        self.running.set()
        assert self.open.wait(PATIENCE)
        report(Progress("denoising", 1, 1))
        return "painted"


def stepping(until: Callable[[], bool] = lambda: False) -> Callable[[ProgressCallback], str]:
    """A task that reports until it is stopped from outside."""

    def task(report: ProgressCallback) -> str:
        step, last = 0, time.monotonic() + PATIENCE
        while not until() and time.monotonic() < last:
            step += 1
            report(Progress("denoising", step, 1000))
            time.sleep(0.001)
        return "painted"

    return task


def blocked(worker: Worker) -> Gate:
    """Somebody else's job holds the worker until its gate opens."""
    gate = Gate()
    worker.submit(gate, "somebody else").watched().__enter__()
    assert gate.running.wait(PATIENCE)
    return gate


def quick(report: ProgressCallback) -> str:
    return "done"


def test_one_who_queues_many_does_not_hold_up_the_others() -> None:
    worker, ran = Worker(Calls()), list[str]()
    gate = blocked(worker)
    jobs = [worker.submit(lambda report, who=who: ran.append(who) or "", who) for who in ("ann", "ann", "ann", "ben", "cem")]
    gate.open.set()
    assert all(job.wait(PATIENCE) for job in jobs)
    assert ran == ["ann", "ben", "cem", "ann", "ann"]


def test_twenty_clients_with_two_hundred_jobs_are_all_served_fairly() -> None:
    """Each client keeps three jobs in the queue, as a page would, until ten are done; waits are counted in turns."""
    worker, lock, turns = Worker(Calls(), QueueLimits(overall=100)), threading.Lock(), list[str]()
    gate = blocked(worker)
    waits: dict[str, list[int]] = {}

    def client(name: str) -> None:
        def task(report: ProgressCallback, asked: int) -> str:
            with lock:
                turns.append(name)
                waits.setdefault(name, []).append(len(turns) - asked)
            return name

        jobs: list[Job[str]] = []
        for _ in range(10):
            while len([job for job in jobs if not job.is_finished]) >= 3:
                time.sleep(0.001)
            with lock:
                asked = len(turns)
            jobs.append(worker.submit(lambda report, asked=asked: task(report, asked), name))
        assert all(job.wait(PATIENCE) for job in jobs)

    people = [threading.Thread(target=client, args=(f"client {k}",)) for k in range(20)]
    for person in people:
        person.start()
    gate.open.set()
    for person in people:
        person.join(PATIENCE)
    overall = sum(map(sum, waits.values())) / 200
    assert len(turns) == 200
    assert {name: len(mine) for name, mine in waits.items()} == {f"client {k}": 10 for k in range(20)}
    assert max(sum(mine) / len(mine) for mine in waits.values()) <= 1.5 * overall


def test_a_person_has_at_most_three_and_is_told() -> None:
    worker = Worker(Calls())
    gate = blocked(worker)
    for _ in range(3):
        worker.submit(quick, "ann")
    with pytest.raises(Busy, match="3 runs"):
        worker.submit(quick, "ann")
    assert worker.submit(quick, "ben").state == "waiting"
    gate.open.set()


def test_everybody_is_told_when_the_queue_is_full() -> None:
    worker = Worker(Calls(), QueueLimits(overall=4))
    gate = blocked(worker)
    for person in "abc":
        worker.submit(quick, person)
    with pytest.raises(Busy, match="Everybody is busy: 4"):
        worker.submit(quick, "d")
    gate.open.set()


def test_a_cancelled_place_is_free_again() -> None:
    worker = Worker(Calls(), QueueLimits(per_person=1))
    gate = blocked(worker)
    worker.submit(quick, "ann").cancel()
    job = worker.submit(quick, "ann")
    gate.open.set()
    assert job.wait(PATIENCE) and job.outcome() == "done"


def test_waiting_time_is_known_once_the_kind_has_run() -> None:
    worker = Worker(Calls())
    cost = Cost("mini", "inpaint", Extent(256, 256), 20)
    first = worker.submit(quick, "ann", cost=cost)
    assert first.wait(PATIENCE)
    gate = blocked(worker)
    waiting = worker.submit(quick, "ann", cost=cost)
    assert worker.seconds_left(waiting) is None, "the running job is of an unknown kind"
    assert worker.pace.estimate(cost) == pytest.approx(first.seconds)
    gate.open.set()
    assert waiting.wait(PATIENCE) and worker.seconds_left(waiting) == 0.0


def test_a_job_whose_watcher_left_goes_on_and_is_found_again() -> None:
    worker = Worker(Calls())
    gate = Gate()
    job = worker.submit(gate, "ann", page_id="page")
    with job.watched():
        assert gate.running.wait(PATIENCE)
    assert worker.current("ann") is job and not job.is_abandoned
    with job.watched():
        gate.open.set()
        assert job.wait(PATIENCE) and job.outcome() == "painted"


@pytest.mark.parametrize("runs", [True, False], ids=["running", "waiting"])
def test_a_job_that_nobody_came_back_for_is_cancelled(runs: bool) -> None:
    worker = Worker(Calls(), QueueLimits(away_seconds=0.5))
    gate = None if runs else blocked(worker)
    job = worker.submit(stepping(), "ann")
    with job.watched():
        pass
    if gate is not None:
        gate.open.set()
    assert job.wait(PATIENCE) and job.state == "cancelled"
    assert job.error is not None and job.error.message == ABANDONED


def test_a_job_that_nobody_ever_came_to_watch_is_cancelled_too() -> None:
    """Its page was closed between the press of Run and the first look."""
    job = Worker(Calls(), QueueLimits(away_seconds=0.05)).submit(stepping(), "ann")
    assert job.wait(PATIENCE) and job.state == "cancelled"


def test_who_left_while_waiting_stands_before_nobody(clock: list[float]) -> None:
    worker = Worker(Calls(), QueueLimits(away_seconds=60, stall_seconds=1e9))
    gate = blocked(worker)
    left, mine = worker.submit(quick, "ben"), worker.submit(quick, "cem")
    with mine.watched():
        with left.watched():
            assert worker.place(mine) == 2
        clock[0] = 61.0
        assert worker.place(mine) == 1 and left.state == "waiting", "a question changes nothing"
        worker.reap()
        assert left.state == "cancelled" and left.error is not None and left.error.message == ABANDONED
        gate.open.set()
        assert mine.wait(PATIENCE)


@pytest.mark.parametrize(("seconds", "said"), [(20.0, "20 seconds"), (90.0, "90 seconds"), (120.0, "2 minutes"), (1800.0, "30 minutes")])
def test_a_job_that_takes_too_long_is_stopped_and_says_so(clock: list[float], seconds: float, said: str) -> None:
    worker = Worker(Calls(), QueueLimits(job_seconds=seconds, away_seconds=1e9, stall_seconds=1e9))

    def task(report: ProgressCallback) -> str:
        clock[0] += seconds + 1
        report(Progress("denoising", 1, 9))
        return "done"

    job = worker.submit(task, "ann")
    assert job.wait(PATIENCE)
    with pytest.raises(JobTimeout, match=f"longer than {said} and was stopped"):
        job.outcome()
    again = worker.submit(quick, "ann")
    assert again.wait(PATIENCE) and again.outcome() == "done"


def test_keep_reaches_an_engine_that_can() -> None:
    def task(report: ProgressCallback) -> str:
        for step in range(1, 1000):
            try:
                report(Progress("denoising", step, 1000))
            except UseAsIs:
                return f"stopped at {step}"
            time.sleep(0.001)
        return "ran to its end"

    worker = Worker(Calls())
    job = worker.submit(task, "ann")
    while job.progress is None:
        time.sleep(0.001)
    job.keep()
    assert job.wait(PATIENCE) and job.outcome().startswith("stopped at ")


@pytest.mark.parametrize(
    ("candidate", "stage", "step", "is_asked"),
    [
        (1, "loading", 0, False),
        (1, "prior", 3, False),
        (1, "denoising", 0, False),
        (1, "denoising", 1, True),
        (1, "decoding", 1, False),
        (2, "loading", 0, True),
        (2, "prior", 3, True),
        (2, "denoising", 0, True),
        (2, "denoising", 1, True),
        (2, "decoding", 1, False),
        (2, "compositing", 0, False),
    ],
    ids=str,
)
def test_keep_is_asked_for_where_there_is_a_picture(candidate: int, stage: Stage, step: int, is_asked: bool) -> None:
    """Of this candidate a step, or the candidates before it."""

    def task(report: ProgressCallback) -> bool:
        try:
            report(Progress(stage, step, 9, candidate=candidate, candidates=2))
        except UseAsIs:
            return True
        return False

    worker = Worker(Calls())
    gate = blocked(worker)
    job = worker.submit(task, "ann")
    job.keep()
    gate.open.set()
    assert job.wait(PATIENCE) and job.outcome() is is_asked


def test_keep_before_the_first_step_waits_for_it() -> None:
    def task(report: ProgressCallback) -> str:
        report(Progress("prior", 1, 1))
        report(Progress("denoising", 0, 1))
        with pytest.raises(UseAsIs):
            report(Progress("denoising", 1, 1))
        return "kept"

    worker = Worker(Calls())
    gate = blocked(worker)
    job = worker.submit(task, "ann")
    job.keep()
    gate.open.set()
    assert job.wait(PATIENCE) and job.outcome() == "kept"


def test_keep_cancels_an_engine_that_cannot() -> None:
    worker = Worker(Calls())
    job = worker.submit(stepping(), "ann")
    job.keep()
    assert job.wait(PATIENCE) and job.state == "cancelled" and isinstance(job.error, EditCancelled)


def test_stopping_tells_those_who_wait_and_takes_no_more() -> None:
    worker = Worker(Calls())
    running = worker.submit(stepping(), "ann")
    while running.state != "running":
        time.sleep(0.001)
    waiting = worker.submit(quick, "ben")
    worker.stop(grace_seconds=PATIENCE)
    assert running.state == "cancelled" and running.error is not None and "stopping" in running.error.message
    assert waiting.state == "cancelled" and waiting.error is not None and "stopping" in waiting.error.message
    with pytest.raises(Busy, match="stopping"):
        worker.submit(quick, "cem")


def test_an_engine_that_does_not_stop_in_time_is_not_waited_for() -> None:
    told = list[str]()
    worker = Worker(Calls(), on_state=lambda job, state: told.append(state))
    gate = Gate()
    running = worker.submit(gate, "ann")
    assert gate.running.wait(PATIENCE)
    worker.stop(grace_seconds=0.05)
    assert running.state == "cancelled" and running.error is not None and "stopping" in running.error.message
    assert told == ["running", "cancelled"]
    gate.open.set()
    until(lambda: not worker.is_busy)
    assert running.state == "cancelled" and told == ["running", "cancelled"]


def test_a_listener_hears_of_every_job_and_its_own_failure_ends_nothing() -> None:
    told = list[tuple[int, str]]()

    def listener(job: Job[str], state: str) -> None:
        told.append((job.number, state))
        raise RuntimeError("the listener's own fault")

    worker = Worker(Calls(), on_state=listener)
    kept = worker.submit(stepping(), "ann")
    cancelled = worker.submit(quick, "ben")
    cancelled.cancel()
    kept.keep()
    last = worker.submit(quick, "cem")
    assert last.wait(PATIENCE)
    after = worker.submit(quick, "cem")
    assert after.wait(PATIENCE)
    assert [state for number, state in told if number == 1] == ["running", "cancelled"]
    assert [state for number, state in told if number == 2] == ["cancelled"]
    assert [state for number, state in told if number == 3] == ["running", "done"]


def test_a_job_that_was_cancelled_while_it_waited_takes_no_turn_and_no_memory() -> None:
    worker, ran = Worker(Calls(), QueueLimits(overall=5)), list[str]()
    gate = blocked(worker)

    class Picture:
        """Stands for the pixels that a task holds."""

    kept = list[weakref.ref[Picture]]()
    for _ in range(50):
        picture = Picture()
        kept.append(weakref.ref(picture))
        worker.submit(lambda report, picture=picture: "", "ann").cancel()
    del picture
    assert worker.queue_length == 0
    gc.collect()
    assert [ref for ref in kept if ref() is not None] == []
    order = [worker.submit(lambda report, who=who: ran.append(who) or "", who) for who in ("ann", "ben", "ann")]
    order[0].cancel()
    gate.open.set()
    assert all(job.wait(PATIENCE) for job in order)
    assert ran == ["ann", "ben"]


def test_a_cancelled_job_lets_go_of_what_its_run_held() -> None:
    class Tensor:
        """Stands for activations in a frame of the failed run."""

    held = list[weakref.ref[Tensor]]()

    def task(report: ProgressCallback) -> str:
        tensor = Tensor()
        held.append(weakref.ref(tensor))
        while True:
            report(Progress("denoising", 1, 9))
            time.sleep(0.001)

    worker = Worker(Calls())
    gc.disable()
    try:
        job = worker.submit(task, "ann")
        while job.progress is None:
            time.sleep(0.001)
        job.cancel()
        assert job.wait(PATIENCE) and job.state == "cancelled"
        assert held[0]() is None
    finally:
        gc.enable()


def test_an_early_end_and_the_loading_teach_no_pace() -> None:
    def task(report: ProgressCallback) -> str:
        report(Progress("loading"))
        time.sleep(0.3)
        with contextlib.suppress(UseAsIs):
            report(Progress("denoising", 1, 9))
        return "done"

    worker, cost = Worker(Calls()), Cost("mini", "inpaint", Extent(256, 256))
    early = worker.submit(task, "ann", cost=cost)
    early.keep()
    assert early.wait(PATIENCE) and early.state == "done"
    whole = worker.submit(task, "ann", cost=cost)
    assert worker.seconds_left(whole) is None
    assert whole.wait(PATIENCE)
    last = worker.submit(quick, "ann")
    assert last.wait(PATIENCE)
    learned = worker.pace.estimate(cost)
    assert learned is not None and learned <= whole.seconds - 0.3


def until(true: Callable[[], bool]) -> None:
    last = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < last, "it never came"
        time.sleep(0.01)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The jobs' clock, which stands still unless a test moves it."""
    now = [0.0]
    monkeypatch.setattr(jobs_clock, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=time.sleep))
    return now


KNOWN = Cost("mini", "inpaint", Extent(256, 256), 50)
LOADED_FOR_30 = (30.0, 100.0, 5.0)
"""What such a job took before: its loading, the rest, and what of that came after its steps."""


@pytest.mark.parametrize(
    ("learned", "script", "left"),
    [
        pytest.param(
            None,
            [
                (1, Progress("loading")),
                (9, Progress("prior", 1, 9)),
                (1, Progress("denoising", 0, 50)),
                (2, Progress("denoising", 1, 50)),
                (78, Progress("denoising", 40, 50)),
                (1, None),
            ],
            [None, None, None, 98, 20, 19],
            id="the first of its kind, by its steps",
        ),
        pytest.param(
            LOADED_FOR_30,
            [(0, Progress("loading")), (20, None), (20, None), (5, Progress("prior", 0, 9)), (10, Progress("prior", 1, 9))],
            [130, 110, 100, 100, 90],
            id="loading is no computing",
        ),
        pytest.param(LOADED_FOR_30, [(0, Progress("prior", 0, 9)), (10, Progress("denoising", 0, 50))], [100, 90], id="nothing is loaded"),
        pytest.param(
            LOADED_FOR_30,
            [
                (0, Progress("denoising", 0, 50)),
                (200, Progress("denoising", 25, 50)),
                (200, Progress("denoising", 50, 50)),
                (2, Progress("decoding")),
            ],
            [100, 205, 5, 3],
            id="slower than the last one",
        ),
        pytest.param(
            LOADED_FOR_30,
            [(0, Progress("denoising", 0, 50)), (20, Progress("denoising", 25, 50)), (0.4, Progress("loading")), (9, None)],
            [100, 25, 24.6, 24.6],
            id="loading between two steps",
        ),
    ],
)
def test_what_is_left_of_a_run(
    clock: list[float], learned: tuple[float, float, float] | None, script: list[tuple[float, Progress | None]], left: list[float | None]
) -> None:
    """script: seconds that pass, then what the engine says."""
    worker = Worker(Calls(), QueueLimits(job_seconds=1e9, away_seconds=1e9, stall_seconds=1e9))
    if learned is not None:
        loading, computed, after_steps = learned
        worker.pace.learn(KNOWN, computed, loading, after_steps)

    def task(report: ProgressCallback) -> list[float | None]:
        seen, mine = list[float | None](), worker.current("ann")
        assert mine is not None
        for seconds, said in script:
            clock[0] += seconds
            if said is not None:
                report(said)
            seen.append(worker.seconds_left(mine))
        return seen

    job = worker.submit(task, "ann", cost=KNOWN)
    assert job.wait(PATIENCE) and job.outcome() == [None if seconds is None else pytest.approx(seconds) for seconds in left]


def test_a_hung_engine_ends_its_job_and_those_that_wait_for_their_watchers(clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
    worker = Worker(Calls(), QueueLimits(stall_seconds=0.2))
    gate = Gate()
    running = worker.submit(gate, "ann")
    assert gate.running.wait(PATIENCE)
    waiting = worker.submit(quick, "ben")
    assert not worker.is_hung
    with running.watched(), waiting.watched():
        clock[0] = 0.3
        for job in (running, waiting):
            assert job.wait(PATIENCE)
            assert job.state == "failed" and job.error is not None and "stopped answering" in str(job.error)
    assert worker.is_hung and "has not answered" in caplog.text
    with pytest.raises(MachineError, match="stopped answering"):
        worker.submit(quick, "cem")
    gate.open.set()
    until(lambda: not worker.is_hung)
    assert running.state == "failed" and running.result is None, "what came too late changes nothing"
    after = worker.submit(quick, "cem")
    assert after.wait(PATIENCE) and after.outcome() == "done" and waiting.state == "failed"


def test_an_engine_that_talks_is_not_hung(clock: list[float]) -> None:
    worker = Worker(Calls(), QueueLimits(stall_seconds=900, away_seconds=1e9, job_seconds=1e9))

    def task(report: ProgressCallback) -> list[bool]:
        hung = list[bool]()
        for silence in (800, 800, 800, 1000, 800):
            clock[0] += silence
            hung.append(worker.is_hung)
            report(Progress("denoising"))
        return hung

    job = worker.submit(task, "ann")
    assert job.wait(PATIENCE) and job.outcome() == [False, False, False, True, False]


def test_the_work_runs_in_the_context_of_whoever_asked() -> None:
    """A GPU that is lent by the request finds the request there, whichever job comes after which."""
    asking: contextvars.ContextVar[str] = contextvars.ContextVar("asking", default="nobody")
    worker = Worker(Calls())
    gate = blocked(worker)
    asked = list[Job[str]]()
    for name in ("ann", "ben"):
        contextvars.copy_context().run(lambda name=name: (asking.set(name), asked.append(worker.submit(lambda report: asking.get(), name))))
    asked.append(worker.submit(lambda report: asking.get(), "cem"))
    gate.open.set()
    assert all(job.wait(PATIENCE) for job in asked)
    assert [job.outcome() for job in asked] == ["ann", "ben", "nobody"]


def test_two_pages_of_one_person_take_turns_and_neither_stops_the_other() -> None:
    worker = Worker(Calls())
    gate = blocked(worker)
    first, second = worker.submit(quick, "ann", page_id="page 1"), worker.submit(quick, "ann", page_id="page 2")
    stranger = worker.submit(quick, "ben", page_id="page 3")
    assert worker.current("ann", "page 1") is first and worker.current("ann", "page 2") is second
    assert [worker.place(job) for job in (first, stranger, second)] == [1, 2, 3]
    with pytest.raises(Busy, match="still going"):
        worker.submit(quick, "ann", page_id="page 1")
    first.cancel()
    assert worker.current("ann", "page 1") is None and worker.current("ann", "page 2") is second
    gate.open.set()
    assert second.wait(PATIENCE) and second.outcome() == "done" and first.state == "cancelled"
