"""Runs jobs one after another on a thread of its own, in turn between people. Knows no page, no files and not what the work is.

Questions (`place`, `seconds_left`, `queue_length`, `current`) change nothing. Jobs that ended while they waited, or were abandoned, are
taken out of the queue by the worker's own threads.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable
from typing import Any

from inpaint.config.settings import QueueLimits
from inpaint.errors import Busy, EditCancelled, MachineError
from inpaint.jobs.eta import Cost, Pace
from inpaint.jobs.job import ABANDONED, Executor, Job, State, unchanged
from inpaint.jobs.queue import FairQueue
from inpaint.jobs.watchdog import HUNG, Watchdog

log = logging.getLogger(__name__)

SHUTTING_DOWN = ("The server is stopping.", "Run it again in a minute.")


class Worker:
    """Owns the queue, the thread that runs jobs, and the watchdog that looks after both.

    on_state: called on the worker's threads when a job begins to run ("running") and when it has ended (its final state).
    pace: what past jobs taught about time, shared with whoever else wants to know.
    """

    def __init__(
        self,
        executor: Executor,
        limits: QueueLimits | None = None,
        on_state: Callable[[Job[Any], State], None] = lambda job, state: None,
        pace: Pace | None = None,
    ) -> None:
        self.executor = executor
        self.limits = limits or QueueLimits()
        self.pace = pace or Pace()
        self._on_state = on_state
        self._queue: FairQueue[Job[Any]] = FairQueue()
        self._running: Job[Any] | None = None
        self._changed = threading.Condition()
        self._numbers = itertools.count(1)
        self._thread: threading.Thread | None = None
        self._is_stopping = False
        self._watchdog = Watchdog(self.limits.stall_seconds, self.reap, lambda: self._running, self._fail_all)

    def submit(
        self, work: object, person: str, page_id: str = "", cost: Cost | None = None, save: Callable[[Any], Any] = unchanged
    ) -> Job[Any]:
        """Queues a piece of work. save: turns its output into the job's result, before the job counts as done.

        Raises Busy where the page has an unfinished job, or this person or everybody has too many; MachineError where the engine hangs.
        """
        with self._changed:
            self._check_room(person, page_id)
            job: Job[Any] = Job(work, person, next(self._numbers), page_id, cost or Cost(), self.limits, save, self._watchdog.wake)
            self._queue.push(person, job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="inpaint-worker", daemon=True)
                self._thread.start()
                self._watchdog.start()
            self._changed.notify_all()
        return job

    def current(self, person: str, page_id: str | None = None) -> Job[Any] | None:
        """Returns the person's unfinished job (of one page), the running one before those that wait."""
        mine = (job for job in self._unfinished() if job.person == person and (page_id is None or job.page_id == page_id))
        return next(mine, None)

    def place(self, job: Job[Any]) -> int:
        """Returns how many unfinished jobs come before this one; 0 = it is its turn."""
        order = self._unfinished()
        return order.index(job) if job in order else 0

    def seconds_left(self, job: Job[Any]) -> float | None:
        """Returns the seconds until this job will have ended, those before it included; None where one of them is of an unknown kind."""
        order = self._unfinished()
        if job not in order:
            return 0.0
        each = [self._remaining(other) for other in order[: order.index(job) + 1]]
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
        """Whether the running job has not reported for too long. No thread can be killed, so only a restart helps."""
        running = self._running
        return running is not None and running.silent_seconds > self.limits.stall_seconds

    @property
    def queue_length(self) -> int:
        """How many jobs wait."""
        with self._changed:
            return sum(_is_wanted(job) for job in self._queue.in_order())

    def every_look(self, call: Callable[[], None]) -> None:
        """Has `call` called on the watchdog's thread at each of its looks, a few seconds apart while there are jobs."""
        self._watchdog.also(call)

    def stop(self, grace_seconds: float) -> None:
        """Takes no more jobs, cancels all, and waits for the running one as long as `grace_seconds`."""
        with self._changed:
            self._is_stopping = True
            unfinished = self._unfinished()
        for job in unfinished:
            job.cancel(EditCancelled(*SHUTTING_DOWN))
        for job in unfinished:  # those that wait have ended by now: one alone takes time
            if not job.wait(grace_seconds):
                job.give_up(EditCancelled(*SHUTTING_DOWN))
            self._book(job)
        self._watchdog.stop()

    def reap(self) -> None:
        """Takes jobs out of the queue that ended while they waited or that everybody has left. Only the worker's threads call this."""
        with self._changed:
            gone = [job for job in self._queue.in_order() if not _is_wanted(job)]
            for job in gone:
                self._queue.remove(job.person, job)
        for job in gone:
            job.cancel(EditCancelled(ABANDONED))
            self._book(job)

    def _unfinished(self) -> list[Job[Any]]:
        """The running job, then all that wait and that somebody waits for, in the order they will be served."""
        with self._changed:
            running = [self._running] if self._running is not None and not self._running.is_finished else []
            return [*running, *(job for job in self._queue.in_order() if _is_wanted(job))]

    def _remaining(self, job: Job[Any]) -> float | None:
        """By the job's own steps once two were reported, before that by what past jobs took. Whether a waiting job will have to load its
        model is not known, so loading counts for the one that loads now."""
        computed = job.computed_seconds
        by_steps = job.step_rate.left(computed, self.pace.after_steps(job.cost)) if job.step_rate else None
        if by_steps is not None:
            return by_steps
        whole = self.pace.estimate(job.cost)
        loading = max(0.0, self.pace.loading(job.cost) - job.loading_seconds) if job.is_loading else 0.0
        return None if whole is None else max(0.0, whole - computed) + loading

    def _check_room(self, person: str, page_id: str) -> None:
        if self._is_stopping:
            raise Busy(*SHUTTING_DOWN)
        if self.is_hung:
            raise MachineError(*HUNG)
        unfinished = self._unfinished()
        mine = [job for job in unfinished if job.person == person]
        if page_id and any(job.page_id == page_id for job in mine):
            raise Busy("Your last run is still going.", "Wait for it, or cancel it first.")
        if len(mine) >= self.limits.per_person:
            raise Busy(f"You have {len(mine)} runs going or waiting; that is the limit.", "Wait for one, or cancel one first.")
        if len(unfinished) >= self.limits.overall:
            raise Busy(f"Everybody is busy: {len(unfinished)} runs wait already.", "Try again in a few minutes.")

    def _work(self) -> None:
        while True:
            self.reap()
            with self._changed:
                self._changed.wait_for(lambda: len(self._queue) > 0)
                job = self._running = self._queue.pop()
            if _is_wanted(job):
                log.info("job begins", extra={**job.log_fields(), "extent": str(job.cost.extent)})
                self._notify(job, "running")
                job.run(self.executor)
            else:
                job.cancel(EditCancelled(ABANDONED))
            with self._changed:
                self._running = None
            self._book(job)
            del job

    def _fail_all(self, error: MachineError) -> None:
        """Ends the running job and all that wait."""
        with self._changed:
            unfinished = [*([self._running] if self._running is not None else []), *self._queue.in_order()]
        for job in unfinished:
            job.give_up(error)
            self._book(job)

    def _book(self, job: Job[Any]) -> None:
        """Learns from a finished job, writes its line in the log and tells `on_state`; each job once."""
        if not job.is_first_booking():
            return
        why = {"error": type(job.error).__name__, "reason": str(job.error)} if job.error else {}
        log.log(
            logging.WARNING if job.state == "failed" else logging.INFO,
            "job ended",
            extra={**job.log_fields(), "extent": str(job.cost.extent), "state": job.state, "seconds": round(job.seconds, 3), **why},
        )
        if job.state == "done" and job.cost.model and not job.was_kept:
            computed = job.computed_seconds
            self.pace.learn(job.cost, computed, job.loading_seconds, job.step_rate.after_steps(computed) if job.step_rate else None)
        self._notify(job, job.state)

    def _notify(self, job: Job[Any], state: State) -> None:
        """Calls `on_state`, whose own failure must not end the worker."""
        try:
            self._on_state(job, state)
        except Exception as bug:
            log.error("what is told of a job that is %s", state, exc_info=bug, extra=job.log_fields())


def _is_wanted(job: Job[Any]) -> bool:
    """Whether a waiting job is still to be run: it was not cancelled, and not everybody has left it."""
    return not (job.is_finished or job.is_abandoned)
