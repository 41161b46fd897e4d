"""How much room the disk has left: asked before work begins, so that a result has a place when it is done. Knows no models and no page."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from inpaint.errors import StorageFull

MEGABYTE = 10**6


class Space:
    """folders: where is written. megabytes: what their disks must have free."""

    def __init__(self, folders: Sequence[Path], megabytes: float) -> None:
        self._folders, self._floor = folders, megabytes * MEGABYTE

    @property
    def shortage(self) -> str:
        """One sentence that names no place of this machine; "" where there is room, and where nobody can say."""
        free = min((free for folder in self._folders if (free := free_bytes(folder)) is not None), default=None)
        if free is None or free >= self._floor:
            return ""
        return f"The server's disk is almost full: {free / MEGABYTE:,.0f} MB are free, and {self._floor / MEGABYTE:,.0f} MB have to be."

    def check(self) -> None:
        """Raises StorageFull where a result might find no room."""
        if shortage := self.shortage:
            raise StorageFull(shortage, "Free some space there.")


def free_bytes(folder: Path) -> int | None:
    """For this user, on the disk of a folder or of the nearest one above it that is there; None where the system does not say."""
    for place in (folder, *folder.parents):
        try:
            return shutil.disk_usage(place).free
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            return None
    return None
