"""Checks the folders that a server writes to: before the start, where an unusable one is refused, and while the server runs.

A folder is tested by writing a file, because permission bits say little to root, or about read-only and full disks.
"""

from __future__ import annotations

import errno
import os
import shlex
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from inpaint.errors import BadConfig, FolderUnusable, InpaintError
from inpaint.storage.results import FULL, TEMPORARY

PROBE_BYTES = 4096
"""Size of the test file: one block of a file system. An empty file could be created on a full disk too."""

TOLD_FOR_SECONDS = 1.0
"""How long an answer is reused, so that frequent questions do not cause frequent writes."""


def check_folders(data_dir: Path, uploads: Path) -> None:
    """Creates the folders that are missing, and writes a file to each as a test. Raises BadConfig or FolderUnusable, with what to do."""
    for folder in written_folders(data_dir, uploads):
        try:
            _write_probe(folder)
        except OSError as error:
            raise _refusal(folder, data_dir, error) from None


def written_folders(data_dir: Path, uploads: Path) -> Sequence[Path]:
    """Returns the folders that a server writes to: the data folder, the results in it, and the uploads."""
    return data_dir, data_dir / "results", uploads


class FolderWatch:
    """Tells whether the folders can be written now. clock: returns seconds that only increase."""

    def __init__(self, folders: Sequence[Path], clock: Callable[[], float] = time.monotonic) -> None:
        self._folders, self._clock = folders, clock
        self._lock = threading.Lock()
        self._asked: float | None = None
        self._is_writable = True

    @property
    def is_writable(self) -> bool:
        """Whether all folders can be written. It waits for the disk, and creates a missing folder, as the next request would do."""
        with self._lock:
            now = self._clock()
            if self._asked is None or now - self._asked > TOLD_FOR_SECONDS:
                self._is_writable = all(map(_can_write, self._folders))
                self._asked = now
            return self._is_writable


def _can_write(folder: Path) -> bool:
    try:
        _write_probe(folder)
    except OSError:
        return False
    return True


def _write_probe(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=folder, prefix=TEMPORARY)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(bytes(PROBE_BYTES))
    finally:
        os.unlink(name)


def _refusal(folder: Path, data_dir: Path, error: OSError) -> InpaintError:
    """Returns an error with one line that says what is wrong with the folder, and what to do."""
    other = f"name another with {'--data-dir' if folder.is_relative_to(data_dir) else 'GRADIO_TEMP_DIR'}."
    blocking = next((path for path in (folder, *folder.parents) if os.path.exists(path) and not os.path.isdir(path)), None)
    if blocking is not None:
        what = "is a file" if blocking == folder else f"cannot be made: {blocking} is a file"
        return BadConfig(f"The folder {folder} {what}.", f"Move that file away, or {other}")
    if error.errno == errno.EROFS:
        return FolderUnusable(f"The folder {folder} lies on a disk that is mounted read-only.", f"Mount it writable, or {other}")
    if error.errno in FULL:
        return FolderUnusable(f"The disk of the folder {folder} is full.", f"Free some space, or {other}")
    if error.errno in (errno.EACCES, errno.EPERM):
        return FolderUnusable(f"The folder {folder} cannot be written by this user{_ownership(folder)}.", f"{_give(folder)}, or {other}")
    return FolderUnusable(f"The folder {folder} cannot be written: {error.strerror or error}.", f"N{other[1:]}")


def _ownership(folder: Path) -> str:
    """Returns a phrase with this user's number and the folder's owner's, or "" on Windows. The numbers often differ in a container."""
    there = _nearest(folder)
    return f" (uid {os.getuid()}; {there} belongs to uid {there.stat().st_uid})" if os.name == "posix" else ""


def _give(folder: Path) -> str:
    there = _nearest(folder)
    if os.name != "posix" or there.stat().st_uid == os.getuid():
        return "Make it writable"
    return f"Give it to this user with chown -R {os.getuid()} {shlex.quote(str(there))}"


def _nearest(folder: Path) -> Path:
    """Returns the folder, or the nearest folder above it that exists and can be looked at."""
    for path in (folder, *folder.parents):
        try:
            path.stat()
        except OSError:
            continue
        return path
    return folder
