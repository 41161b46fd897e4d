"""Lock files, one for each model: the commit that was downloaded, and the size and sha256 of every file.

A source is locked once all its files are on this disk. From then on that commit is loaded, whatever "main" has become. A local
folder may have a lock too, without a commit, as the weights that ship with the app do. Imports no torch and asks no hub.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from inpaint.atomic import replace_file
from inpaint.core.spec import Source

log = logging.getLogger(__name__)
BLOCK = 8 * 1024 * 1024
PATIENCE_SECONDS = 30
"""How long a writer waits for another process that writes the same file, which takes milliseconds."""


@dataclass(frozen=True)
class LockedFile:
    """What is known of one file. size: bytes. sha256: 64 hexadecimal digits, computed from the bytes on this disk."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Lock:
    """What was downloaded of one source. revision, variant: as they were asked for. commit: what the revision meant then.

    files: by their names in the repository. For a local folder, repo_id is its path from the lock file's folder, and commit "".
    """

    repo_id: str
    revision: str
    variant: str | None
    commit: str
    files: Mapping[str, LockedFile]

    def is_of(self, source: Source, folder: Path) -> bool:
        """Whether the lock is of this source as its model's file asks for it now. folder: the lock file's."""
        if source.is_local:
            return (folder / self.repo_id).resolve() == Path(source.repo_id).resolve()
        return (self.repo_id, self.revision, self.variant) == (source.repo_id, source.revision, source.variant)


def lock_of(source: Source) -> Lock | None:
    """The lock of a source; None where it was never downloaded whole."""
    if source.lock is None:
        return None
    path = Path(source.lock)
    return next((lock for lock in read_locks(path).values() if lock.is_of(source, path.parent)), None)


def read_locks(path: Path) -> dict[str, Lock]:
    """The locks of a file, by part; {} where there is no file.

    A damaged file is logged and counts as none: the next download writes it anew.
    """
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
    return Lock(
        str(entry["repo_id"]),
        str(entry["revision"]),
        str(entry["variant"]) if entry["variant"] else None,
        str(entry["commit"]),
        {str(name): LockedFile(int(file["size"]), str(file["sha256"])) for name, file in files.items()},
    )


def write_lock(path: Path, part: str, lock: Lock) -> None:
    """Adds a part to a model's lock file, or replaces it there, one process after another. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock"), timeout=PATIENCE_SECONDS):
        replace_locks(path, {**read_locks(path), part: lock})


def lock_of_folder(folder: Path, base: Path) -> Lock:
    """A lock of what lies in a local folder now. base: the folder of the lock file. Raises OSError."""
    files = {
        path.relative_to(folder).as_posix(): LockedFile(path.stat().st_size, sha256_of(path, lambda _: None))
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    return Lock(folder.relative_to(base).as_posix(), "main", None, "", files)


def replace_locks(path: Path, locks: Mapping[str, Lock]) -> None:
    """Replaces a whole lock file atomically. locks: by part. Raises OSError."""
    text = json.dumps({"sources": {part: asdict(lock) for part, lock in locks.items()}}, indent=2)
    replace_file(path, lambda whole: whole.write_text(text + "\n", encoding="utf-8"))


def sha256_of(path: Path, on_bytes: Callable[[int], None]) -> str:
    """The sha256 of a file. on_bytes: called every 8 MB with the bytes read so far; it may raise to stop. Raises OSError."""
    digest, done = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            done += len(block)
            on_bytes(done)
    return digest.hexdigest()


def has_size(path: Path, size: int) -> bool:
    """Whether a file is there in its size. A link whose target is gone is no file."""
    try:
        return path.is_file() and path.stat().st_size == size
    except OSError:
        return False
