"""Downloads models that people ask for on the page: one at a time for all people, on its own thread. Knows no widgets."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from inpaint.config.settings import Settings
from inpaint.core.spec import ModelSpec, Task
from inpaint.errors import Busy, EditCancelled, InpaintError
from inpaint.hub.download import download
from inpaint.hub.order import order_download
from inpaint.hub.transfer import Transfer
from inpaint.jobs.user_error import as_user_error
from inpaint.models.families import FAMILIES
from inpaint.ui.security.hosts import is_private

TELLING_SHARE = 0.01
"""Share of the missing bytes that must be transferred before the time left is estimated."""


def may_download(settings: Settings, environment: Mapping[str, str]) -> bool:
    """Returns whether people may download models from the page.

    The setting decides. If it is "auto", they may only on a server that nobody but this machine reaches.
    """
    if settings.page_downloads != "auto":
        return settings.page_downloads == "on"
    return is_private(settings, environment)


class Fetch:
    """One download of a model's files.

    done_bytes: how many of all_bytes are here; all_bytes is 0 until the hub has answered. fetched_bytes: how many of
    missing_bytes were transferred since it began; files that were here are only checked. person: who began it. number: counts
    downloads from 1. error: what the download failed with, if it failed.
    """

    def __init__(self, spec: ModelSpec, task: Task, person: str = "", number: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self.spec, self.person, self.number = spec, person, number
        self.task: Task = task
        self.done_bytes, self.all_bytes = 0, 0
        self.fetched_bytes, self.missing_bytes = 0, 0
        self._fetching_seconds, self._last_report = 0.0, clock()
        self._clock = clock
        self.error: InpaintError | None = None
        self._finished, self._cancelled = threading.Event(), threading.Event()

    @property
    def is_finished(self) -> bool:
        return self._finished.is_set()

    @property
    def seconds_left(self) -> float | None:
        """Seconds left at the pace so far. None if too little was transferred to tell, or nothing is left."""
        left = self.missing_bytes - self.fetched_bytes
        if left <= 0 or self.fetched_bytes < self.missing_bytes * TELLING_SHARE:
            return None
        return self._fetching_seconds * left / self.fetched_bytes

    @property
    def parts(self) -> Sequence[str]:
        return FAMILIES[self.spec.family][self.task].parts

    def brings(self, spec: ModelSpec, task: Task) -> bool:
        return (self.spec.name, self.parts) == (spec.name, FAMILIES[spec.family][task].parts)

    def cancel(self) -> None:
        """Stops the download at its next report, which comes every few megabytes."""
        self._cancelled.set()

    def report(self, transfer: Transfer) -> None:
        now = self._clock()
        if transfer.fetched_bytes > self.fetched_bytes:
            self._fetching_seconds += now - self._last_report
        self._last_report, self.fetched_bytes = now, transfer.fetched_bytes
        self.done_bytes, self.all_bytes = transfer.done_bytes, transfer.all_bytes
        if self._cancelled.is_set():
            raise EditCancelled("The download was stopped.", "What is complete stays; starting it again goes on from there.")

    def run(self, order: Callable[..., Any], fetch: Callable[..., object]) -> None:
        try:
            decided = order(self.spec, self.parts)
            self.missing_bytes = decided.missing_bytes
            self.report(Transfer("", 0, decided.all_bytes))
            fetch(decided, self.report)
        except BaseException as error:  # nothing above this thread would catch it; whoever follows the download reads it
            self.error = as_user_error(error, "a download")
        finally:
            self._finished.set()


class Fetcher:
    """Runs downloads one at a time. order, fetch: order_download and download of hub/; tests replace them."""

    def __init__(self, order: Callable[..., Any] = order_download, fetch: Callable[..., object] = download) -> None:
        self._order, self._fetch = order, fetch
        self._latest: Fetch | None = None
        self._lock = threading.Lock()

    def start(self, spec: ModelSpec, task: Task, person: str = "") -> Fetch:
        """Starts a download, or joins the running one of the same parts. Raises Busy if another download is running."""
        with self._lock:
            going = self.current
            if going is not None and going.brings(spec, task):
                return going
            if going is not None:
                raise Busy(f"{going.spec.title} is being downloaded.", "One download at a time: wait for it, or stop it first.")
            fetch = self._latest = Fetch(spec, task, person, self._latest.number + 1 if self._latest else 1)
            threading.Thread(target=fetch.run, args=(self._order, self._fetch), name="inpaint-download", daemon=True).start()
            return fetch

    @property
    def current(self) -> Fetch | None:
        fetch = self._latest
        return fetch if fetch is not None and not fetch.is_finished else None

    def numbered(self, number: int) -> Fetch | None:
        """Returns the latest download, running or ended, if it has this number; else None."""
        fetch = self._latest
        return fetch if fetch is not None and fetch.number == number else None
