"""A thread that looks after the worker: it finds an engine that hangs, and has jobs removed that nobody waits for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from inpaint.errors import MachineError
from inpaint.jobs.job import Job

HUNG = ("The model has stopped answering, so nothing can run.", "The server has to be started again by whoever runs it.")
SECONDS_BETWEEN_LOOKS = 5.0
log = logging.getLogger(__name__)


class Watchdog:
    """Looks every few seconds, and at once after `wake`.

    reap: removes jobs that ended while they waited. running: returns the job that runs now, if any. fail_all: ends every job with an error.
    """

    def __init__(
        self,
        stall_seconds: float,
        reap: Callable[[], None],
        running: Callable[[], Job[Any] | None],
        fail_all: Callable[[MachineError], None],
    ) -> None:
        self._stall_seconds, self._reap, self._running, self._fail_all = stall_seconds, reap, running, fail_all
        self._calls: list[Callable[[], None]] = []
        self._woken = threading.Event()
        self._is_over = False

    def start(self) -> None:
        threading.Thread(target=self._look_again_and_again, name="inpaint-watchdog", daemon=True).start()

    def wake(self) -> None:
        """Has the next look happen at once. Cheap and never blocking: an event loop may call it."""
        self._woken.set()

    def also(self, call: Callable[[], None]) -> None:
        """Has `call` called at every look."""
        self._calls.append(call)

    def stop(self) -> None:
        self._is_over = True
        self.wake()

    def _look_again_and_again(self) -> None:
        while not self._is_over:
            self._woken.wait(min(SECONDS_BETWEEN_LOOKS, self._stall_seconds / 4))
            self._woken.clear()
            for call in (self._reap, self._fail_if_hung, *self._calls):
                try:
                    call()
                except Exception as bug:  # the watchdog outlives the bugs of what it calls
                    log.error("the watchdog could not %s", getattr(call, "__name__", "look"), exc_info=bug)

    def _fail_if_hung(self) -> None:
        """No thread can be killed: all that can be done is to tell everybody. An engine that answers after all goes on."""
        running = self._running()
        if running is None or running.silent_seconds <= self._stall_seconds:
            return
        if not running.is_finished:
            log.error("the engine has not answered for %.0f seconds", running.silent_seconds, extra=running.log_fields())
        self._fail_all(MachineError(*HUNG))
