"""One worker thread; jobs wait in a fair queue, can be watched, stopped and kept. Knows no page, no files and not what the work is.

A Job is the one mutable object of the app, and only this module changes it.
"""

from __future__ import annotations

import contextvars
import itertools
import logging
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Literal, Protocol, TypeVar

from inpaint.config.settings import QueueLimits
from inpaint.core.progress import Progress, ProgressCallback, UseAsIs
from inpaint.errors import Busy, EditCancelled, InpaintError, JobTimeout, MachineError, OutOfMemory
from inpaint.jobs.queue import Cost, FairQueue, Pace, Stride

State = Literal["waiting", "running", "done", "failed", "cancelled"]
Result = TypeVar("Result")
log = logging.getLogger(__name__)

OUR_FAULT = ("Something went wrong inside the app; this is a bug, not your fault.",
             "The log has the details. Your picture and mask are untouched.")
NO_MEMORY = ("The computer's memory is too small for this edit.", "Close other programs, or choose a smaller work area.")
NOBODY_CAME_BACK = "Nobody came back for it."
SHUTTING_DOWN = ("The server is stopping.", "Run it again in a minute.")
HUNG = ("The model has stopped answering, so nothing can run.", "The server has to be started again by whoever runs it.")
LOOKS_EACH = 5.0
"""Seconds between looks for a hung engine."""


def told(error: BaseException, what: str, event: Mapping[str, object] | None = None) -> InpaintError:
    """What a person is told of any error: ours as it is, without its traceback; a bug is kept in the log and not shown. event: what
    the log says beside it (`extra=` of logging)."""
    if isinstance(error, InpaintError):
        return error.with_traceback(None)
    if isinstance(error, MemoryError):
        return OutOfMemory(*NO_MEMORY)
    log.error("%s failed", what, exc_info=error, extra=event)
    return MachineError(*OUR_FAULT)


class Executor(Protocol):
    """Where the work of a job is done, one at a time."""

    @property
    def can_end_early(self) -> bool:
        """Whether UseAsIs, raised from `report`, reaches an engine that can end early."""
        ...

    def run(self, work: Any, report: ProgressCallback) -> Any:
        """Do it, and give the result. What `report` raises ends the work within a step and comes out of here."""
        ...


@dataclass(eq=False)
class Job(Generic[Result]):
    """One piece of work. person: whose it is. seat: the page it was started from, which has one unfinished job at most.

    work: plain data, known to the executor alone. The executor runs in the context (contextvars) in which the job was made:
    a lent GPU is lent to the request that asked.
    """

    work: object
    person: str
    number: int
    seat: str = ""
    cost: Cost = field(default_factory=Cost)
    limits: QueueLimits = field(default_factory=QueueLimits)
    state: State = "waiting"
    progress: Progress | None = None
    result: Result | None = None
    error: InpaintError | None = None
    started: float | None = None
    ended: float | None = None
    stride: Stride | None = None
    _loaded: float = 0.0
    _loading_since: float | None = None
    _reason: EditCancelled = field(default_factory=EditCancelled)
    _heard: float | None = None
    _watchers: int = 0
    _booked: bool = False
    _unwatched_since: float | None = field(default_factory=time.monotonic)
    _cancelled: threading.Event = field(default_factory=threading.Event)
    _kept: threading.Event = field(default_factory=threading.Event)
    _finished: threading.Event = field(default_factory=threading.Event)
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _context: contextvars.Context | None = field(default_factory=contextvars.copy_context)

    def event(self) -> dict[str, object]:
        """What the log says of it beside every sentence. No prompt, and nobody's name."""
        return {"job": self.number, "model": self.cost.model}

    @property
    def is_finished(self) -> bool:
        return self._finished.is_set()

    @property
    def seconds(self) -> float:
        """Since it began to run, until it ended."""
        return (self.ended or time.monotonic()) - self.started if self.started is not None else 0.0

    @property
    def is_loading(self) -> bool:
        return self._loading_since is not None

    @property
    def loading_seconds(self) -> float:
        """Of these, what its model took to load so far."""
        since = self._loading_since
        return self._loaded + ((self.ended or time.monotonic()) - since if since is not None else 0.0)

    @property
    def computed_seconds(self) -> float:
        """The rest of them."""
        return self.seconds - self.loading_seconds

    @property
    def is_abandoned(self) -> bool:
        """Whether everyone who watched it left longer ago than a reload takes."""
        since = self._unwatched_since
        return since is not None and time.monotonic() - since > self.limits.away_seconds

    @property
    def is_watched(self) -> bool:
        return self._watchers > 0

    @property
    def silent_seconds(self) -> float:
        """Since the engine last said anything; 0 for a job that never began."""
        return time.monotonic() - self._heard if self._heard is not None else 0.0

    def cancel(self, reason: EditCancelled | None = None) -> None:
        """Takes effect at the engine's next report; a waiting job ends at once. A finished one stays as it is."""
        with self._turn:
            self._reason = reason or EditCancelled()
            self._cancelled.set()
            if self.state == "waiting":
                self._end("cancelled", error=self._reason)

    def give_up(self, error: InpaintError) -> None:
        """End the job for all who wait for it, whatever its engine does; should that answer after all, nobody hears it."""
        with self._turn:
            self._reason = EditCancelled()
            self._cancelled.set()
            self._end("cancelled" if isinstance(error, EditCancelled) else "failed", error=error)

    def is_first_booking(self) -> bool:
        """True once: a job that was given up may end a second time, when its engine answers after all."""
        with self._turn:
            first, self._booked = not self._booked, True
        return first

    @property
    def ending(self) -> Literal["", "cancel", "keep"]:
        """How a running job was asked to end before its time; it does at the engine's next report."""
        return "" if self.state != "running" else "cancel" if self._cancelled.is_set() else "keep" if self._kept.is_set() else ""

    @property
    def was_kept(self) -> bool:
        return self._kept.is_set()

    def keep(self) -> None:
        """Use it as it is: an engine that can finishes at its next step with what is there; others are cancelled by it."""
        self._kept.set()

    @contextmanager
    def watched(self) -> Generator[None, None, None]:
        """While somebody looks. When the last one has gone, the job has `away_seconds` until it counts as abandoned."""
        with self._turn:
            self._watchers += 1
            self._unwatched_since = None
        try:
            yield
        finally:
            with self._turn:
                self._watchers -= 1
                if self._watchers == 0:
                    self._unwatched_since = time.monotonic()

    def wait(self, seconds: float | None = None) -> bool:
        return self._finished.wait(seconds)

    def outcome(self) -> Result:
        """The result of a finished job; raises its error."""
        if self.error is not None:
            raise self.error
        if self.result is None:
            raise RuntimeError("the job has not finished")
        return self.result

    def run(self, executor: Executor) -> None:
        """Called by the worker, once."""
        with self._turn:
            context, self._context = self._context or contextvars.Context(), None
            if self.is_finished:
                return
            self.state, self.started = "running", time.monotonic()
            self._heard = self.started
        state, result, error = context.run(self._outcome_of, executor)
        with self._turn:
            self._end(state, result, error)

    def _outcome_of(self, executor: Executor) -> tuple[State, Result | None, InpaintError | None]:
        """Errors lose their traceback: its frames hold the tensors of the failed run as long as the job is known."""
        try:
            return "done", executor.run(self.work, self._report), None
        except EditCancelled as stopped:
            return "cancelled", None, stopped.with_traceback(None)
        except BaseException as error:  # the worker outlives whatever a model throws
            return "failed", None, told(error, "job", self.event())

    def _report(self, progress: Progress) -> None:
        self._clock(progress)
        if self._cancelled.is_set():
            raise self._reason
        if self.is_abandoned:
            raise EditCancelled(NOBODY_CAME_BACK)
        if self.seconds > self.limits.job_seconds:
            raise JobTimeout(f"This took longer than {_in_words(self.limits.job_seconds)} and was stopped.",
                             "Choose fewer steps or a smaller work area.")
        if progress.notice and (self.progress is None or progress.notice != self.progress.notice):
            log.warning(progress.notice, extra=self.event())
        if progress.preview is None and self.progress is not None and self.progress.stage == progress.stage:
            progress = replace(progress, preview=self.progress.preview)
        self.progress = progress
        if self._kept.is_set() and _has_something(progress):
            raise UseAsIs

    def _clock(self, progress: Progress) -> None:
        """What the progress says of the time that is gone and the time to come."""
        self._heard = time.monotonic()
        if progress.stage == "loading":
            self._loading_since = self._heard if self._loading_since is None else self._loading_since
        elif self._loading_since is not None:
            self._loaded, self._loading_since = self._loaded + self._heard - self._loading_since, None
        self.stride = Stride.heard(self.stride, progress, self.computed_seconds)

    def _end(self, state: State, result: Result | None = None, error: InpaintError | None = None) -> None:
        """Called with the turn held. The first end stays."""
        if self.is_finished:
            return
        self.state, self.result, self.error, self.ended = state, result, error, time.monotonic()
        self._finished.set()


def _has_something(progress: Progress) -> bool:
    """Whether there is a picture to be used as it is: a step of this candidate, or, before it has any, those before it."""
    is_before_steps = progress.stage in ("loading", "prior", "encoding") or (progress.stage == "denoising" and not progress.step)
    return progress.candidate > 1 if is_before_steps else progress.stage == "denoising"


class Worker:
    """Runs jobs one after another on a thread of its own, in turn between people.

    watch: told of every job when it begins to run ("running") and when it has ended (its last state). pace: what past jobs
    teach, for whoever else wants to know.
    """

    def __init__(self, executor: Executor, limits: QueueLimits | None = None,
                 watch: Callable[[Job[Any], State], None] = lambda job, state: None, pace: Pace | None = None) -> None:
        self.executor = executor
        self.limits = limits or QueueLimits()
        self.pace = pace or Pace()
        self._watch = watch
        self._queue: FairQueue[Job[Any]] = FairQueue()
        self._running: Job[Any] | None = None
        self._changed = threading.Condition()
        self._numbers = itertools.count(1)
        self._threads: list[threading.Thread] = []
        self._is_stopping = False
        self._is_over = threading.Event()

    def submit(self, work: object, person: str, seat: str = "", cost: Cost | None = None) -> Job[Any]:
        """Queue a piece of work. Raises Busy where the seat has an unfinished job, or this person or everybody has too many;
        MachineError where the engine hangs."""
        with self._changed:
            self._check_room(person, seat)
            job: Job[Any] = Job(work, person, next(self._numbers), seat, cost or Cost(), self.limits)
            self._queue.push(person, job)
            if not self._threads:
                self._threads = [threading.Thread(target=target, name=f"inpaint-{name}", daemon=True)
                                 for name, target in (("worker", self._work), ("watch", self._watch_for_hanging))]
                for thread in self._threads:
                    thread.start()
            self._changed.notify_all()
        return job

    def current(self, person: str, seat: str | None = None) -> Job[Any] | None:
        """The person's unfinished job (of one seat), the running one before those that wait."""
        with self._changed:
            mine = [job for job in self._unfinished() if job.person == person and (seat is None or job.seat == seat)]
        return mine[0] if mine else None

    def place(self, job: Job[Any]) -> int:
        """How many unfinished jobs come before this one; 0 = it is its turn."""
        with self._changed:
            order = self._unfinished()
        return order.index(job) if job in order else 0

    def seconds_left(self, job: Job[Any]) -> float | None:
        """Until this job will have ended, with all that come before it; None where any of them is of an unknown kind."""
        with self._changed:
            order = self._unfinished()
            if job not in order:
                return 0.0
            each = [self._remaining(other) for other in order[:order.index(job) + 1]]
        known = [seconds for seconds in each if seconds is not None]
        return sum(known) if len(known) == len(each) else None

    @property
    def is_accepting(self) -> bool:
        return not self._is_stopping

    @property
    def is_busy(self) -> bool:
        """Whether the thread is at work, be it on a job that nobody waits for any more."""
        return self._running is not None

    @property
    def is_hung(self) -> bool:
        """Whether the running job has been silent for too long: no thread can be killed, so only a restart helps."""
        running = self._running
        return running is not None and running.silent_seconds > self.limits.stall_seconds

    @property
    def queue_length(self) -> int:
        with self._changed:
            self._drop_ended()
            return len(self._queue)

    def stop(self, grace_seconds: float) -> None:
        """Take no more jobs, tell those that wait, cancel the running one, and wait for it as long as `grace_seconds`."""
        with self._changed:
            self._is_stopping = True
            unfinished = self._unfinished()
        for job in unfinished:
            job.cancel(EditCancelled(*SHUTTING_DOWN))
        for job in unfinished:  # those that wait have ended by now: one alone takes time
            if not job.wait(grace_seconds):
                job.give_up(EditCancelled(*SHUTTING_DOWN))
            self._book(job)
        self._is_over.set()

    def _unfinished(self) -> list[Job[Any]]:
        """The running job, then all that wait, in the order they will be served, and that somebody waits for."""
        self._drop_ended()
        running = [self._running] if self._running is not None else []
        return [job for job in (*running, *self._queue.in_order()) if not job.is_finished]

    def _remaining(self, job: Job[Any]) -> float | None:
        """By its own steps as soon as they are heard of, until then by what was learned. Which run will have to load is not known
        before it does."""
        computed = job.computed_seconds
        by_steps = job.stride.left(computed, self.pace.after_steps(job.cost)) if job.stride else None
        if by_steps is not None:
            return by_steps
        whole = self.pace.estimate(job.cost)
        loading = max(0.0, self.pace.loading(job.cost) - job.loading_seconds) if job.is_loading else 0.0
        return None if whole is None else max(0.0, whole - computed) + loading

    def _check_room(self, person: str, seat: str) -> None:
        if self._is_stopping:
            raise Busy(*SHUTTING_DOWN)
        if self.is_hung:
            raise MachineError(*HUNG)
        unfinished = self._unfinished()
        mine = [job for job in unfinished if job.person == person]
        if seat and any(job.seat == seat for job in mine):
            raise Busy("Your last run is still going.", "Wait for it, or cancel it first.")
        if len(mine) >= self.limits.per_person:
            raise Busy(f"You have {len(mine)} runs going or waiting; that is the limit.", "Wait for one, or cancel one first.")
        if len(unfinished) >= self.limits.overall:
            raise Busy(f"Everybody is busy: {len(unfinished)} runs wait already.", "Try again in a few minutes.")

    def _drop_ended(self) -> None:
        """Out of the queue with those who were cancelled while they waited, or left: they take no turn and no memory."""
        for job in self._queue.in_order():
            if job.is_abandoned:
                job.cancel(EditCancelled(NOBODY_CAME_BACK))
            if job.is_finished:
                self._queue.remove(job.person, job)
                self._book(job)

    def _has_turn(self) -> bool:
        self._drop_ended()
        return len(self._queue) > 0

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._has_turn)
                job = self._running = self._queue.pop()
            log.info("job begins", extra={**job.event(), "extent": str(job.cost.extent)})
            self._tell(job, "running")
            job.run(self.executor)
            with self._changed:
                self._running = None
            self._book(job)
            del job

    def _watch_for_hanging(self) -> None:
        while not self._is_over.wait(min(LOOKS_EACH, self.limits.stall_seconds / 4)):
            self._give_up_if_hung()

    def _give_up_if_hung(self) -> None:
        """No thread can be killed: all that can be done is to tell everybody. An engine that answers after all runs on."""
        with self._changed:
            running, waiting = self._running, self._queue.in_order()
        if running is None or not self.is_hung:
            return
        if not running.is_finished:
            log.error("the engine has not answered for %.0f seconds", running.silent_seconds,
                      extra=running.event())
        for job in (running, *waiting):
            job.give_up(MachineError(*HUNG))
        self._book(running)

    def _book(self, job: Job[Any]) -> None:
        """What a finished job teaches, and its line in the log."""
        if not job.is_first_booking():
            return
        why = {"error": type(job.error).__name__, "reason": str(job.error)} if job.error else {}
        log.log(logging.WARNING if job.state == "failed" else logging.INFO, "job ended",
                extra={**job.event(), "extent": str(job.cost.extent), "state": job.state, "seconds": round(job.seconds, 3), **why})
        if job.state == "done" and job.cost.model and not job.was_kept:
            computed = job.computed_seconds
            self.pace.learn(job.cost, computed, job.loading_seconds, job.stride.after_steps(computed) if job.stride else None)
        self._tell(job, job.state)

    def _tell(self, job: Job[Any], state: State) -> None:
        """A watcher's own failure must not end the worker."""
        try:
            self._watch(job, state)
        except Exception as bug:
            log.error("what is told of a job that is %s", state, exc_info=bug, extra=job.event())


def _in_words(seconds: float) -> str:
    """How long a job may take."""
    return f"{seconds:.0f} seconds" if seconds < 2 * 60 else f"{seconds / 60:.0f} minutes"
