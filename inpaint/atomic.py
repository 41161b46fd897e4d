"""Replaces a file atomically: a reader sees the old file or the whole new one, even after a crash. Imports nothing of this package."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

TEMPORARY = ".inpaint-"
"""Prefix of the names of files that are being written. The storage removes those that a killed process left behind."""


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Calls `write` with a temporary path beside `path`, syncs the file to disk, and renames it to `path`.

    The folder of `path` must exist. Raises OSError, and what `write` raises; `path` then stays as it was.
    """
    temporary = path.with_name(f"{TEMPORARY}{secrets.token_hex(8)}{path.suffix}")
    try:
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
