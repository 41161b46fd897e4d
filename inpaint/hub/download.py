"""Fetching a model's weights when a person asked for it: what it would take, then the transfer, checked and locked.

huggingface_hub makes every transfer. Knows no page and no flags, imports no torch, loads nothing.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import shutil
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, cast

from huggingface_hub import HfApi, constants, errors, hf_hub_download
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.utils import WeakFileLock
from huggingface_hub.utils import logging as hub_logging

from inpaint.config.settings import DEFAULT_CONFIGS
from inpaint.core.spec import ModelSpec, Source
from inpaint.errors import InpaintError, ModelUnavailable, StorageFull
from inpaint.hub import weights
from inpaint.hub.layouts import INDEX, Component, select
from inpaint.hub.lockfile import Lock, LockedFile, has_size, lock_of, sha256_of, write_lock

log = logging.getLogger(__name__)

RESERVE = 1024**3
"""Bytes that stay free on the disk: results, logs and the system need some too."""

PAUSES = (1, 5)
"""Seconds before a file is tried anew. huggingface_hub itself resumes a broken transfer five times before that."""

LOOKUP_SECONDS = 30
GIGABYTE, MEGABYTE, KILOBYTE = 1_000_000_000, 1_000_000, 1_000


@dataclass(frozen=True)
class Transfer:
    """How far a download is: bytes of all its files that are here and checked, and the file at hand.

    fetched_bytes: what came from the hub since the download began; the rest was here.
    """

    file: str
    done_bytes: int
    all_bytes: int
    fetched_bytes: int = 0


Report = Callable[[Transfer], None]
"""Hears every few megabytes, in the downloading thread. What it raises stops the download and passes through."""


@dataclass(frozen=True)
class RemoteFile:
    """name: in its repository. sha256: where the hub or a lock knows it. blob_id: git's, of small files."""

    name: str
    size: int
    sha256: str | None
    blob_id: str | None = None


@dataclass(frozen=True)
class Parcel:
    """What one source needs. folder: where the hub cache keeps this commit. locked: known from an earlier download."""

    part: str
    source: Source
    commit: str
    files: tuple[RemoteFile, ...]
    locked: bool

    @property
    def folder(self) -> Path:
        return repo_folder(self.source) / "snapshots" / self.commit

    @property
    def missing(self) -> list[RemoteFile]:
        return [file for file in self.files if not has_size(self.folder / file.name, file.size)]


@dataclass(frozen=True)
class Plan:
    """What a download would fetch, from where, under which licence. Plain data; nothing of it was fetched yet."""

    spec: ModelSpec
    parcels: tuple[Parcel, ...]
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
        """The hub cache."""
        return cache_folder(self.parcels[0].source if self.parcels else None)

    @property
    def origins(self) -> tuple[str, ...]:
        return tuple(f"{parcel.source.repo_id} at {parcel.commit[:12]}" for parcel in self.parcels)

    @property
    def sentence(self) -> str:
        """What would happen, for people."""
        licence = f"Licence: {self.licence or 'not stated'}{f' ({self.licence_url})' if self.licence_url else ''}."
        if not self.parcels:
            return f"{self.title} needs no download. {licence}"
        origin = f"{', '.join(self.origins)}, {self.folder}"
        if not self.missing_bytes:
            return f"{self.title}: all {size_text(self.all_bytes)} are here ({origin}). {licence}"
        return f"{self.title}: {size_text(self.missing_bytes)} of {size_text(self.all_bytes)} to fetch ({origin}). {licence}"


def size_text(count: int) -> str:
    """10.1 GB, 512 MB, 3 kB: in steps of a thousand, as disks are sold."""
    if count >= GIGABYTE:
        return f"{count / GIGABYTE:.1f} GB"
    return f"{count / MEGABYTE:.0f} MB" if count >= MEGABYTE else f"{-(-count // KILOBYTE)} kB"


def cache_folder(source: Source | None) -> Path:
    return Path(source.cache_dir if source and source.cache_dir else constants.HF_HUB_CACHE)


def repo_folder(source: Source) -> Path:
    return cache_folder(source) / repo_folder_name(repo_id=source.repo_id, repo_type="model")


def plan(spec: ModelSpec, parts: Sequence[str] | None = None) -> Plan:
    """What a download of these sources (all, unless named) takes. Asks the hub only about what no lock knows.

    Raises ModelUnavailable with what to do.
    """
    parcels: list[Parcel] = []
    for part in spec.sources if parts is None else parts:
        source = spec.sources[part]
        if not source.is_local:
            parcels.append(_locked_parcel(part, source) or _listed_parcel(spec, part))
        elif weights.find(source) is None:
            raise weights.missing(spec)
    return Plan(spec, tuple(parcels), sum(file.size for parcel in parcels for file in parcel.files),
                sum(file.size for parcel in parcels for file in parcel.missing))


def download(asked: Plan, report: Report) -> int:
    """Fetch what is missing, check every file by its hash, fetch damaged ones anew, and lock what came: how many files came.

    Raises ModelUnavailable and StorageFull with what to do, and whatever report raises. Complete files stay; a partial one
    does not.
    """
    count = _Count(report, asked.all_bytes)
    _require_room(asked)
    hub_logging.set_verbosity_error()  # its warnings are said by our sentences, and a page's person sees no terminal
    for parcel in asked.parcels:
        _sweep(parcel.source)
        with _explained(asked.spec, parcel.part):
            files = {file.name: LockedFile(file.size, _bring(parcel, file, count)) for file in parcel.files}
        _require_complete(parcel)
        with _explained(asked.spec, parcel.part):
            _name_commit(parcel)
        _write_lock(parcel, files)
    return count.fetched


class _Count:
    """Adds the bytes of one file after another, and the files and bytes that came from the hub."""

    def __init__(self, report: Report, all_bytes: int) -> None:
        self._report, self._all, self._before = report, all_bytes, 0
        self.fetched, self._fetched_bytes = 0, 0

    def checking(self, file: RemoteFile, done: int) -> None:
        """done: bytes of a file that is here."""
        self._tell(file, done, self._fetched_bytes)

    def fetching(self, file: RemoteFile, done: int) -> None:
        """done: bytes of a file that is coming."""
        self._tell(file, done, self._fetched_bytes + min(done, file.size))

    def came(self, file: RemoteFile) -> None:
        self.fetched += 1
        self._fetched_bytes += file.size

    def finish(self, file: RemoteFile) -> None:
        self._before += file.size
        self.checking(file, 0)

    def _tell(self, file: RemoteFile, done: int, fetched_bytes: int) -> None:
        self._report(Transfer(file.name, self._before + min(done, file.size), self._all, fetched_bytes))


class _Bar:
    """Stands where huggingface_hub puts a tqdm bar: hears of every chunk of one file."""

    def __init__(self, tell: Callable[[int], None]) -> None:
        self._tell, self._done = tell, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def update(self, count: int) -> None:
        """A negative count takes back what a restarted transfer repeats."""
        self._done += count
        self._tell(self._done)


def _locked_parcel(part: str, source: Source) -> Parcel | None:
    lock = lock_of(source)
    if lock is None:
        return None
    files = tuple(RemoteFile(name, file.size, file.sha256) for name, file in lock.files.items())
    return Parcel(part, source, lock.commit, files, locked=True)


def _listed_parcel(spec: ModelSpec, part: str) -> Parcel:
    """Ask the hub: which commit, which files, how large, with which hashes."""
    source = spec.sources[part]
    with _explained(spec, part):
        info = _ask(source)
        listed = {sibling.rfilename: sibling for sibling in info.siblings or []}
        if info.sha is None or INDEX not in listed:
            raise ModelUnavailable(f"{source.repo_id} is no repository of diffusers: it has no {INDEX}.",
                                   "A single-file checkpoint cannot be used.")
        index = json.loads(_fetch(source, info.sha, INDEX, lambda _: None).read_text(encoding="utf-8"))
        components = select(index if isinstance(index, dict) else {}, listed, source.variant)
        _require_weights(source, components)
        names = [INDEX, *(name for component in components for name in component.files)]
        return Parcel(part, source, info.sha, tuple(_remote(listed[name]) for name in names), locked=False)


def _ask(source: Source) -> Any:
    """The hub's list of a repository's files. Raises ValueError where it is none (the library raises whatever comes)."""
    try:
        return HfApi().model_info(source.repo_id, revision=source.revision, files_metadata=True, timeout=LOOKUP_SECONDS)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no list of files: {error!r}") from error


def _remote(sibling: Any) -> RemoteFile:
    if sibling.lfs:
        return RemoteFile(sibling.rfilename, sibling.lfs.size, sibling.lfs.sha256)
    return RemoteFile(sibling.rfilename, sibling.size or 0, None, sibling.blob_id)


def _require_weights(source: Source, components: Iterable[Component]) -> None:
    """Before anything large is fetched. Raises ModelUnavailable."""
    for component in components:
        part = f"The part {component.name} of {source.repo_id}"
        if not component.files:
            raise ModelUnavailable(f"{part} is named in its {INDEX}, but is not there.")
        if component.only_pickled and not component.has_weights:
            raise ModelUnavailable(f"{part} is there only as a pickle file, which could run code when opened.",
                                   "Only safetensors are fetched: choose another repository or revision.")
        if component.needs_weights and not component.has_weights:
            variant = f" of the variant {source.variant}" if source.variant else ""
            raise ModelUnavailable(f"{part} has no safetensors{variant}.", "Set another variant or revision in the model's file.")


def _require_room(asked: Plan) -> None:
    """Raises StorageFull."""
    place = next(folder for folder in (asked.folder, *asked.folder.absolute().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    if asked.missing_bytes and asked.missing_bytes + RESERVE > free:
        raise StorageFull(f"{asked.title} needs {size_text(asked.missing_bytes)} more and {size_text(RESERVE)} to spare in "
                          f"{asked.folder}, where {size_text(free)} are free.",
                          "Make room there, or choose another folder with --cache-dir or INPAINT_CACHE_DIR.")


def _sweep(source: Source) -> None:
    """Remove what a killed download left half-written: it is never taken up again. A running one holds its file's lock."""
    locks = cache_folder(source) / ".locks" / repo_folder(source).name
    for left in (repo_folder(source) / "blobs").glob("*.incomplete"):
        with suppress(OSError), WeakFileLock(locks / f"{left.name.partition('.')[0]}.lock", timeout=0.1):
            left.unlink()


def _bring(parcel: Parcel, file: RemoteFile, count: _Count) -> str:
    """Have a file here, whole and undamaged; its sha256. A damaged one is removed and fetched once more."""
    path = parcel.folder / file.name
    for _ in range(2):
        is_new = not has_size(path, file.size)
        if is_new:
            _remove(path)
            _fetch_patiently(parcel, file, count)
            count.came(file)
        sha256 = sha256_of(path, lambda done, counted=is_new: count.checking(file, file.size if counted else done))
        if _is_as_listed(path, file, sha256):
            count.finish(file)
            return sha256
        _remove(path)
    raise ModelUnavailable(f"{file.name} of {parcel.source.repo_id} came damaged twice: its hash is not the one that "
                           f"{'was locked' if parcel.locked else 'the hub states'}.",
                           "It was not kept. Try again later, or through another network.")


def _is_as_listed(path: Path, file: RemoteFile, sha256: str) -> bool:
    if file.sha256 is not None:
        return sha256 == file.sha256
    if file.blob_id is None:
        return True
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest() == file.blob_id


def _fetch_patiently(parcel: Parcel, file: RemoteFile, count: _Count) -> None:
    def tell(done: int) -> None:
        count.fetching(file, done)

    for pause in PAUSES:
        try:
            _fetch(parcel.source, parcel.commit, file.name, tell)
            return
        except (errors.HTTPError, OSError) as error:
            if not _may_pass(error):
                raise
            log.info("%s broke off, trying anew", file.name, exc_info=error)
            time.sleep(pause)
    _fetch(parcel.source, parcel.commit, file.name, tell)


def _fetch(source: Source, commit: str, name: str, tell: Callable[[int], None]) -> Path:
    def bar(**_: object) -> _Bar:
        return _Bar(tell)

    return Path(hf_hub_download(source.repo_id, name, revision=commit, cache_dir=cache_folder(source), tqdm_class=cast(Any, bar)))


def _may_pass(error: Exception) -> bool:
    """A broken connection, too few bytes, a tired server: not what is missing, refused or full."""
    if isinstance(error, errors.HfHubHTTPError):
        return error.response.status_code >= 500
    return isinstance(error, errors.HTTPError) or (type(error) is OSError and error.errno is None)


def _remove(path: Path) -> None:
    """A file of the hub cache is a link to a blob, which may be a link itself; none of them may be taken up again."""
    while path.is_symlink():
        target = path.parent / path.readlink()
        path.unlink()
        path = target
    path.unlink(missing_ok=True)


def _name_commit(parcel: Parcel) -> None:
    """Write in the hub cache which commit the revision is, as a whole download by huggingface_hub does: then what is complete there
    is found without the lock, too, which lies with the app's own data. Of an older commit only where nothing is known."""
    name = repo_folder(parcel.source) / "refs" / parcel.source.revision
    if parcel.source.revision == parcel.commit or (parcel.locked and name.exists()):
        return
    name.parent.mkdir(parents=True, exist_ok=True)
    name.write_text(parcel.commit, encoding="utf-8")


def _write_lock(parcel: Parcel, files: dict[str, LockedFile]) -> None:
    source = parcel.source
    if source.lock is None or parcel.locked:
        return
    try:
        write_lock(Path(source.lock), parcel.part,
                   Lock(source.repo_id, source.revision, source.variant, parcel.commit, files))
    except OSError as error:
        raise StorageFull(f"The lock file {source.lock} could not be written: {error.strerror or error}.",
                          "Make room there or choose another --data-dir, then run the same command again.") from None


def _require_complete(parcel: Parcel) -> None:
    """The hub's list may itself lack something, such as a shard. Raises ModelUnavailable."""
    if weights.find_in(parcel.folder, parcel.source) is None:
        raise ModelUnavailable(f"{parcel.source.repo_id} at {parcel.commit[:12]} is not complete on the hub.",
                               "Set another revision in the model's file.")


@contextmanager
def _explained(spec: ModelSpec, part: str) -> Generator[None]:
    """What huggingface_hub and the system raise, as a sentence with what to do."""
    try:
        yield
    except (errors.HTTPError, OSError, ValueError) as error:
        log.info("%s: %s could not be fetched", spec.name, part, exc_info=error)
        raise _sentence(spec, part, error) from None


def _sentence(spec: ModelSpec, part: str, error: Exception) -> InpaintError:
    source = spec.sources[part]
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull(f"The disk of {cache_folder(source)} is full.", "Make room there, then run the same command again.")
    message, hint = next(said for kinds, said in _sentences(error) if isinstance(error, kinds))
    facts = {"repo": source.repo_id, "revision": source.revision, "lock": source.lock, "file": _where_to_change(spec),
             "page": f"{constants.ENDPOINT}/{source.repo_id}", "folder": cache_folder(source), "kind": type(error).__name__,
             "why": getattr(error, "strerror", None)}
    pin = (UNLOCK if lock_of(source) else UNPIN).format(**facts)
    return ModelUnavailable(message.format(**facts), hint.format(pin=pin, **facts))


AGAIN = "Check the network, then run the same command again; files that are complete are kept."
HINTS: Mapping[object, str] = MappingProxyType({
    401: "Log in anew with: hf auth login", 403: "Log in anew with: hf auth login",
    429: "It was asked too often: wait some minutes, then run the same command again. Logged in (hf auth login) one may ask more often."})
"""For an answer's status; AGAIN for the others."""

UNPIN = 'To take the present revision, set revision = "main" {file}.'
UNLOCK = "To take the present revision instead of the one used until now, delete {lock} and run the same command again."


def _where_to_change(spec: ModelSpec) -> str:
    """A file that came with the app stays as it is."""
    is_shipped = Path(spec.file).is_relative_to(DEFAULT_CONFIGS)
    return f"in a copy of {spec.file} in models/ of a folder DIR, and add --config DIR" if is_shipped else f"in {spec.file}"


def _sentences(error: Exception) -> list[tuple[Any, tuple[str, str]]]:
    """Kinds of errors, the narrower ones first, and what is said of them."""
    answer = getattr(getattr(error, "response", None), "status_code", "an error")
    is_of_the_disk = isinstance(error, OSError) and error.errno is not None
    return [
        (errors.OfflineModeIsEnabled, ("Offline mode is set (HF_HUB_OFFLINE), so {repo} cannot be fetched.",
                                       "Unset it, and run the same command again.")),
        (errors.GatedRepoError, ("{repo} asks for its licence to be accepted first.",
                                 "Accept it on {page}, then log in with: hf auth login")),
        (errors.RevisionNotFoundError, ("The hub has no revision {revision} of {repo}.", "{pin}")),
        ((errors.RepositoryNotFoundError, errors.HFValidationError),
         ("There is no repository {repo} on the hub, or it is private.",
          "If it has moved, set its new repo_id {file}; if it is private, log in with: hf auth login")),
        (errors.RemoteEntryNotFoundError, ("{repo} lists a file that it does not serve.",
                                           "Try again later, or set another revision {file}.")),
        (errors.HfHubHTTPError, (f"The hub answered {answer} for {{repo}}.",
                                 HINTS.get(answer, AGAIN))),
        ((errors.HTTPError, errors.LocalEntryNotFoundError, ConnectionError, TimeoutError),
         ("The hub could not be reached for {repo} ({kind}).", AGAIN)),
        (OSError, ("The folder {folder} cannot be used: {why}.", "Choose another one with --cache-dir or INPAINT_CACHE_DIR.")
         if is_of_the_disk else ("{repo} could not be fetched: a file came incomplete.", AGAIN)),
        (Exception, ("The hub's answer for {repo} could not be read.", "A proxy or a login page may stand between: " + AGAIN)),
    ]
