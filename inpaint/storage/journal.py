"""Which jobs were running, on disk, so that a restart can tell what a crash interrupted. Knows no models and no page.

One small file a job, written when it begins and removed when it ends; what lies there at the start was interrupted.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path

from inpaint.errors import StorageFull
from inpaint.storage.results import TEMPORARY, write_atomically


@dataclass(frozen=True)
class Interrupted:
    """A job that had begun and never ended. begun: seconds since 1970, UTC."""

    job: str
    model: str
    begun: float


class Journal:
    """The running jobs of one server. folder: created on first use; a disk that refuses costs the journal, not the job."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self, job: str, model: str, begun: float) -> None:
        """job: a name that was never used before."""
        with contextlib.suppress(OSError, StorageFull):
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self._folder / f"{job}.json", json.dumps({"model": model, "begun": begun}).encode())

    def end(self, job: str) -> None:
        with contextlib.suppress(OSError):
            (self._folder / f"{job}.json").unlink(missing_ok=True)

    def take_interrupted(self) -> list[Interrupted]:
        """What an earlier server left behind, oldest first; each is told once. Half-written litter is removed."""
        found: list[Interrupted] = []
        for path in sorted(self._folder.glob("*.json")):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                kept = json.loads(path.read_text(encoding="utf-8"))
                found.append(Interrupted(path.stem, str(kept["model"]), float(kept["begun"])))
            with contextlib.suppress(OSError):
                path.unlink()
        for litter in self._folder.glob(f"{TEMPORARY}*"):
            with contextlib.suppress(OSError):
                litter.unlink()
        return sorted(found, key=lambda job: job.begun)
