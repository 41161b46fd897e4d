"""One job: its state, its progress, who watches it, and how it is stopped. Knows no page, no files and not what the work is.

A Job is the one mutable object of the app. Only the worker ends it; anybody may read it, and no reading changes it.
"""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Literal, Protocol, TypeVar

from inpaint.config.settings import QueueLimits
from inpaint.core.progress import Progress, ProgressCallback, UseAsIs
from inpaint.errors import EditCancelled, InpaintError, JobTimeout
from inpaint.jobs.eta import Cost, StepRate
from inpaint.jobs.user_error import as_user_error

State = Literal["waiting", "running", "done", "failed", "cancelled"]
Result = TypeVar("Result")
log = logging.getLogger(__name__)

ABANDONED = "Nobody came back for it."


class Executor(Protocol):
    """Where the work of a job is done, one job at a time."""

    @property
    def can_end_early(self) -> bool:
        """Whether UseAsIs, raised from `report`, reaches an engine that can end early."""
        ...

    def run(self, work: Any, report: ProgressCallback) -> Any:
        """Does the work and returns its output. What `report` raises ends the work within one step and is raised from here."""
        ...


def unchanged(output: Any) -> Any:
    """The `save` of a job whose output is its result."""
    return output


@dataclass(eq=False)
class Job(Generic[Result]):
    """One piece of work in the queue.

    work: plain data that only the executor understands; None once the job has ended, so that its pictures leave memory.
    person: whose limits the job counts for. page_id: the page it was started from, which has one unfinished job at most; "" = no page.
    save: turns the executor's output into the job's result, on the worker's thread and before the job counts as done.
    The executor runs in the context (contextvars) in which the job was made: a lent GPU is lent to the request that asked for it.
    """

    work: object
    person: str
    number: int
    page_id: str = ""
    cost: Cost = field(default_factory=Cost)
    limits: QueueLimits = field(default_factory=QueueLimits)
    save: Callable[[Any], Result] | None = unchanged
    on_end: Callable[[], None] = lambda: None
    state: State = "waiting"
    progress: Progress | None = None
    result: Result | None = None
    error: InpaintError | None = None
    started: float | None = None
    ended: float | None = None
    step_rate: StepRate | None = None
    _loaded_seconds: float = 0.0
    _loading_since: float | None = None
    _cancel_reason: EditCancelled = field(default_factory=EditCancelled)
    _last_report: float | None = None
    _watchers: int = 0
    _is_booked: bool = False
    _unwatched_since: float | None = field(init=False)
    _cancelled: threading.Event = field(default_factory=threading.Event)
    _kept: threading.Event = field(default_factory=threading.Event)
    _finished: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _context: contextvars.Context | None = field(default_factory=contextvars.copy_context)

    def __post_init__(self) -> None:
        self._unwatched_since = time.monotonic()

    def log_fields(self) -> dict[str, object]:
        """Returns the fields that every log line about this job has. They hold no prompt and no person's name."""
        return {"job": self.number, "model": self.cost.model}

    @property
    def is_finished(self) -> bool:
        return self._finished.is_set()

    @property
    def seconds(self) -> float:
        """Seconds from the job's start until its end, or until now while it runs; 0 before it began."""
        return (self.ended or time.monotonic()) - self.started if self.started is not None else 0.0

    @property
    def is_loading(self) -> bool:
        """Whether the job's model is being loaded right now."""
        return self._loading_since is not None

    @property
    def loading_seconds(self) -> float:
        """Seconds that this job spent on loading its model so far."""
        since = self._loading_since
        return self._loaded_seconds + ((self.ended or time.monotonic()) - since if since is not None else 0.0)

    @property
    def computed_seconds(self) -> float:
        """Seconds that this job computed, without the time its model took to load."""
        return self.seconds - self.loading_seconds

    @property
    def is_abandoned(self) -> bool:
        """Whether everybody who watched the job left longer ago than `limits.away_seconds`, which a reload of the page takes."""
        since = self._unwatched_since
        return since is not None and time.monotonic() - since > self.limits.away_seconds

    @property
    def is_watched(self) -> bool:
        return self._watchers > 0

    @property
    def silent_seconds(self) -> float:
        """Seconds since the engine's latest report; 0 for a job that never began."""
        return time.monotonic() - self._last_report if self._last_report is not None else 0.0

    @property
    def seconds_since_end(self) -> float:
        """Seconds since the job ended; 0 while it has not."""
        return time.monotonic() - self.ended if self.ended is not None else 0.0

    @property
    def ending(self) -> Literal["", "cancel", "keep"]:
        """How a running job was asked to end before its time. It ends at the engine's next report."""
        if self.state != "running":
            return ""
        return "cancel" if self._cancelled.is_set() else "keep" if self._kept.is_set() else ""

    @property
    def was_kept(self) -> bool:
        """Whether somebody asked to use the picture as it was before the last step."""
        return self._kept.is_set()

    def cancel(self, reason: EditCancelled | None = None) -> None:
        """Stops the job: a waiting one at once, a running one at the engine's next report. A finished job stays as it is."""
        with self._lock:
            self._cancel_reason = reason or EditCancelled()
            self._cancelled.set()
            if self.state == "waiting":
                self._end("cancelled", error=self._cancel_reason)

    def give_up(self, error: InpaintError) -> None:
        """Ends the job for everybody who waits for it, whatever its engine does. If the engine answers later, its answer is dropped."""
        with self._lock:
            self._cancel_reason = EditCancelled()
            self._cancelled.set()
            self._end("cancelled" if isinstance(error, EditCancelled) else "failed", error=error)

    def keep(self) -> None:
        """Asks the engine to finish at its next step with the picture predicted so far. An engine that cannot is cancelled by it."""
        self._kept.set()

    @contextmanager
    def watched(self) -> Generator[None]:
        """Counts the caller as a watcher inside the block. `limits.away_seconds` after the last watcher left, the job is abandoned."""
        with self._lock:
            self._watchers += 1
            self._unwatched_since = None
        try:
            yield
        finally:
            with self._lock:
                self._watchers -= 1
                if self._watchers == 0:
                    self._unwatched_since = time.monotonic()

    def expect_watcher(self) -> None:
        """Starts the time after which an unwatched job is abandoned anew: somebody has found the job and will watch it in a moment."""
        with self._lock:
            if self._watchers == 0:
                self._unwatched_since = time.monotonic()

    def wait(self, seconds: float | None = None) -> bool:
        """Blocks until the job has ended, at most `seconds`. Returns whether it has."""
        return self._finished.wait(seconds)

    def outcome(self) -> Result:
        """Returns the result of a finished job, or raises the error it ended with."""
        if self.error is not None:
            raise self.error
        if self.result is None:
            raise RuntimeError("the job has not finished")
        return self.result

    def run(self, executor: Executor) -> None:
        """Runs the work and saves its output. The worker calls this once."""
        with self._lock:
            context, self._context = self._context or contextvars.Context(), None
            if self.is_finished:
                return
            self.state, self.started = "running", time.monotonic()
            self._last_report = self.started
        state, result, error = context.run(self._run, executor)
        with self._lock:
            self._end(state, result, error)

    def is_first_booking(self) -> bool:
        """Returns True once. A job that was given up may end a second time, when its engine answers after all."""
        with self._lock:
            first, self._is_booked = not self._is_booked, True
        return first

    def _run(self, executor: Executor) -> tuple[State, Result | None, InpaintError | None]:
        try:
            output, save = executor.run(self.work, self._report), self.save
            if save is None:  # the job was given up while its engine hung: nobody waits for this picture any more
                return self.state, None, self.error
            self._last_report = time.monotonic()
            self.progress = Progress("saving")
            return "done", save(output), None
        except EditCancelled as stopped:
            return "cancelled", None, stopped.with_traceback(None)
        except BaseException as error:  # the worker outlives whatever a model throws
            return "failed", None, as_user_error(error, "job", self.log_fields())

    def _report(self, progress: Progress) -> None:
        """Receives the engine's progress, and stops the engine by raising."""
        self._measure(progress)
        if self._cancelled.is_set():
            raise self._cancel_reason
        if self.is_abandoned:
            raise EditCancelled(ABANDONED)
        if self.seconds > self.limits.job_seconds:
            raise JobTimeout(
                f"This took longer than {_in_words(self.limits.job_seconds)} and was stopped.", "Choose fewer steps or a smaller work area."
            )
        if progress.notice and (self.progress is None or progress.notice != self.progress.notice):
            log.warning(progress.notice, extra=self.log_fields())
        if progress.preview is None and self.progress is not None and self.progress.stage == progress.stage:
            progress = replace(progress, preview=self.progress.preview)
        self.progress = progress
        if self._kept.is_set() and _has_usable_picture(progress):
            raise UseAsIs

    def _measure(self, progress: Progress) -> None:
        """Updates loading time and step rate."""
        self._last_report = time.monotonic()
        if progress.stage == "loading":
            self._loading_since = self._last_report if self._loading_since is None else self._loading_since
        elif self._loading_since is not None:
            self._loaded_seconds, self._loading_since = self._loaded_seconds + self._last_report - self._loading_since, None
        self.step_rate = StepRate.updated(self.step_rate, progress, self.computed_seconds)

    def _end(self, state: State, result: Result | None = None, error: InpaintError | None = None) -> None:
        """Sets the final state; only the first call has an effect. The caller holds the lock."""
        if self.is_finished:
            return
        self.state, self.result, self.error, self.ended = state, result, error, time.monotonic()
        self.work = self.save = None  # the pictures that these hold leave memory
        self._finished.set()
        self.on_end()


def _has_usable_picture(progress: Progress) -> bool:
    """Whether the job could end now with a picture: of this candidate once it has made a step, else of an earlier candidate."""
    is_before_steps = progress.stage in ("loading", "prior", "encoding") or (progress.stage == "denoising" and not progress.step)
    return progress.candidate > 1 if is_before_steps else progress.stage == "denoising"


def _in_words(seconds: float) -> str:
    """Returns a time limit as a person says it."""
    return f"{seconds:.0f} seconds" if seconds < 2 * 60 else f"{seconds / 60:.0f} minutes"
