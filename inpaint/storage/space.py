"""Checks how much room the disk has before work begins, so that a finished result has a place. Knows no models and no page."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from inpaint.errors import StorageFull

MEGABYTE = 10**6


class Space:
    """Compares the free space of some folders with a minimum. folders: written to by the server. megabytes: what their disks
    must have free.
    """

    def __init__(self, folders: Sequence[Path], megabytes: float) -> None:
        self._folders, self._floor = folders, megabytes * MEGABYTE

    @property
    def shortage(self) -> str:
        """One sentence that names no path of this machine; "" if there is room or the system does not say."""
        free = min((free for folder in self._folders if (free := free_bytes(folder)) is not None), default=None)
        if free is None or free >= self._floor:
            return ""
        return f"The server's disk is almost full: {free / MEGABYTE:,.0f} MB are free, and {self._floor / MEGABYTE:,.0f} MB have to be."

    def check(self) -> None:
        """Raises StorageFull if a result might find no room."""
        if shortage := self.shortage:
            raise StorageFull(shortage, "Free some space there.")


def free_bytes(folder: Path) -> int | None:
    """Returns the bytes that this user may still write on the folder's disk; None if the system does not say.

    If the folder does not exist, the nearest existing folder above it is asked.
    """
    for place in (folder, *folder.parents):
        try:
            return shutil.disk_usage(place).free
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            return None
    return None
