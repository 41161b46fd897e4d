"""Keeps what grows by use within its quota: results and uploads, by bytes and age, the oldest first. Knows no models and no page.

Never removed: what a page has open, what was made within FRESH_SECONDS, and what this app did not make.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from inpaint.config.settings import StorageLimits
from inpaint.storage.results import LITTER_SECONDS

FRESH_SECONDS = 600
"""What was just made may not have been fetched yet: a program downloads its result after the call has ended."""

GIGABYTE, DAY = 10**9, 24 * 3600
RUN_NAME = re.compile(r"\d{8}-\d{6}-\w+")
"""Of the folder of one run (storage/results.py)."""

UPLOAD_NAME = re.compile(r"[0-9a-f]{32,128}|tmp\w+")
"""Of the folder of one upload, named after its content by Gradio, and of a file that is on its way."""

UNFINISHED = re.compile(r"tmp\w+")
"""Of a file that is on its way, or was when its connection was cut or the server killed."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Quota:
    """title: of what lies in the folder, for the log. name: what the app calls one such thing; anything else there is left alone.
    litter: of these names, what nobody writes to any more; it goes after LITTER_SECONDS.
    """

    title: str
    folder: Path
    name: re.Pattern[str]
    most_bytes: float
    most_seconds: float
    litter: re.Pattern[str] | None = None


@dataclass(frozen=True)
class Kept:
    """One thing in a folder: all results of a run, or an upload. changed: of its youngest file, in seconds since 1970."""

    path: Path
    size: int
    changed: float


class Housekeeper:
    """Sweeps for one server. in_use: the files that pages have open."""

    def __init__(self, data_dir: Path, limits: StorageLimits) -> None:
        self._quotas = (
            Quota("results", data_dir / "results", RUN_NAME, limits.results_gigabytes * GIGABYTE, limits.results_days * DAY),
            Quota(
                "uploads", uploads_folder(data_dir), UPLOAD_NAME, limits.uploads_gigabytes * GIGABYTE, limits.uploads_days * DAY, UNFINISHED
            ),
        )
        self._in_use: Callable[[], Collection[Path]] = tuple
        self._sweeping, self._waiting = threading.Lock(), threading.Lock()

    def watch(self, in_use: Callable[[], Collection[Path]]) -> None:
        """in_use is asked at each sweep, on the sweep's thread."""
        self._in_use = in_use

    def sweep_soon(self) -> None:
        """On a thread of its own, so that nobody waits for a disk; one sweep at a time, and at most one that waits."""
        if not self._waiting.acquire(blocking=False):
            return
        try:
            threading.Thread(target=self._sweep_in_turn, name="housekeeper", daemon=True).start()
        except RuntimeError:  # the system gives no thread now
            self._waiting.release()
            log.exception("no sweep could be begun")

    def sweep(self) -> None:
        """Now. Whatever fails is logged: no result is lost because an old one could not be removed."""
        try:
            in_use = {os.path.realpath(path.parent) for path in self._in_use()}
            for quota in self._quotas:
                sweep_one(quota, in_use, time.time())
        except Exception:
            log.exception("old results and uploads could not be removed")

    def _sweep_in_turn(self) -> None:
        with self._sweeping:
            self._waiting.release()  # what is written from now on may not be seen by this sweep
            self.sweep()


def uploads_folder(data_dir: Path) -> Path:
    return data_dir / "cache"


def sweep_one(quota: Quota, in_use: Collection[str], now: float) -> None:
    """Remove what is too old, then the oldest until the rest fits. in_use: real paths of folders that stay. Raises OSError."""
    kept = sorted(_things(quota), key=lambda thing: thing.changed)
    size, removed = sum(thing.size for thing in kept), list[Kept]()
    for thing in kept:
        most_seconds = LITTER_SECONDS if quota.litter and quota.litter.fullmatch(thing.path.name) else quota.most_seconds
        too_much = size > quota.most_bytes or now - thing.changed > min(most_seconds, quota.most_seconds)
        is_fresh = abs(now - thing.changed) < FRESH_SECONDS
        if too_much and not is_fresh and os.path.realpath(thing.path) not in in_use and _is_removed(thing.path):
            size -= thing.size
            removed.append(thing)
    if removed:
        log.info(
            "%d old %s were removed (%.1f MB); %.1f MB are left",
            len(removed),
            quota.title,
            sum(thing.size for thing in removed) / 1e6,
            size / 1e6,
        )


def _things(quota: Quota) -> Iterator[Kept]:
    if not quota.folder.is_dir():
        return
    with os.scandir(quota.folder) as entries:
        for entry in entries:
            if quota.name.fullmatch(entry.name) and not entry.is_symlink():
                with contextlib.suppress(FileNotFoundError):  # another server on this folder removed it meanwhile
                    yield _thing(Path(entry.path))


def _thing(path: Path) -> Kept:
    """An empty folder is as old as it is itself."""
    inside = [file for file in path.rglob("*") if not file.is_dir()] if path.is_dir() else []
    states = [file.lstat() for file in inside or [path]]
    return Kept(path, sum(state.st_size for state in states), max(state.st_mtime for state in states))


def _is_removed(path: Path) -> bool:
    """Whether it is gone now; on some systems a file that somebody reads stays."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
    return not path.exists()
