"""One worker, first come first served; each job ends once, whatever it throws, and the next one runs as if nothing happened."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import pytest

from inpaint.core.geometry import Extent
from inpaint.core.progress import Progress, ProgressCallback
from inpaint.errors import BadOutput, Busy, EditCancelled, InpaintError, MachineError, ModelUnavailable, OutOfMemory
from inpaint.jobs.eta import Cost
from inpaint.jobs.job import Job
from inpaint.jobs.user_error import BUG
from inpaint.jobs.worker import Worker
from inpaint.logs import FIELDS, JsonLines, TextLines
from tests.fakes import Calls, noise

PATIENCE = 30


class StrRaises(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even this")


class NotEvenAnException(BaseException):
    pass


def raises(error: BaseException) -> Callable[[ProgressCallback], str]:
    def task(report: ProgressCallback) -> str:
        raise error

    return task


def finished(job: Job[str]) -> Job[str]:
    assert job.wait(PATIENCE)
    return job


class Gate:
    """A task that says when it runs and goes on when it is let."""

    def __init__(self, steps: int = 1) -> None:
        self.running, self.open, self.steps = threading.Event(), threading.Event(), steps

    def __call__(self, report: ProgressCallback) -> str:
        report(Progress("denoising"))
        self.running.set()
        assert self.open.wait(PATIENCE)
        for step in range(self.steps):
            report(Progress("denoising", step + 1, self.steps))
        return "painted"


@pytest.fixture
def worker() -> Worker:
    return Worker(Calls())


def test_jobs_run_in_the_order_they_came(worker: Worker) -> None:
    gate, ran = Gate(), list[int]()
    first = worker.submit(gate, "person 0")
    assert gate.running.wait(PATIENCE)
    jobs = [worker.submit(lambda report, k=k: ran.append(k) or str(k), f"person {k}") for k in range(1, 6)]
    assert [worker.place(job) for job in (first, *jobs)] == [0, 1, 2, 3, 4, 5]
    gate.open.set()
    assert [finished(job).outcome() for job in jobs] == ["1", "2", "3", "4", "5"]
    assert ran == [1, 2, 3, 4, 5]


def test_one_page_has_one_unfinished_job(worker: Worker) -> None:
    gate = Gate()
    job = worker.submit(gate, "ann", page_id="page")
    with pytest.raises(Busy, match="still going"):
        worker.submit(gate, "ann", page_id="page")
    assert worker.current("ann", "page") is job and worker.current("ann", "other page") is None
    assert worker.current("ben") is None
    gate.open.set()
    finished(job)
    assert worker.current("ann") is None
    assert finished(worker.submit(lambda report: "again", "ann", page_id="page")).outcome() == "again"


def test_a_waiting_job_is_cancelled_at_once_and_never_runs(worker: Worker) -> None:
    gate, ran = Gate(), list[str]()
    running = worker.submit(gate, "ann")
    assert gate.running.wait(PATIENCE)
    waiting = worker.submit(lambda report: ran.append("ran") or "", "ben")
    waiting.cancel()
    assert waiting.state == "cancelled" and waiting.is_finished
    again = worker.submit(lambda report: "after", "ben")
    gate.open.set()
    assert finished(running).outcome() == "painted"
    assert finished(again).outcome() == "after"
    assert ran == [] and waiting.state == "cancelled"


def test_a_running_job_stops_at_its_next_report(worker: Worker) -> None:
    gate = Gate(steps=100)
    job = worker.submit(gate, "ann")
    assert gate.running.wait(PATIENCE)
    job.cancel()
    gate.open.set()
    with pytest.raises(EditCancelled):
        finished(job).outcome()
    assert job.state == "cancelled" and job.progress is not None and job.progress.step == 0


def test_cancelling_a_finished_job_changes_nothing(worker: Worker) -> None:
    job = finished(worker.submit(lambda report: "kept", "ann"))
    job.cancel()
    assert job.state == "done" and job.outcome() == "kept"


@pytest.mark.parametrize(
    ("cancelled_after", "state"),
    [
        pytest.param(0, "cancelled", id="before the first report"),
        pytest.param(1, "cancelled", id="between two"),
        pytest.param(3, "done", id="after the last: there is nothing left to stop"),
    ],
)
def test_a_cancel_before_the_last_report_wins_and_one_after_it_loses(worker: Worker, cancelled_after: int, state: str) -> None:
    mine = list[Job[str]]()
    known = threading.Event()

    def task(report: ProgressCallback) -> str:
        assert known.wait(PATIENCE)
        for step in range(3):
            if step == cancelled_after:
                mine[0].cancel()
            report(Progress("denoising", step + 1, 3))
        mine[0].cancel()
        return "painted"

    mine.append(worker.submit(task, "ann"))
    known.set()
    assert finished(mine[0]).state == state
    assert mine[0].result == ("painted" if state == "done" else None)


def test_cancel_racing_with_the_end_leaves_one_whole_outcome() -> None:
    """Each round ends once and stays so. The first kind of task cannot be stopped any more, the last is always stopped in time."""
    told, outcomes = list[tuple[int, str]](), dict[int, set[str]]()
    worker = Worker(Calls(), on_state=lambda job, state: told.append((job.number, state)))
    for round_ in range(300):
        started, last = threading.Event(), round_ % 8 == 7

        def task(report: ProgressCallback, started: threading.Event = started, steps: int = 10**9 if last else round_ % 8) -> str:
            started.set()
            for step in range(steps):
                report(Progress("denoising", step, steps))
            return "painted"

        job = worker.submit(task, "ann")
        assert started.wait(PATIENCE)
        job.cancel()
        state = finished(job).state
        assert (job.result, type(job.error)) == (("painted", type(None)) if state == "done" else (None, EditCancelled))
        job.cancel()
        assert job.state == state
        outcomes.setdefault(round_ % 8, set()).add(state)
    finished(worker.submit(lambda report: "the last one is told of only after it", "ann"))
    ends = [number for number, state in told if state != "running"]
    assert outcomes[0] == {"done"} and outcomes[7] == {"cancelled"}
    assert sorted(ends)[:300] == list(range(1, 301)) and len(set(ends)) == len(ends)


@pytest.mark.parametrize(
    ("thrown", "state", "shown"),
    [
        pytest.param(ModelUnavailable("Not here."), "failed", ModelUnavailable, id="an error for the person"),
        pytest.param(EditCancelled(), "cancelled", EditCancelled, id="the engine gave up"),
        pytest.param(MemoryError(), "failed", OutOfMemory, id="the computer's memory"),
        pytest.param(ValueError("/root/secret token"), "failed", MachineError, id="a bug"),
        pytest.param(StrRaises(), "failed", MachineError, id="str raises"),
        pytest.param(SystemExit(3), "failed", MachineError, id="SystemExit"),
        pytest.param(KeyboardInterrupt(), "failed", MachineError, id="KeyboardInterrupt"),
        pytest.param(NotEvenAnException(), "failed", MachineError, id="BaseException"),
        pytest.param(ExceptionGroup("many", [ValueError(), StrRaises()]), "failed", MachineError, id="a group"),
    ],
)
def test_whatever_a_job_throws_the_next_one_runs(worker: Worker, thrown: BaseException, state: str, shown: type[InpaintError]) -> None:
    job = finished(worker.submit(raises(thrown), "ann"))
    assert job.state == state
    with pytest.raises(shown) as caught:
        job.outcome()
    assert "secret" not in str(caught.value)
    assert finished(worker.submit(lambda report: "fine", "ann")).outcome() == "fine"


def test_a_bug_is_told_in_the_log_with_its_traceback(worker: Worker, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger="inpaint.jobs.worker"):
        finished(worker.submit(raises(ZeroDivisionError("in the model")), "ann"))
    assert "ZeroDivisionError: in the model" in caplog.text


MINI = Cost("mini", "inpaint", Extent(64, 64), 2)
EVENT = {"job": 1, "model": "mini"}
BEGAN = (logging.INFO, "job begins", {**EVENT, "extent": "64 x 64"})


def ended(level: int, state: str, **why: str) -> tuple[int, str, dict[str, object]]:
    return level, "job ended", {**EVENT, "extent": "64 x 64", "state": state, **why}


def memory_runs_out_twice(report: ProgressCallback) -> str:
    for notice in ("", "Memory ran out, so one.", "Memory ran out, so one.", "Memory ran out, so two."):
        report(Progress("denoising", 1, 2, notice=notice))
    return "painted"


@pytest.mark.parametrize(
    ("task", "events"),
    [
        pytest.param(lambda report: "painted", [ended(logging.INFO, "done")], id="all is well"),
        pytest.param(
            memory_runs_out_twice,
            [
                (logging.WARNING, "Memory ran out, so one.", EVENT),
                (logging.WARNING, "Memory ran out, so two.", EVENT),
                ended(logging.INFO, "done"),
            ],
            id="every rung once",
        ),
        pytest.param(
            raises(BadOutput("NaN.", "Another seed.")),
            [ended(logging.WARNING, "failed", error="BadOutput", reason="NaN. Another seed.")],
            id="an error for the person",
        ),
        pytest.param(
            raises(EditCancelled()), [ended(logging.INFO, "cancelled", error="EditCancelled", reason="Cancelled.")], id="cancelled"
        ),
        pytest.param(
            raises(ZeroDivisionError("in the model")),
            [(logging.ERROR, "job failed", EVENT), ended(logging.WARNING, "failed", error="MachineError", reason=" ".join(BUG))],
            id="a bug",
        ),
    ],
)
def test_the_log_tells_a_job_from_its_beginning_to_its_end(
    worker: Worker,
    caplog: pytest.LogCaptureFixture,
    task: Callable[[ProgressCallback], str],
    events: list[tuple[int, str, dict[str, object]]],
) -> None:
    with caplog.at_level(logging.INFO, logger="inpaint.jobs.worker"):
        finished(worker.submit(task, "ann", cost=MINI))
        finished(worker.submit(lambda report: "its line comes after it ended", "ann"))
    told = [
        (r.levelno, r.getMessage(), {name: getattr(r, name) for name in FIELDS if hasattr(r, name) and name != "seconds"})
        for r in caplog.records
        if getattr(r, "job", 0) == 1
    ]
    assert told == [BEGAN, *events]


@pytest.mark.parametrize(
    ("form", "line"),
    [
        pytest.param(TextLines(), 'job ended job=1 extent="64 x 64" error=BadOutput reason="NaN. Another \'seed\'."', id="text"),
        pytest.param(
            JsonLines(),
            '"event": "job ended", "job": 1, "extent": "64 x 64", "error": "BadOutput", "reason": "NaN. Another \'seed\'."}',
            id="json",
        ),
    ],
)
def test_an_event_is_one_line_with_its_fields(form: logging.Formatter, line: str) -> None:
    fields = {"job": 1, "extent": "64 x 64", "error": "BadOutput", "reason": "NaN. Another 'seed'."}
    record = logging.getLogger("inpaint").makeRecord("inpaint.jobs.worker", logging.INFO, "", 0, "job ended", (), None, extra=fields)
    assert form.format(record).endswith(line)


def test_two_bugs_are_two_errors(worker: Worker) -> None:
    """One exception object raised twice would chain the tracebacks of unrelated people."""
    first, second = (finished(worker.submit(raises(ValueError()), "ann")).error for _ in range(2))
    assert first is not second


def test_progress_keeps_the_last_preview_of_its_stage(worker: Worker) -> None:
    preview = noise(4, 4)

    def task(report: ProgressCallback) -> str:
        report(Progress("denoising", 1, 3, preview))
        report(Progress("denoising", 2, 3))
        raise BadOutput("NaN.")

    job = finished(worker.submit(task, "ann"))
    assert job.progress is not None and job.progress.step == 2 and job.progress.preview is preview


def test_an_unfinished_job_has_no_outcome(worker: Worker) -> None:
    gate = Gate()
    job = worker.submit(gate, "ann")
    with pytest.raises(RuntimeError, match="not finished"):
        job.outcome()
    assert not job.wait(0)
    gate.open.set()
    finished(job)
