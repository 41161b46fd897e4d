"""Keeps results and uploads within their quota of bytes and age by removing the oldest first. Knows no models and no page.

Three things are never removed: files that a page has open, files younger than FRESH_SECONDS, and files that this app did not
make.
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
"""How long new files are safe from removal. A program downloads its result only after its call has ended."""

GIGABYTE, DAY = 10**9, 24 * 3600
RUN_NAME = re.compile(r"\d{8}-\d{6}-\w+")
"""Name of the folder of one run, as storage/results.py makes it."""

UPLOAD_NAME = re.compile(r"[0-9a-f]{32,128}|tmp\w+")
"""Name of the folder of one upload, which Gradio names after its content, or of a file that is being uploaded."""

UNFINISHED = re.compile(r"tmp\w+")
"""Name of a file that is being uploaded, or was when the connection was cut or the server killed."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Quota:
    """The limits of one folder.

    title: of the folder's contents, for the log. name: pattern of the names that this app gives; anything else in the folder
    is left alone. most_bytes, most_seconds: size of all contents, and age of each. litter: pattern of names of unfinished
    files, which are removed after LITTER_SECONDS.
    """

    title: str
    folder: Path
    name: re.Pattern[str]
    most_bytes: float
    most_seconds: float
    litter: re.Pattern[str] | None = None


@dataclass(frozen=True)
class Kept:
    """One thing in a folder: all results of a run, or one upload. changed: when its youngest file changed, in seconds since 1970."""

    path: Path
    size: int
    changed: float


class Housekeeper:
    """Removes old results and uploads of one server."""

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
        """Sets the function that returns the files which pages have open. It is called at each sweep, on the sweep's thread."""
        self._in_use = in_use

    def sweep_soon(self) -> None:
        """Starts a sweep on its own thread, so that the caller does not wait for the disk. At most one sweep runs and one waits."""
        if not self._waiting.acquire(blocking=False):
            return
        try:
            threading.Thread(target=self._sweep_in_turn, name="housekeeper", daemon=True).start()
        except RuntimeError:  # the system has no thread left
            self._waiting.release()
            log.exception("no sweep could be begun")

    def sweep(self) -> None:
        """Sweeps now. Errors are only logged: no result is lost because an old one could not be removed."""
        try:
            in_use = {os.path.realpath(path.parent) for path in self._in_use()}
            for quota in self._quotas:
                sweep_one(quota, in_use, time.time())
        except Exception:
            log.exception("old results and uploads could not be removed")

    def _sweep_in_turn(self) -> None:
        with self._sweeping:
            self._waiting.release()  # a sweep asked for from now on must run after this one, which may miss new files
            self.sweep()


def uploads_folder(data_dir: Path) -> Path:
    return data_dir / "cache"


def sweep_one(quota: Quota, in_use: Collection[str], now: float) -> None:
    """Removes what is too old, then the oldest until the rest fits the quota. in_use: real paths of folders that stay. Raises OSError."""
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
                with contextlib.suppress(FileNotFoundError):  # another server that uses this folder has just removed it
                    yield _thing(Path(entry.path))


def _thing(path: Path) -> Kept:
    """Returns the size and age of a folder or file. An empty folder has its own age."""
    inside = [file for file in path.rglob("*") if not file.is_dir()] if path.is_dir() else []
    states = [file.lstat() for file in inside or [path]]
    return Kept(path, sum(state.st_size for state in states), max(state.st_mtime for state in states))


def _is_removed(path: Path) -> bool:
    """Removes a path and returns whether it is gone. On some systems a file that is being read cannot be removed."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
    return not path.exists()
