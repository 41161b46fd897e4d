"""Checks that the files on this disk are still those that were downloaded or shipped, by every sha256 of the lock.

Changes nothing and asks no hub. Imports no torch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from inpaint.core.spec import ModelSpec, Source
from inpaint.errors import ModelUnavailable
from inpaint.hub import weights
from inpaint.hub.cache import repo_folder, snapshot_folder
from inpaint.hub.lockfile import Lock, has_size, lock_of, sha256_of
from inpaint.hub.transfer import Transfer, TransferCallback

LOST_LOCK = "its lock is missing or damaged"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Verdict:
    """The outcome of a check of one model.

    files: how many are as they were locked. damage: a sentence for each that is missing or not as it was locked. mend: what
    to do about the damage; "" where there is none. notes: what could not be checked, and why.
    """

    model: str
    files: int
    damage: tuple[str, ...]
    mend: str
    notes: tuple[str, ...]


def is_known(spec: ModelSpec) -> bool:
    """Whether a model was ever downloaded, even in part: something of it is on this disk, or it is locked."""
    return any(_is_here(source) or lock_of(source) for source in spec.sources.values())


def are_gone(spec: ModelSpec) -> bool:
    """Whether a source was downloaded whole, and nothing of it is on this disk now."""
    return any(lock_of(source) and not _is_here(source) for source in spec.sources.values())


def bytes_here(spec: ModelSpec) -> int:
    """Bytes of the locked files that are on this disk in their size."""
    return sum(
        file.size
        for source in spec.sources.values()
        if (lock := lock_of(source))
        for name, file in lock.files.items()
        if has_size(_snapshot(source, lock) / name, file.size)
    )


def verify(spec: ModelSpec, report: TransferCallback) -> Verdict:
    """Checks all sources of a model. One that was never downloaded is no damage.

    report: called with the bytes of one source after another; what it raises stops the check and passes through.
    """
    files, damage, notes = 0, list[str](), list[str]()
    for part, source in spec.sources.items():
        lock = lock_of(source)
        if not _is_here(source) and lock is None:
            notes.append(f"{part} is not downloaded")
        elif not _is_here(source):
            damage.append(f"{part}: its files are gone from {_folder(source)}")
        elif lock is None and _has_lost_its_lock(source):
            damage.append(f"{part}: {LOST_LOCK}")
        elif lock is not None:
            bad = list(_damage(_snapshot(source, lock), lock, report))
            files += len(lock.files) - len(bad)
            damage += bad
        elif weights.find(source) is None:
            damage.append(f"{part}: not complete in {source.repo_id}")
        elif source.is_local:
            notes.append(f"{part} is a local folder and complete; nothing is locked for it")
        else:
            notes.append(f"{part} is complete, but not locked: --download checks and locks it")
    return Verdict(spec.name, files, tuple(damage), _mend(spec) if damage else "", tuple(notes))


def _mend(spec: ModelSpec) -> str:
    if all(source.is_local and source.lock for source in spec.sources.values()):
        return f"Restore the files of {spec.title}: with git checkout where the app came by git, else by installing it again"
    if all(source.is_local for source in spec.sources.values()):
        return f"Put the files of {spec.title} back into their folder"
    return f"Mend with: {spec.command}"


def check_shipped(spec: ModelSpec, parts: Iterable[str]) -> None:
    """Checks the local folders that have a lock, before a model is opened; they are small.

    Raises ModelUnavailable. The log names the damaged files, as `models --verify` does.
    """
    for source in (spec.sources[part] for part in parts):
        lock = lock_of(source) if source.is_local else None
        damage = list(_damage(_snapshot(source, lock), lock, lambda _: None)) if lock else []
        if damage or (lock is None and _has_lost_its_lock(source)):
            log.error("%s: %s", spec.name, "; ".join(damage) or LOST_LOCK)
            raise ModelUnavailable(f"The weights of {spec.title} are damaged.", f"{_mend(spec)}.")


def _has_lost_its_lock(source: Source) -> bool:
    """Whether a local folder's lock is missing. The lock of a download is not: the next download writes it anew."""
    return source.is_local and source.lock is not None and lock_of(source) is None


def _folder(source: Source) -> Path:
    return Path(source.repo_id) if source.is_local else repo_folder(source)


def _is_here(source: Source) -> bool:
    if source.is_local:
        return Path(source.repo_id).is_dir()
    lock = lock_of(source)
    return _snapshot(source, lock).is_dir() if lock else weights.find(source) is not None


def _snapshot(source: Source, lock: Lock) -> Path:
    return Path(source.repo_id) if source.is_local else snapshot_folder(source, lock.commit)


def _damage(folder: Path, lock: Lock, report: TransferCallback) -> Iterator[str]:
    before, all_bytes = 0, sum(file.size for file in lock.files.values())
    for name, file in lock.files.items():

        def on_bytes(done: int, name: str = name, before: int = before) -> None:
            report(Transfer(name, before + done, all_bytes))

        path, before = folder / name, before + file.size
        if not path.is_file():
            yield f"{name} of {lock.repo_id} is missing"
        elif not has_size(path, file.size) or not _is_intact(path, file.sha256, on_bytes):
            yield f"{name} of {lock.repo_id} is damaged"


def _is_intact(path: Path, sha256: str, on_bytes: Callable[[int], None]) -> bool:
    """Whether a file has this sha256; False where the disk cannot read it."""
    try:
        return sha256_of(path, on_bytes) == sha256
    except OSError:
        return False
