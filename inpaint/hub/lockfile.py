"""What was downloaded, exactly: the resolved commit, and the size and sha256 of every file, as one lock file a model.

Written once all files of a source are there; from then on that commit is loaded, whatever the model's file says by "main". A local
folder may have a lock too, without a commit, as the weights that ship with the app do.
Imports no torch and asks no hub.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from inpaint.core.spec import Source

log = logging.getLogger(__name__)
BLOCK = 8 * 1024 * 1024
PATIENCE_SECONDS = 30
"""For another process that writes the same file, which takes milliseconds."""


@dataclass(frozen=True)
class LockedFile:
    """size in bytes; sha256: 64 hexadecimal digits, computed from the bytes on this disk."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Lock:
    """One source. revision, variant: as they were asked for; commit: what that was; files: by their names in the repository.

    Of a local folder repo_id is its path from the lock file's own folder, and commit is "".
    """

    repo_id: str
    revision: str
    variant: str | None
    commit: str
    files: Mapping[str, LockedFile]

    def is_of(self, source: Source, folder: Path) -> bool:
        """A source whose file now asks for something else is a different one. folder: the lock file's."""
        if source.is_local:
            return (folder / self.repo_id).resolve() == Path(source.repo_id).resolve()
        return (self.repo_id, self.revision, self.variant) == (source.repo_id, source.revision, source.variant)


def lock_of(source: Source) -> Lock | None:
    """What is locked for a source; None for what was never downloaded whole."""
    if source.lock is None:
        return None
    path = Path(source.lock)
    return next((lock for lock in read_locks(path).values() if lock.is_of(source, path.parent)), None)


def read_locks(path: Path) -> dict[str, Lock]:
    """Part -> lock; {} where there is no file. A damaged file counts as none and is logged: the next download writes it anew."""
    try:
        parts = json.loads(path.read_text(encoding="utf-8"))["sources"]
        return {part: _read_lock(entry) for part, entry in parts.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        log.warning("%s cannot be read: what it locked is not checked", path)
        return {}


def _read_lock(entry: Mapping[str, object]) -> Lock:
    files = entry["files"]
    if not isinstance(files, dict):
        raise TypeError
    return Lock(str(entry["repo_id"]), str(entry["revision"]), str(entry["variant"]) if entry["variant"] else None,
                str(entry["commit"]),
                {str(name): LockedFile(int(file["size"]), str(file["sha256"])) for name, file in files.items()})


def write_lock(path: Path, part: str, lock: Lock) -> None:
    """Add a part to a model's lock file, or replace it there; whole or not at all, one process after another. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock"), timeout=PATIENCE_SECONDS):
        replace_locks(path, {**read_locks(path), part: lock})


def lock_of_folder(folder: Path, base: Path) -> Lock:
    """What lies in a local folder now. base: where the lock file will lie. Raises OSError."""
    files = {path.relative_to(folder).as_posix(): LockedFile(path.stat().st_size, sha256_of(path, lambda _: None))
             for path in sorted(folder.rglob("*")) if path.is_file()}
    return Lock(folder.relative_to(base).as_posix(), "main", None, "", files)


def replace_locks(path: Path, locks: Mapping[str, Lock]) -> None:
    """Write a whole lock file, by part, or leave it as it was. Raises OSError."""
    text = json.dumps({"sources": {part: asdict(lock) for part, lock in locks.items()}}, indent=2)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".lock-") as folder:
        whole = Path(folder) / path.name
        with whole.open("w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(whole, path)


def sha256_of(path: Path, tell: Callable[[int], None]) -> str:
    """Of the bytes on disk. tell: hears how many were read, every 8 MB; may raise to stop. Raises OSError."""
    digest, done = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            done += len(block)
            tell(done)
    return digest.hexdigest()


def has_size(path: Path, size: int) -> bool:
    """False too for a link whose target is gone."""
    try:
        return path.is_file() and path.stat().st_size == size
    except OSError:
        return False
