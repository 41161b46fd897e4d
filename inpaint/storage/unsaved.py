"""Keeps the newest results in memory for a while if they could not be written to disk, so that they can be downloaded. Knows no page."""

from __future__ import annotations

import io
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
from PIL import Image

from inpaint.core.picture import Picture
from inpaint.storage.results import SavedFile, encoded

KEPT_SECONDS = 900.0
MOST_BYTES = 512 * 10**6
"""Size limit of all kept files. The newest run's files stay even if they alone exceed it."""


@dataclass(frozen=True)
class Unsaved:
    """A file that exists only in memory. key: cannot be guessed; whoever has it may download the file."""

    key: str
    name: str
    data: bytes
    since: float

    @property
    def address(self) -> str:
        """The file's address, relative to the page's."""
        return f"kept/{self.key}/{quote(self.name)}"


class Shelf:
    """Holds unsaved files; threads may share it. clock: returns seconds that only increase."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, most_bytes: int = MOST_BYTES) -> None:
        self._clock, self._most = clock, most_bytes
        self._files: OrderedDict[str, Unsaved] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, files: list[tuple[str, bytes]]) -> list[Unsaved]:
        """Keeps the files (name, content) of one run, and drops older ones to make room."""
        new = [Unsaved(secrets.token_urlsafe(24), name, data, self._clock()) for name, data in files]
        with self._lock:
            self._drop_old()
            self._files.update((file.key, file) for file in new)
            while len(self._files) > len(new) and sum(len(file.data) for file in self._files.values()) > self._most:
                self._files.popitem(last=False)
        return new

    def find(self, key: str) -> Unsaved | None:
        with self._lock:
            self._drop_old()
            return self._files.get(key)

    def _drop_old(self) -> None:
        for key in [key for key, file in self._files.items() if self._clock() - file.since > KEPT_SECONDS]:
            del self._files[key]


def encode_result(picture: Picture, path: Path) -> tuple[SavedFile, bytes]:
    """Encodes a result as `save_picture` would, but in memory. Returns what a reader of the file sees, and the file's bytes."""
    data = encoded(picture, "PNG")
    with Image.open(io.BytesIO(data)) as image:
        return SavedFile(path, Picture(np.array(image), picture.name)), data
