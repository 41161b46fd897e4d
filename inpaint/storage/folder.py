"""The folders that a server writes to: refused before the start where they cannot be written, and watched while it runs.

A folder is tried by writing a file, because permission bits say little: of root, of a read-only disk, of a full one.
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
"""As much as a file system gives a file at once: an empty file can be made on a full disk too."""

TOLD_FOR_SECONDS = 1.0
"""An answer holds so long: whoever asks often makes no more writes than that."""


def check_folders(data_dir: Path, uploads: Path) -> None:
    """Make the folders that are not there, and write to each. Raises BadConfig, FolderUnusable with what to do."""
    for folder in written_folders(data_dir, uploads):
        try:
            _write_probe(folder)
        except OSError as error:
            raise _refusal(folder, data_dir, error) from None


def written_folders(data_dir: Path, uploads: Path) -> Sequence[Path]:
    """The data folder itself and those in it that a request is served from."""
    return data_dir, data_dir / "results", uploads


class FolderWatch:
    """Whether the folders can be written now. clock: seconds that only grow."""

    def __init__(self, folders: Sequence[Path], clock: Callable[[], float] = time.monotonic) -> None:
        self._folders, self._clock = folders, clock
        self._lock = threading.Lock()
        self._asked: float | None = None
        self._is_writable = True

    @property
    def is_writable(self) -> bool:
        """Waits for the disk. A folder that was deleted is made again, as the next request would do."""
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
    """One line: what is wrong with the folder, and what to do."""
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
    """Who asks and whose it is, where the system has such numbers; they differ seldom by name and often in a container."""
    there = _nearest(folder)
    return f" (uid {os.getuid()}; {there} belongs to uid {there.stat().st_uid})" if os.name == "posix" else ""


def _give(folder: Path) -> str:
    there = _nearest(folder)
    if os.name != "posix" or there.stat().st_uid == os.getuid():
        return "Make it writable"
    return f"Give it to this user with chown -R {os.getuid()} {shlex.quote(str(there))}"


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest above it that is there and can be looked at."""
    for path in (folder, *folder.parents):
        try:
            path.stat()
        except OSError:
            continue
        return path
    return folder
