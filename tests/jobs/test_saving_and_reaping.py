"""The worker saves before it tells that a job is done, questions change nothing, and what nobody waits for is taken away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from inpaint.config.settings import QueueLimits
from inpaint.core.progress import Progress, ProgressCallback
from inpaint.errors import MachineError, StorageFull
from inpaint.jobs.job import ABANDONED, Job
from inpaint.jobs.worker import Worker
from tests.fakes import Calls

PATIENCE = 30


def quick(report: ProgressCallback) -> str:
    return "painted"


def until(true: Callable[[], bool]) -> None:
    last = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < last
        time.sleep(0.005)


def test_a_job_is_done_once_its_result_is_saved() -> None:
    saving, go_on = threading.Event(), threading.Event()
    threads = list[str]()

    def save(output: str) -> str:
        threads.append(threading.current_thread().name)
        saving.set()
        assert go_on.wait(PATIENCE)
        return f"{output} and saved"

    job = Worker(Calls()).submit(quick, "ann", save=save)
    assert saving.wait(PATIENCE)
    assert not job.is_finished and job.progress is not None and job.progress.stage == "saving"
    go_on.set()
    assert job.wait(PATIENCE) and job.state == "done" and job.outcome() == "painted and saved"
    assert threads == ["inpaint-worker"]


def test_nobody_has_to_look_for_a_result_to_be_saved() -> None:
    saved = list[str]()
    worker = Worker(Calls(), QueueLimits(away_seconds=0.05))
    job = worker.submit(lambda report: time.sleep(0.1) or "painted", "ann", save=lambda output: saved.append(output) or output)
    assert job.wait(PATIENCE) and job.state == "done" and saved == ["painted"]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [(StorageFull("The disk is full."), StorageFull), (ZeroDivisionError("a bug"), MachineError)],
    ids=["the disk refuses", "a bug"],
)
def test_a_result_that_cannot_be_saved_fails_the_job_and_not_the_worker(fault: Exception, kind: type[Exception]) -> None:
    def save(output: str) -> str:
        raise fault

    worker = Worker(Calls())
    job = worker.submit(quick, "ann", save=save)
    assert job.wait(PATIENCE) and job.state == "failed" and isinstance(job.error, kind)
    after = worker.submit(quick, "ann")
    assert after.wait(PATIENCE) and after.state == "done"


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda worker, left: worker.place(left), id="place"),
        pytest.param(lambda worker, left: worker.seconds_left(left), id="seconds left"),
        pytest.param(lambda worker, left: worker.queue_length, id="queue length"),
        pytest.param(lambda worker, left: worker.current("ben"), id="current"),
    ],
)
def test_questions_change_nothing(ask: Callable[[Worker, Job[str]], object], monkeypatch: pytest.MonkeyPatch) -> None:
    told = list[str]()
    worker = Worker(Calls(), QueueLimits(away_seconds=1e9), on_state=lambda job, state: told.append(state))
    running, gate = threading.Event(), threading.Event()

    def hold(report: ProgressCallback) -> str:
        running.set()
        assert gate.wait(PATIENCE)
        return "painted"

    worker.submit(hold, "ann")
    left = worker.submit(quick, "ben")
    assert running.wait(PATIENCE)
    monkeypatch.setattr(Job, "is_abandoned", property(lambda job: job is left))
    before = list(told)
    ask(worker, left)
    assert (left.state, told) == ("waiting", before)
    assert worker.queue_length == 0 and worker.current("ben") is None, "it counts for nothing, all the same"
    gate.set()


def test_who_was_left_in_the_queue_is_taken_out_while_another_job_runs() -> None:
    is_over = threading.Event()

    def steps(report: ProgressCallback) -> str:
        while not is_over.wait(0.005):
            report(Progress("denoising", 1, 2))
        return "painted"

    worker = Worker(Calls(), QueueLimits(away_seconds=0.1, stall_seconds=0.4))
    running = worker.submit(steps, "ann")
    with running.watched():
        left = worker.submit(quick, "ben")
        assert left.wait(PATIENCE) and left.state == "cancelled" and left.error is not None and left.error.message == ABANDONED
        assert not running.is_finished
        is_over.set()
        assert running.wait(PATIENCE)


def test_whoever_asked_is_called_at_every_look() -> None:
    calls = list[str]()
    worker = Worker(Calls(), QueueLimits(stall_seconds=0.1))
    worker.every_look(lambda: calls.append("looked") or 1 / 0)  # pyright: ignore[reportArgumentType]
    worker.submit(quick, "ann")
    until(lambda: len(calls) > 2)
    worker.stop(PATIENCE)
