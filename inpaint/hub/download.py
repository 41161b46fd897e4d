"""Carries out a download order: fetches what is missing, checks every file by its hash, and locks what came.

Imports no torch and loads nothing. Knows no page and no flags.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from huggingface_hub.utils import logging as hub_logging

from inpaint.errors import ModelUnavailable, StorageFull
from inpaint.hub import weights
from inpaint.hub.cache import remove_file, remove_partial_files, write_ref
from inpaint.hub.explain import explained
from inpaint.hub.lockfile import Lock, LockedFile, has_size, sha256_of, write_lock
from inpaint.hub.order import DownloadOrder, RemoteFile, SourceOrder, size_text
from inpaint.hub.transfer import Transfer, TransferCallback, fetch_with_retries

RESERVE = 1024**3
"""Bytes that stay free on the disk: results, logs and the system need some too."""


def download(order: DownloadOrder, report: TransferCallback) -> int:
    """Fetches every file of the order that is missing or damaged, locks all of them, and returns how many came.

    Raises ModelUnavailable and StorageFull with what to do, and whatever `report` raises. Complete files then stay; a
    partial one does not.
    """
    counter = _Counter(report, order.all_bytes)
    _require_room(order)
    hub_logging.set_verbosity_error()  # our own sentences say what its warnings say, and nobody on a page sees a terminal
    for source_order in order.sources:
        remove_partial_files(source_order.source)
        with explained(order.spec, source_order.part):
            files = {file.name: LockedFile(file.size, _bring(source_order, file, counter)) for file in source_order.files}
        _require_complete(source_order)
        with explained(order.spec, source_order.part):
            write_ref(source_order.source, source_order.commit, replaces=not source_order.is_locked)
        _write_lock(source_order, files)
    return counter.fetched_files


class _Counter:
    """Adds up the bytes of an order's files, and reports them."""

    def __init__(self, report: TransferCallback, all_bytes: int) -> None:
        self._report, self._all_bytes = report, all_bytes
        self._finished_bytes = self._fetched_bytes = 0
        self.fetched_files = 0

    def checking(self, file: RemoteFile, done: int) -> None:
        """Reports that `done` bytes of a file on this disk were checked."""
        self._tell(file, done, self._fetched_bytes)

    def fetching(self, file: RemoteFile, done: int) -> None:
        """Reports that `done` bytes of a file have come from the hub."""
        self._tell(file, done, self._fetched_bytes + min(done, file.size))

    def fetched(self, file: RemoteFile) -> None:
        """Counts a file that came from the hub."""
        self.fetched_files += 1
        self._fetched_bytes += file.size

    def finished(self, file: RemoteFile) -> None:
        """Counts a file that is on this disk and checked."""
        self._finished_bytes += file.size
        self.checking(file, 0)

    def _tell(self, file: RemoteFile, done: int, fetched_bytes: int) -> None:
        self._report(Transfer(file.name, self._finished_bytes + min(done, file.size), self._all_bytes, fetched_bytes))


def _require_room(order: DownloadOrder) -> None:
    """Raises StorageFull where the disk of the hub's cache cannot take the missing files and keep its reserve."""
    place = next(folder for folder in (order.folder, *order.folder.absolute().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    if order.missing_bytes and order.missing_bytes + RESERVE > free:
        raise StorageFull(
            f"{order.title} needs {size_text(order.missing_bytes)} more and {size_text(RESERVE)} to spare in "
            f"{order.folder}, where {size_text(free)} are free.",
            "Make room there, or choose another folder with --cache-dir or INPAINT_CACHE_DIR.",
        )


def _bring(order: SourceOrder, file: RemoteFile, counter: _Counter) -> str:
    """Makes sure that a file is on this disk, whole and undamaged, and returns its sha256.

    A damaged file is removed and fetched once more. Raises ModelUnavailable where it comes damaged again.
    """
    path = order.folder / file.name
    for _ in range(2):
        is_new = not has_size(path, file.size)
        if is_new:
            remove_file(path)
            fetch_with_retries(order.source, order.commit, file.name, lambda done: counter.fetching(file, done))
            counter.fetched(file)
        sha256 = sha256_of(path, lambda done, counted=is_new: counter.checking(file, file.size if counted else done))
        if _is_as_listed(path, file, sha256):
            counter.finished(file)
            return sha256
        remove_file(path)
    raise ModelUnavailable(
        f"{file.name} of {order.source.repo_id} came damaged twice: its hash is not the one that "
        f"{'was locked' if order.is_locked else 'the hub states'}.",
        "It was not kept. Try again later, or through another network.",
    )


def _is_as_listed(path: Path, file: RemoteFile, sha256: str) -> bool:
    """Whether a file has the hash that the order states; True where it states none."""
    if file.sha256 is not None:
        return sha256 == file.sha256
    if file.blob_id is None:
        return True
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest() == file.blob_id


def _require_complete(order: SourceOrder) -> None:
    """Raises ModelUnavailable where the hub's own list lacked something, such as a shard."""
    if weights.find_in(order.folder, order.source) is None:
        raise ModelUnavailable(
            f"{order.source.repo_id} at {order.commit[:12]} is not complete on the hub.", "Set another revision in the model's file."
        )


def _write_lock(order: SourceOrder, files: dict[str, LockedFile]) -> None:
    """Locks the files of a first download. Raises StorageFull."""
    source = order.source
    if source.lock is None or order.is_locked:
        return
    try:
        write_lock(Path(source.lock), order.part, Lock(source.repo_id, source.revision, source.variant, order.commit, files))
    except OSError as error:
        raise StorageFull(
            f"The lock file {source.lock} could not be written: {error.strerror or error}.",
            "Make room there or choose another --data-dir, then run the same command again.",
        ) from error
