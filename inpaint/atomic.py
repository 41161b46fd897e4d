"""Replaces a file atomically: a reader sees the old file or the whole new one, also after a crash. Imports nothing of ours."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

TEMPORARY = ".inpaint-"
"""How the name of a file begins that is being written. One that a killed process left is swept by the storage."""


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Has `write` write a file beside `path`, syncs it to the disk, and then gives it the name of `path`.

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
