"""The transfer of one file from the hub: its progress, and its retries after a broken connection.

huggingface_hub makes every transfer. Knows no order and no lock.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

from huggingface_hub import errors, hf_hub_download

from inpaint.core.spec import Source
from inpaint.hub.cache import cache_folder

log = logging.getLogger(__name__)

PAUSES = (1, 5)
"""Seconds before a file is tried again. huggingface_hub itself resumes a broken transfer five times before that."""


@dataclass(frozen=True)
class Transfer:
    """How far a download has come.

    file: the one at hand. done_bytes of all_bytes are on this disk and checked. fetched_bytes: what came from the hub
    since the download began; the rest was on this disk before.
    """

    file: str
    done_bytes: int
    all_bytes: int
    fetched_bytes: int = 0


TransferCallback = Callable[[Transfer], None]
"""Called every few megabytes, in the downloading thread. An error that it raises stops the download and passes through."""

ByteCallback = Callable[[int], None]
"""Called with the bytes of one file that are done so far."""


class _ByteBar:
    """Takes the place of huggingface_hub's tqdm bar and passes on how many bytes of one file have come."""

    def __init__(self, on_bytes: ByteCallback) -> None:
        self._on_bytes, self._done = on_bytes, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing has to be closed."""

    def update(self, count: int) -> None:
        """Adds a chunk. A negative count takes back what a restarted transfer will repeat."""
        self._done += count
        self._on_bytes(self._done)


def fetch(source: Source, commit: str, name: str, on_bytes: ByteCallback) -> Path:
    """Downloads one file into the hub's cache and returns its path. Raises what huggingface_hub raises, and OSError."""

    def bar(**_: object) -> _ByteBar:
        return _ByteBar(on_bytes)

    return Path(hf_hub_download(source.repo_id, name, revision=commit, cache_dir=cache_folder(source), tqdm_class=cast(Any, bar)))


def fetch_with_retries(source: Source, commit: str, name: str, on_bytes: ByteCallback) -> None:
    """Downloads one file, and tries again after a failure that may pass by itself. Raises as `fetch` does."""
    for pause in PAUSES:
        try:
            fetch(source, commit, name, on_bytes)
            return
        except (errors.HTTPError, OSError) as error:
            if not _may_pass(error):
                raise
            log.info("%s broke off, trying again", name, exc_info=error)
            time.sleep(pause)
    fetch(source, commit, name, on_bytes)


def _may_pass(error: Exception) -> bool:
    """Whether a later try may succeed: after a broken connection, a short file or a server's own error."""
    if isinstance(error, errors.HfHubHTTPError):
        return error.response.status_code >= 500
    return isinstance(error, errors.HTTPError) or (type(error) is OSError and error.errno is None)
