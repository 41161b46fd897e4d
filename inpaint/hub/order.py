"""What a download would fetch, from where and under which licence, found before anything large is transferred.

Asks the hub only about what no lock knows. Imports no torch.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi

from inpaint.core.spec import ModelSpec, Source
from inpaint.errors import ModelUnavailable
from inpaint.hub import weights
from inpaint.hub.cache import cache_folder, snapshot_folder
from inpaint.hub.explain import explained
from inpaint.hub.layouts import INDEX, Component, select
from inpaint.hub.lockfile import has_size, lock_of
from inpaint.hub.transfer import fetch

LOOKUP_SECONDS = 30
GIGABYTE, MEGABYTE, KILOBYTE = 1_000_000_000, 1_000_000, 1_000


@dataclass(frozen=True)
class RemoteFile:
    """One file of a repository. sha256: where the hub or a lock states it. blob_id: git's hash, which the hub states for
    small files."""

    name: str
    size: int
    sha256: str | None
    blob_id: str | None = None


@dataclass(frozen=True)
class SourceOrder:
    """The files that one source needs. is_locked: whether they are those of an earlier download."""

    part: str
    source: Source
    commit: str
    files: tuple[RemoteFile, ...]
    is_locked: bool

    @property
    def folder(self) -> Path:
        """Where the hub's cache keeps this commit."""
        return snapshot_folder(self.source, self.commit)

    @property
    def missing(self) -> list[RemoteFile]:
        """The files that are not on this disk in their size."""
        return [file for file in self.files if not has_size(self.folder / file.name, file.size)]


@dataclass(frozen=True)
class DownloadOrder:
    """What the download of a model would fetch. Plain data; nothing has been fetched yet."""

    spec: ModelSpec
    sources: tuple[SourceOrder, ...]
    all_bytes: int
    missing_bytes: int

    @property
    def model(self) -> str:
        return self.spec.name

    @property
    def title(self) -> str:
        return self.spec.title

    @property
    def licence(self) -> str:
        return self.spec.licence

    @property
    def licence_url(self) -> str:
        return self.spec.licence_url

    @property
    def folder(self) -> Path:
        """The hub's cache that the files go to."""
        return cache_folder(self.sources[0].source if self.sources else None)

    @property
    def origins(self) -> tuple[str, ...]:
        """Each repository with the first digits of its commit."""
        return tuple(f"{order.source.repo_id} at {order.commit[:12]}" for order in self.sources)

    @property
    def sentence(self) -> str:
        """What the download would do, for people."""
        licence = f"Licence: {self.licence or 'not stated'}{f' ({self.licence_url})' if self.licence_url else ''}."
        if not self.sources:
            return f"{self.title} needs no download. {licence}"
        origin = f"{', '.join(self.origins)}, {self.folder}"
        if not self.missing_bytes:
            return f"{self.title}: all {size_text(self.all_bytes)} are here ({origin}). {licence}"
        return f"{self.title}: {size_text(self.missing_bytes)} of {size_text(self.all_bytes)} to fetch ({origin}). {licence}"


def size_text(count: int) -> str:
    """Bytes for people: 10.1 GB, 512 MB, 3 kB. The steps are of a thousand, as disks are sold."""
    if count >= GIGABYTE:
        return f"{count / GIGABYTE:.1f} GB"
    return f"{count / MEGABYTE:.0f} MB" if count >= MEGABYTE else f"{-(-count // KILOBYTE)} kB"


def order_download(spec: ModelSpec, parts: Sequence[str] | None = None) -> DownloadOrder:
    """The order for these sources of a model; for all of its sources where none is named.

    Raises ModelUnavailable with what to do.
    """
    orders: list[SourceOrder] = []
    for part in spec.sources if parts is None else parts:
        source = spec.sources[part]
        if not source.is_local:
            orders.append(_locked_order(part, source) or _listed_order(spec, part))
        elif weights.find(source) is None:
            raise weights.missing(spec)
    return DownloadOrder(
        spec,
        tuple(orders),
        sum(file.size for order in orders for file in order.files),
        sum(file.size for order in orders for file in order.missing),
    )


def _locked_order(part: str, source: Source) -> SourceOrder | None:
    """The files of an earlier download; None where none was locked."""
    lock = lock_of(source)
    if lock is None:
        return None
    files = tuple(RemoteFile(name, file.size, file.sha256) for name, file in lock.files.items())
    return SourceOrder(part, source, lock.commit, files, is_locked=True)


def _listed_order(spec: ModelSpec, part: str) -> SourceOrder:
    """Asks the hub which commit a source is at, and which of its files are needed. Raises ModelUnavailable."""
    source = spec.sources[part]
    with explained(spec, part):
        info = _model_info(source)
        listed = {sibling.rfilename: sibling for sibling in info.siblings or []}
        if info.sha is None or INDEX not in listed:
            raise ModelUnavailable(
                f"{source.repo_id} is no repository of diffusers: it has no {INDEX}.", "A single-file checkpoint cannot be used."
            )
        index = json.loads(fetch(source, info.sha, INDEX, lambda _: None).read_text(encoding="utf-8"))
        components = select(index if isinstance(index, dict) else {}, listed, source.variant)
        _require_weights(source, components)
        names = [INDEX, *(name for component in components for name in component.files)]
        return SourceOrder(part, source, info.sha, tuple(_remote_file(listed[name]) for name in names), is_locked=False)


def _model_info(source: Source) -> Any:
    """The hub's list of a repository's files. Raises ValueError where the answer is no such list: the hub library raises
    whatever its own parsing meets."""
    try:
        return HfApi().model_info(source.repo_id, revision=source.revision, files_metadata=True, timeout=LOOKUP_SECONDS)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no list of files: {error!r}") from error


def _remote_file(sibling: Any) -> RemoteFile:
    if sibling.lfs:
        return RemoteFile(sibling.rfilename, sibling.lfs.size, sibling.lfs.sha256)
    return RemoteFile(sibling.rfilename, sibling.size or 0, None, sibling.blob_id)


def _require_weights(source: Source, components: Iterable[Component]) -> None:
    """Refuses a repository whose weights are missing or pickled. Raises ModelUnavailable."""
    for component in components:
        part = f"The part {component.name} of {source.repo_id}"
        if not component.files:
            raise ModelUnavailable(f"{part} is named in its {INDEX}, but is not there.")
        if component.only_pickled and not component.has_weights:
            raise ModelUnavailable(
                f"{part} is there only as a pickle file, which could run code when opened.",
                "Only safetensors are fetched: choose another repository or revision.",
            )
        if component.needs_weights and not component.has_weights:
            variant = f" of the variant {source.variant}" if source.variant else ""
            raise ModelUnavailable(f"{part} has no safetensors{variant}.", "Set another variant or revision in the model's file.")
