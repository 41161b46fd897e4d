"""Records on disk which jobs are running, so that a restart can tell which jobs a crash interrupted. Knows no models and no page.

Several servers may share one data folder. Each has its own folder in the journal, and holds the lock in it as long as its
process lives. The folder has one small file for each running job, written when the job begins and removed when it ends. When
a process ends, however it ends, the system frees its lock; files in a folder whose lock is free belong to interrupted jobs.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from inpaint.errors import StorageFull
from inpaint.storage.results import write_atomically

ENTRANCE = ".lock"
"""Name of the lock that is held while a folder is created or cleared, so that no server takes a new folder for an abandoned one."""

LOCK = "lock"
PATIENCE_SECONDS = 10.0


@dataclass(frozen=True)
class Interrupted:
    """A job that began and never ended. begun: when it began, in seconds since 1970, UTC."""

    job: str
    model: str
    begun: float


class Journal:
    """The running jobs of one server. folder: shared by all servers, created on first use.

    If the disk refuses a write, the journal misses the job, but the job still runs.
    """

    def __init__(self, folder: Path) -> None:
        self._all = folder
        self._own = folder / secrets.token_hex(4)
        self._lock: FileLock | None = None

    def begin(self, job: str, model: str, begun: float) -> None:
        """Records that a job has begun. job: a name that was never used before."""
        with contextlib.suppress(OSError, StorageFull, Timeout):
            self._move_in()
            write_atomically(self._own / f"{job}.json", json.dumps({"model": model, "begun": begun}).encode())

    def end(self, job: str) -> None:
        with contextlib.suppress(OSError):
            (self._own / f"{job}.json").unlink(missing_ok=True)

    def take_interrupted(self) -> list[Interrupted]:
        """Returns the jobs that servers which no longer run left unfinished, oldest first. Each job is returned only once."""
        found: list[Interrupted] = []
        with contextlib.suppress(OSError, Timeout), self._entrance():
            for folder in sorted(path for path in self._all.iterdir() if path.is_dir()):
                found.extend(_cleared(folder))
        return sorted(found, key=lambda job: job.begun)

    def _move_in(self) -> None:
        if self._lock is not None:
            return
        with self._entrance():
            self._own.mkdir()
            lock = FileLock(self._own / LOCK, blocking=False, thread_local=False)
            lock.acquire()
            self._lock = lock

    @contextlib.contextmanager
    def _entrance(self) -> Generator[None]:
        self._all.mkdir(parents=True, exist_ok=True)
        with FileLock(self._all / ENTRANCE, timeout=PATIENCE_SECONDS, thread_local=False):
            yield


def _cleared(folder: Path) -> list[Interrupted]:
    """Returns the jobs of a server that no longer runs and removes its folder. For a running server it returns none and changes
    nothing.
    """
    try:
        with FileLock(folder / LOCK, blocking=False, thread_local=False):
            left = [job for path in sorted(folder.glob("*.json")) if (job := _read(path)) is not None]
    except Timeout:
        return []
    shutil.rmtree(folder, ignore_errors=True)
    return left


def _read(path: Path) -> Interrupted | None:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return Interrupted(path.stem, str(kept["model"]), float(kept["begun"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
