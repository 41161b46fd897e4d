"""Turns Gradio's own refusals of a call's values into sentences for the caller. Knows no models and no jobs.

Before any handler runs, Gradio checks that each file value says it is an upload and that its path lies in the upload folder.
These checks stay. Without this module the caller would only see "null", and the log would get a traceback.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.components.api_component import Api
from gradio.data_classes import FileData
from gradio.utils import get_upload_folder
from gradio_client.utils import is_http_url_like

from inpaint.errors import FolderUnusable, InpaintError, InvalidRequest

log = logging.getLogger(__name__)
UPLOAD_IT = "With gradio_client wrap its path in handle_file(...); else post it to /gradio_api/upload first."
UNREADABLE = "The page has sent a value that its control cannot have."


@contextmanager
def refusals(inputs: Sequence[Block], values: Sequence[Any]) -> Generator[None]:
    """Turns what Gradio raises about the values of a call, or of a page's event, into an error that the sender sees.

    The log gets no traceback of it, since anybody can send wrong values as often as they like.
    """
    try:
        yield
    except gr.Error as error:
        raise gr.Error(error.message, print_exception=False) from None
    except Exception as error:
        is_call = any(isinstance(part, (gr.File, Api)) for part in inputs)
        refusal = _refusal(inputs, values, error) if is_call else InvalidRequest("data", UNREADABLE, "Reload the page.")
        if refusal is None:
            raise
        raise gr.Error(str(refusal), print_exception=False) from None


def refuse_addresses(values: Any) -> None:
    """Raises gr.Error if a file's path is a web address. Gradio would fetch it, but this app requests nothing from the network."""
    if _names_address(values):
        raise gr.Error(str(InvalidRequest("data", "A file of this call is named by a web address.", UPLOAD_IT)), print_exception=False)


def _names_address(value: Any) -> bool:
    if isinstance(value, dict):
        return is_http_url_like(value.get("path")) or any(map(_names_address, value.values()))
    return isinstance(value, (list, tuple)) and any(map(_names_address, value))


def _refusal(inputs: Sequence[Block], values: Sequence[Any], error: Exception) -> InpaintError | None:
    """Returns the error for the caller, or None if the call's values are not the cause. The original error is then raised."""
    if len(values) < len(inputs):
        return InvalidRequest("data", f"This call takes {len(inputs)} values, not {len(values)}.", "null stands for not given.")
    for part, value in zip(inputs, values, strict=False):
        if isinstance(part, gr.File) and value is not None and not _names_an_upload(value):
            return InvalidRequest(str(part.label), f"The {part.label} must be an uploaded file.", UPLOAD_IT)
    if any(not _is_among_uploads(place) for place in _places(values)):
        return InvalidRequest("data", "A file of this call was not uploaded here.", UPLOAD_IT)
    if isinstance(error, (OSError, ValueError)):  # Gradio raises ValueError for problems with a file
        log.warning("an uploaded file cannot be used: %s", error)
        return FolderUnusable("A file of this call is no longer on the server, or cannot be read there.", "Upload it again.")
    return None


def _places(value: Any) -> Iterator[str]:
    """Yields the paths of all files that are named anywhere in a call's values."""
    if isinstance(value, dict):
        if isinstance(value.get("path"), str):
            yield value["path"]
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from _places(part)


def _is_among_uploads(place: str) -> bool:
    """Returns whether a path lies in the upload folder, whether or not the file exists."""
    try:
        return Path(place).resolve().is_relative_to(Path(get_upload_folder()).resolve())
    except (OSError, ValueError):  # no file has such a path
        return False


def _names_an_upload(value: Any) -> bool:
    try:
        FileData.model_validate(value, context={"validate_meta": True})
    except Exception:  # Gradio's own check fails on a "meta" that is no object
        return False
    return True
