"""The folders of the hub's cache that a source lies in, and what a download cleans up and writes there. Asks no hub."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from huggingface_hub import constants
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.utils import WeakFileLock

from inpaint.core.spec import Source


def cache_folder(source: Source | None) -> Path:
    """The hub's cache that the source is downloaded into; without a source, the hub library's own."""
    return Path(source.cache_dir if source and source.cache_dir else constants.HF_HUB_CACHE)


def repo_folder(source: Source) -> Path:
    """The folder of the source's repository in the hub's cache, which holds blobs, refs and snapshots."""
    return cache_folder(source) / repo_folder_name(repo_id=source.repo_id, repo_type="model")


def snapshot_folder(source: Source, commit: str) -> Path:
    """The folder in which the hub's cache shows the files of one commit."""
    return repo_folder(source) / "snapshots" / commit


def remove_partial_files(source: Source) -> None:
    """Removes what a killed download left half-written, since no later download resumes it.

    A file that another process is downloading now is locked, and stays.
    """
    locks = cache_folder(source) / ".locks" / repo_folder(source).name
    for partial in (repo_folder(source) / "blobs").glob("*.incomplete"):
        with suppress(OSError), WeakFileLock(locks / f"{partial.name.partition('.')[0]}.lock", timeout=0.1):
            partial.unlink()


def remove_file(path: Path) -> None:
    """Removes a file of a snapshot with all that it links to: it is a link to a blob, which may itself be a link."""
    while path.is_symlink():
        target = path.parent / path.readlink()
        path.unlink()
        path = target
    path.unlink(missing_ok=True)


def write_ref(source: Source, commit: str, replaces: bool) -> None:
    """Writes which commit the source's revision means, as huggingface_hub does after it downloaded a whole repository.

    With it the weights are found without the lock, which lies with the app's own data. replaces: whether a commit that
    is written there already is replaced. Raises OSError.
    """
    ref = repo_folder(source) / "refs" / source.revision
    if source.revision == commit or (not replaces and ref.exists()):
        return
    ref.parent.mkdir(parents=True, exist_ok=True)
    ref.write_text(commit, encoding="utf-8")
