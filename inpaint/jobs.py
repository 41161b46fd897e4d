"""One worker thread owns the models; jobs queue before it, can be watched and cancelled. Knows no page and no files.

A Job is the one mutable object of the app, and only this module changes it.
"""

from __future__ import annotations

import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from inpaint.core.result import Progress
from inpaint.engines.base import Report
from inpaint.errors import Busy, EditCancelled, InpaintError, MachineError, OutOfMemory

State = Literal["waiting", "running", "done", "failed", "cancelled"]
Result = TypeVar("Result")
log = logging.getLogger(__name__)

OUR_FAULT = ("Something went wrong inside the app; this is a bug, not your fault.",
             "The log has the details. Your picture and mask are untouched.")
NO_MEMORY = ("The computer's memory is too small for this edit.", "Close other programs, or choose a smaller work area.")


@dataclass(eq=False)
class Job(Generic[Result]):
    """One piece of work. person: whose it is; one person has one unfinished job at most."""

    task: Callable[[Report], Result]
    person: str
    number: int
    state: State = "waiting"
    progress: Progress | None = None
    result: Result | None = None
    error: InpaintError | None = None
    started: float | None = None
    _cancelled: threading.Event = field(default_factory=threading.Event)
    _finished: threading.Event = field(default_factory=threading.Event)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_finished(self) -> bool:
        return self._finished.is_set()

    @property
    def seconds(self) -> float:
        """Since it began to run."""
        return time.monotonic() - self.started if self.started is not None else 0.0

    def cancel(self) -> None:
        """Takes effect at the engine's next report; a waiting job ends at once. A finished one stays as it is."""
        with self._turn:
            self._cancelled.set()
            if self.state == "waiting":
                self._end("cancelled", EditCancelled())

    def wait(self, seconds: float | None = None) -> bool:
        return self._finished.wait(seconds)

    def outcome(self) -> Result:
        """The result of a finished job; raises its error."""
        if self.error is not None:
            raise self.error
        if self.result is None:
            raise RuntimeError("the job has not finished")
        return self.result

    def _report(self, progress: Progress) -> None:
        if self._cancelled.is_set():
            raise EditCancelled
        if progress.preview is None and self.progress is not None and self.progress.stage == progress.stage:
            progress = Progress(progress.stage, progress.step, progress.total, self.progress.preview)
        self.progress = progress

    def run(self) -> None:
        """Called by the worker, once."""
        with self._turn:
            if self.is_finished:
                return
            self.state, self.started = "running", time.monotonic()
        try:
            self.result = self.task(self._report)
            self._end("done")
        except EditCancelled as stopped:
            self._end("cancelled", stopped)
        except InpaintError as error:
            self._end("failed", error)
        except MemoryError:
            self._end("failed", OutOfMemory(*NO_MEMORY))
        except BaseException as bug:  # the worker outlives whatever a model throws; the log keeps the traceback
            log.error("job %d failed", self.number, exc_info=bug)
            self._end("failed", MachineError(*OUR_FAULT))

    def _end(self, state: State, error: InpaintError | None = None) -> None:
        self.state, self.error = state, error
        self._finished.set()


class Worker:
    """Runs jobs one after another, in the order they came, on a thread of its own."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Job[object] | None] = queue.SimpleQueue()
        self._unfinished: dict[str, Job[object]] = {}
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._thread: threading.Thread | None = None

    def submit(self, task: Callable[[Report], Result], person: str) -> Job[Result]:
        """Queue a task. Raises Busy where the same person has an unfinished job."""
        with self._lock:
            current = self._unfinished.get(person)
            if current is not None and not current.is_finished:
                raise Busy("Your last run is still going.", "Wait for it, or cancel it first.")
            job: Job[Result] = Job(task, person, next(self._numbers))
            self._unfinished[person] = job  # pyright: ignore[reportArgumentType]
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="inpaint-worker", daemon=True)
                self._thread.start()
        self._queue.put(job)  # pyright: ignore[reportArgumentType]
        return job

    def current(self, person: str) -> Job[object] | None:
        """The person's unfinished job, if there is one."""
        job = self._unfinished.get(person)
        return job if job is not None and not job.is_finished else None

    def place(self, job: Job[Result]) -> int:
        """How many unfinished jobs are before this one; 0 = it is its turn."""
        with self._lock:
            return sum(other.number < job.number and not other.is_finished for other in self._unfinished.values())

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            job.run()
            self._forget(job)

    def _forget(self, job: Job[object]) -> None:
        with self._lock:
            if self._unfinished.get(job.person) is job:
                del self._unfinished[job.person]
