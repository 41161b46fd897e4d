"""What huggingface_hub and the system raise during a download, turned into a sentence with what to do."""

from __future__ import annotations

import errno
import logging
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from huggingface_hub import constants, errors

from inpaint.config.places import DEFAULT_CONFIGS
from inpaint.core.spec import ModelSpec
from inpaint.errors import InpaintError, ModelUnavailable, StorageFull
from inpaint.hub.cache import cache_folder
from inpaint.hub.lockfile import lock_of

log = logging.getLogger(__name__)

AGAIN = "Check the network, then run the same command again; files that are complete are kept."
HINTS: Mapping[object, str] = MappingProxyType(
    {
        401: "Log in anew with: hf auth login",
        403: "Log in anew with: hf auth login",
        429: "It was asked too often: wait some minutes, then run the same command again. Logged in (hf auth login) one may ask more often.",
    }
)
"""The hint for an HTTP status; AGAIN for every other status."""

UNPIN = 'To take the present revision, set revision = "main" {file}.'
UNLOCK = "To take the present revision instead of the one used until now, delete {lock} and run the same command again."


@contextmanager
def explained(spec: ModelSpec, part: str) -> Generator[None]:
    """While open, an error of huggingface_hub or of the system is logged and raised as ModelUnavailable or StorageFull."""
    try:
        yield
    except (errors.HTTPError, OSError, ValueError) as error:
        log.info("%s: %s could not be fetched", spec.name, part, exc_info=error)
        raise _explanation(spec, part, error) from error


def _explanation(spec: ModelSpec, part: str, error: Exception) -> InpaintError:
    source = spec.sources[part]
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull(f"The disk of {cache_folder(source)} is full.", "Make room there, then run the same command again.")
    message, hint = next(texts for kinds, texts in _sentences(error) if isinstance(error, kinds))
    facts = {
        "repo": source.repo_id,
        "revision": source.revision,
        "lock": source.lock,
        "file": _where_to_change(spec),
        "page": f"{constants.ENDPOINT}/{source.repo_id}",
        "folder": cache_folder(source),
        "kind": type(error).__name__,
        "why": getattr(error, "strerror", None),
    }
    pin = (UNLOCK if lock_of(source) else UNPIN).format(**facts)
    return ModelUnavailable(message.format(**facts), hint.format(pin=pin, **facts))


def _where_to_change(spec: ModelSpec) -> str:
    """Where a person sets another revision: in the model's file, or in a copy of it where the file came with the app."""
    is_shipped = Path(spec.file).is_relative_to(DEFAULT_CONFIGS)
    return f"in a copy of {spec.file} in models/ of a folder DIR, and add --config DIR" if is_shipped else f"in {spec.file}"


def _sentences(error: Exception) -> list[tuple[Any, tuple[str, str]]]:
    """Classes of errors with their message and hint. The first class that fits counts, so narrower ones come first."""
    answer = getattr(getattr(error, "response", None), "status_code", "an error")
    is_of_the_disk = isinstance(error, OSError) and error.errno is not None
    return [
        (
            errors.OfflineModeIsEnabled,
            ("Offline mode is set (HF_HUB_OFFLINE), so {repo} cannot be fetched.", "Unset it, and run the same command again."),
        ),
        (
            errors.GatedRepoError,
            ("{repo} asks for its licence to be accepted first.", "Accept it on {page}, then log in with: hf auth login"),
        ),
        (errors.RevisionNotFoundError, ("The hub has no revision {revision} of {repo}.", "{pin}")),
        (
            (errors.RepositoryNotFoundError, errors.HFValidationError),
            (
                "There is no repository {repo} on the hub, or it is private.",
                "If it has moved, set its new repo_id {file}; if it is private, log in with: hf auth login",
            ),
        ),
        (
            errors.RemoteEntryNotFoundError,
            ("{repo} lists a file that it does not serve.", "Try again later, or set another revision {file}."),
        ),
        (errors.HfHubHTTPError, (f"The hub answered {answer} for {{repo}}.", HINTS.get(answer, AGAIN))),
        (
            (errors.HTTPError, errors.LocalEntryNotFoundError, ConnectionError, TimeoutError),
            ("The hub could not be reached for {repo} ({kind}).", AGAIN),
        ),
        (
            OSError,
            ("The folder {folder} cannot be used: {why}.", "Choose another one with --cache-dir or INPAINT_CACHE_DIR.")
            if is_of_the_disk
            else ("{repo} could not be fetched: a file came incomplete.", AGAIN),
        ),
        (Exception, ("The hub's answer for {repo} could not be read.", "A proxy or a login page may stand between: " + AGAIN)),
    ]
