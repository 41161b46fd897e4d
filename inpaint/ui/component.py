"""Base classes for the page's own components: a gr.HTML with declared events, and controls that take one file. Knows no jobs."""

from __future__ import annotations

from abc import ABCMeta
from typing import Any, ClassVar

import gradio as gr
from gradio.component_meta import ComponentMeta, updateable
from gradio.data_classes import FileData, ListFiles


class NoStub(ComponentMeta):
    """A metaclass that writes no stub files. Gradio's own metaclass writes a .pyi file beside every component's source at import."""

    def __new__(mcs, name: str, bases: tuple[type, ...], attrs: dict[str, Any]) -> NoStub:
        if "__init__" in attrs:
            attrs["__init__"] = updateable(attrs["__init__"])
        return ABCMeta.__new__(mcs, name, bases, attrs)


class OwnComponent(gr.HTML, metaclass=NoStub):
    """A gr.HTML that has only its declared events.

    Gradio's gr.HTML returns an event method for every word that is quoted in its script. Gradio also asks each component for
    its parameters by name to build the page's configuration, and copies the values at every visit. A method found that way is
    bound to the component and through it to the whole page, the service and the weights of its models, which would all be
    copied.
    """

    OWN_EVENTS: ClassVar[tuple[str, ...]] = ()

    def __getattr__(self, name: str) -> Any:
        if name in self.OWN_EVENTS:
            return super().__getattr__(name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def example_payload(self) -> str:
        return ""

    def example_value(self) -> str:
        return ""


class FileField(gr.File, metaclass=NoStub):
    """A gr.File that gives a call's handler the path of one upload. Gradio's own class leaves an empty temporary file behind for
    each call.
    """

    is_template = True

    def preprocess(self, payload: ListFiles | FileData | None) -> str | None:
        return _path(payload)


class FileButton(gr.UploadButton, metaclass=NoStub):
    """A gr.UploadButton that gives a handler the path of one upload. Gradio's own class leaves an empty temporary file behind."""

    is_template = True

    def preprocess(self, payload: ListFiles | FileData | None) -> str | None:
        return _path(payload)


def _path(payload: ListFiles | FileData | None) -> str | None:
    """Returns the path of a file, or of the first of several; None if there is none."""
    file = next(iter(payload.root), None) if isinstance(payload, ListFiles) else payload
    return None if file is None else file.path


def sent_with(event: gr.EventData, name: str) -> Any:
    """Returns the value that the page sent with an event under a name; None if it is missing, since any program may send events."""
    try:
        return getattr(event, name)
    except (AttributeError, TypeError):
        return None
