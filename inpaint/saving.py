"""Writes a finished run's pictures and checks what the files hold. The worker calls this before a job counts as done. Knows no widgets."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from inpaint.core.composite import changed_outside, looks_the_same
from inpaint.core.picture import Picture
from inpaint.core.report import PromiseCheck, RunReport
from inpaint.core.request import EditRequest
from inpaint.core.result import EditResult
from inpaint.errors import StorageFull
from inpaint.storage.previews import Preview, preview_of
from inpaint.storage.quota import Housekeeper
from inpaint.storage.results import SavedFile, new_results, result_name, save_picture
from inpaint.storage.unsaved import Shelf, encode_result

NOT_KEPT = "This result is not kept; download it now."
log = logging.getLogger(__name__)

Write = Callable[[Picture, Path], SavedFile]


@dataclass(frozen=True)
class Saved:
    """A finished run that has been saved.

    paths: its files, one a candidate; empty if the disk did not take them, and then the report has downloads. previews: one a
    candidate, for showing. No full-size pixels stay in memory.
    """

    paths: tuple[Path, ...]
    report: RunReport
    previews: tuple[Preview, ...]


Destination = Callable[[EditResult, EditRequest | None], Saved]
"""A function that saves a run. Its second argument is the request of an edit, whose picture and mask are needed to check the result;
None for other runs."""


class NamedFiles:
    """Saves a run to the files that the command line names. Raises StorageFull."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths

    def __call__(self, result: EditResult, request: EditRequest | None) -> Saved:
        return save_candidates(result, request, self._paths, save_picture)


class ResultsFolder:
    """Saves a run to a new folder among a server's results. If the disk refuses, the files stay in memory and the report says so.

    name: what the files are named after.
    """

    def __init__(self, data_dir: Path, housekeeper: Housekeeper, shelf: Shelf, name: str) -> None:
        self._data_dir, self._housekeeper, self._shelf, self._name = data_dir, housekeeper, shelf, name

    def __call__(self, result: EditResult, request: EditRequest | None) -> Saved:
        seeds = [candidate.seed for candidate in result.candidates]
        try:
            return save_candidates(result, request, new_results(self._data_dir, self._name, seeds), save_picture)
        except StorageFull as error:
            log.error("a result could not be written and is in memory only: %s", error)
            return self._in_memory(result, request, [Path(result_name(self._name, seed)) for seed in seeds], error)
        finally:
            self._housekeeper.sweep_soon()

    def _in_memory(self, result: EditResult, request: EditRequest | None, paths: Sequence[Path], error: StorageFull) -> Saved:
        files: list[tuple[str, bytes]] = []

        def write(picture: Picture, path: Path) -> SavedFile:
            saved, data = encode_result(picture, path)
            files.append((path.name, data))
            return saved

        saved = save_candidates(result, request, paths, write)
        downloads = tuple(file.address for file in self._shelf.take(files))
        why = "The disk is full." if error.is_full else "The folder for results cannot be written."
        return replace(saved, paths=(), report=replace(saved.report.noted(f"{why} {NOT_KEPT}"), downloads=downloads))


def save_candidates(result: EditResult, request: EditRequest | None, paths: Sequence[Path], write: Write) -> Saved:
    """Writes every candidate with `write`, one path each, and reports on the files as a reader sees them.

    For an edit it counts what changed beyond the band, and checks whether anything visible changed. Raises what `write`
    raises.
    """
    each = [
        _save_one(candidate.picture, candidate.changed_outside, request, path, write)
        for candidate, path in zip(result.candidates, paths, strict=True)
    ]
    same = [k for k, one in enumerate(each) if one.is_unchanged]
    notices = (*_unchanged_notices(same, len(each)), *(notice for one in each for notice in one.notices))
    check = PromiseCheck(max(one.changed_outside for one in each), result.blend_band_px, result.region) if request else None
    report = RunReport.of(result, tuple(str(path) for path in paths), notices, check)
    return Saved(tuple(paths), report, tuple(one.preview for one in each))


@dataclass(frozen=True)
class _One:
    """What is kept of one written candidate. Its full-size pixels are not kept."""

    preview: Preview
    notices: tuple[str, ...]
    changed_outside: int
    is_unchanged: bool


def _save_one(picture: Picture, counted: int, request: EditRequest | None, path: Path, write: Write) -> _One:
    """Writes one candidate and checks the file.

    counted: pixels that changed beyond the band, counted before encoding. It is used if the format does not store pixels
    exactly.
    """
    file = write(picture, path)
    if request is not None and file.picture is not None:
        counted = changed_outside(request.picture, file.picture, request.mask, request.blend_band_px)
    is_unchanged = request is not None and looks_the_same(request.picture, file.picture or picture)
    return _One(preview_of(picture.pixels), file.notices, counted, is_unchanged)


def _unchanged_notices(same: Sequence[int], count: int) -> list[str]:
    """Returns notices about results that look just like the original picture. same: their numbers, counted from 0."""
    if len(same) < count:
        return [f"Candidate {k + 1} looks like the picture: nothing visible changed inside the mask." for k in same]
    return [f"Nothing visible changed inside the mask: {'the result looks' if count == 1 else 'all results look'} like the picture."]
