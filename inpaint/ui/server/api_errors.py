"""What a caller over HTTP is told where Gradio itself does not take the values of a call. Knows no models and no jobs.

Gradio checks files before any handler is called: that a value says of itself to be an upload, and that its path lies in the
upload folder. Those checks stay; but of what they find a caller would hear "null", and the log would get a traceback.
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
    """Turns what Gradio raises of the values of a call, or of an event of the page, into an error that its sender is told. The log gets no
    traceback of it: anybody can send wrong values, as often as they like."""
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
    """Gradio would fetch a file whose path is a web address; this app asks nothing of the network. Raises gr.Error."""
    if _names_address(values):
        raise gr.Error(str(InvalidRequest("data", "A file of this call is named by a web address.", UPLOAD_IT)), print_exception=False)


def _names_address(value: Any) -> bool:
    if isinstance(value, dict):
        return is_http_url_like(value.get("path")) or any(map(_names_address, value.values()))
    return isinstance(value, (list, tuple)) and any(map(_names_address, value))


def _refusal(inputs: Sequence[Block], values: Sequence[Any], error: Exception) -> InpaintError | None:
    """None where it is not the call that is wrong: then it stays the fault that it is."""
    if len(values) < len(inputs):
        return InvalidRequest("data", f"This call takes {len(inputs)} values, not {len(values)}.", "null stands for not given.")
    for part, value in zip(inputs, values, strict=False):
        if isinstance(part, gr.File) and value is not None and not _says_upload(value):
            return InvalidRequest(str(part.label), f"The {part.label} must be an uploaded file.", UPLOAD_IT)
    if any(not _is_among_uploads(place) for place in _places(values)):
        return InvalidRequest("data", "A file of this call was not uploaded here.", UPLOAD_IT)
    if isinstance(error, (OSError, ValueError)):  # Gradio's own errors of a file are ValueErrors
        log.warning("an uploaded file cannot be used: %s", error)
        return FolderUnusable("A file of this call is no longer on the server, or cannot be read there.", "Upload it again.")
    return None


def _places(value: Any) -> Iterator[str]:
    """The paths of all files that are named anywhere in a call's values."""
    if isinstance(value, dict):
        if isinstance(value.get("path"), str):
            yield value["path"]
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from _places(part)


def _is_among_uploads(place: str) -> bool:
    """Whether a path lies in the folder of uploads, be there a file or not."""
    try:
        return Path(place).resolve().is_relative_to(Path(get_upload_folder()).resolve())
    except (OSError, ValueError):  # no file has such a path
        return False


def _says_upload(value: Any) -> bool:
    try:
        FileData.model_validate(value, context={"validate_meta": True})
    except Exception:  # Gradio's check stumbles itself over a "meta" that is no object
        return False
    return True
