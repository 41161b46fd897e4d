"""Remembers the runs that pages follow, so that a reloaded page finds its run: running, or finished unseen. Knows no widgets."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from inpaint.jobs.job import Job
from inpaint.saving import Saved
from inpaint.ui.runs.poll import POLL_SECONDS, RELOAD_SECONDS

RUNS_KEPT = 64
"""How many runs are remembered. The result of an older run stays on disk, but a reloaded page does not show it."""

RESULT_SECONDS = 3600.0
"""How long a run that finished unseen is kept for its person's next page. A phone, for example, may sleep while its run finishes."""

ADOPTION_SECONDS = 20.0
"""How long a page that found a run may take until it follows it. No other page of the same person gets the run meanwhile."""

PageKey = tuple[str, str]
"""A person and one of their pages: (person, page_id)."""


@dataclass(frozen=True, eq=False)
class OpenRun:
    """A run that a page follows. form: the widgets' values when it was started; a seed that was not typed is None."""

    job: Job[Saved]
    form: Mapping[str, Any]


R = TypeVar("R", bound=OpenRun)


class OpenRuns(Generic[R]):
    """The runs of one tab, by page. Threads may share it. clock: returns seconds that only increase.

    A run is forgotten when its page has shown the result, or RESULT_SECONDS after it finished unseen.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._runs: OrderedDict[PageKey, R] = OrderedDict()
        self._claimed: OrderedDict[PageKey, None] = OrderedDict()
        self._adopted: dict[PageKey, float] = {}
        self._lock = threading.Lock()

    def record(self, person: str, page_id: str, run: R) -> None:
        """Remembers the run that this page has started."""
        with self._lock:
            self._runs[person, page_id] = run
            self._runs.move_to_end((person, page_id))
            while len(self._runs) > RUNS_KEPT:
                self._remove(next(iter(self._runs)))

    def of(self, person: str, page_id: str) -> R | None:
        """Returns the run that this page has started or adopted."""
        with self._lock:
            return self._runs.get((person, page_id))

    def unfinished(self, person: str, page_id: str) -> Job[Saved] | None:
        """Returns the unfinished job of this page's run, if there is one."""
        run = self.of(person, page_id)
        return run.job if run is not None and not run.job.is_finished else None

    def claim(self, person: str, page_id: str) -> None:
        """Notes that this page has begun something of its own, so that no earlier run is restored into it."""
        with self._lock:
            self._claimed[person, page_id] = None
            while len(self._claimed) > RUNS_KEPT:
                self._claimed.popitem(last=False)

    async def wait_and_adopt(self, person: str, page_id: str) -> R | None:
        """Returns a run that a closed page of this person left, and gives it to this page; None if there is none.

        The server notices only after a while that a page was closed. Until then its run counts as watched, so this waits for
        it.
        """
        for _ in range(int(RELOAD_SECONDS / POLL_SECONDS)):
            if not self._may_adopt(person, page_id):
                return None
            run = self.adopt(person, page_id)
            if run is not None:
                return run
            await asyncio.sleep(POLL_SECONDS)
        return None

    def adopt(self, person: str, page_id: str) -> R | None:
        """Returns this person's newest run that no page follows, and gives it to this page; None if there is none."""
        with self._lock:
            for key in reversed(self._runs):
                if key[0] == person and self._is_free(key):
                    run = self._remove(key)
                    run.job.expect_watcher()
                    self._runs[person, page_id] = run
                    self._adopted[person, page_id] = self._clock() + ADOPTION_SECONDS
                    return run
        return None

    def forget(self, person: str, page_id: str) -> None:
        """Forgets this page's run, if there is one. Called when its result was shown or it failed."""
        with self._lock:
            if (person, page_id) in self._runs:
                self._remove((person, page_id))

    def drop_old(self) -> None:
        """Forgets runs that nobody can or will come back to. The worker's watchdog calls this every few seconds."""
        with self._lock:
            for key in [key for key, run in self._runs.items() if self._is_old(run.job)]:
                self._remove(key)

    def _may_adopt(self, person: str, page_id: str) -> bool:
        with self._lock:
            page = (person, page_id)
            return page not in self._runs and page not in self._claimed and any(whose == person for whose, _ in self._runs)

    def _is_free(self, key: PageKey) -> bool:
        """Returns whether no page follows the run, and no page that found it is about to."""
        job = self._runs[key].job
        return not job.is_watched and self._adopted.get(key, 0.0) < self._clock() and not self._is_old(job)

    def _is_old(self, job: Job[Saved]) -> bool:
        if not job.is_finished:
            return job.is_abandoned
        return not job.is_watched and (job.state == "cancelled" or job.seconds_since_end > RESULT_SECONDS)

    def _remove(self, key: PageKey) -> R:
        self._adopted.pop(key, None)
        return self._runs.pop(key)
