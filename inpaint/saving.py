"""Keeps what a server's job made: on disk, else in memory for a while, which is said. Knows no widgets."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inpaint.core.picture import Picture
from inpaint.core.request import EditRequest
from inpaint.core.result import EditResult
from inpaint.errors import StorageFull
from inpaint.service import Service, save_edit, save_generated
from inpaint.storage.results import Saved, result_name, save_picture
from inpaint.storage.unsaved import encode_result

NOT_KEPT = "This result is not kept; download it now."
log = logging.getLogger(__name__)

Write = Callable[[Picture, Path], Saved]


@dataclass(frozen=True)
class Kept:
    """A result. paths: its files; none where the disk did not take them, and then downloads: their addresses, relative to the page's."""

    paths: Sequence[Path]
    report: dict[str, Any]
    downloads: Sequence[str] = ()


def keep_edit(service: Service, request: EditRequest, result: EditResult) -> Kept:
    return _keep(service, request.picture.name, result, lambda paths, write: save_edit(request, result, paths, write))


def keep_generated(service: Service, name: str, result: EditResult) -> Kept:
    return _keep(service, name, result, lambda paths, write: save_generated(result, paths, write))


def _keep(service: Service, name: str, result: EditResult, save: Callable[[Sequence[Path], Write], dict[str, object]]) -> Kept:
    seeds = [candidate.seed for candidate in result.candidates]
    try:
        with service.new_results(name, seeds) as paths:
            return Kept(paths, save(paths, save_picture))
    except StorageFull as error:
        log.error("a result could not be written and is in memory only: %s", error)
        return _in_memory(service, [Path(result_name(name, seed)) for seed in seeds], save, error)


def _in_memory(service: Service, paths: Sequence[Path], save: Callable[[Sequence[Path], Write], dict[str, object]],
               error: StorageFull) -> Kept:
    files: list[tuple[str, bytes]] = []

    def write(picture: Picture, path: Path) -> Saved:
        saved, data = encode_result(picture, path)
        files.append((path.name, data))
        return saved

    report: dict[str, Any] = save(paths, write)
    downloads = [file.address for file in service.shelf.take(files)]
    why = "The disk is full." if error.is_full else "The folder for results cannot be written."
    return Kept((), {**report, "notices": [*report["notices"], f"{why} {NOT_KEPT}"], "downloads": downloads}, downloads)
