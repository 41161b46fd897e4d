"""The page's own kinds of components: a gr.HTML whose events are declared, and controls that take one file. Knows no jobs."""

from __future__ import annotations

from abc import ABCMeta
from typing import Any, ClassVar

import gradio as gr
from gradio.component_meta import ComponentMeta, updateable
from gradio.data_classes import FileData, ListFiles


class NoStub(ComponentMeta):
    """Gradio's metaclass writes a .pyi file beside every component's source at import; a program must not edit itself."""

    def __new__(mcs, name: str, bases: tuple[type, ...], attrs: dict[str, Any]) -> NoStub:
        if "__init__" in attrs:
            attrs["__init__"] = updateable(attrs["__init__"])
        return ABCMeta.__new__(mcs, name, bases, attrs)


class OwnComponent(gr.HTML, metaclass=NoStub):
    """A gr.HTML that answers to its declared events alone.

    gr.HTML answers to every word that is quoted in its script with a method bound to itself. Gradio asks each component for its
    parameters by name to build the page's configuration, and copies that at every visit: a method found there reaches the whole page,
    the service behind it and the weights of its models, which would be copied too.
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
    """A gr.File that takes one file of a call as the path of its upload. Gradio's own leaves an empty temporary file for each."""

    is_template = True

    def preprocess(self, payload: ListFiles | FileData | None) -> str | None:
        return _path(payload)


class FileButton(gr.UploadButton, metaclass=NoStub):
    """A gr.UploadButton that takes one file of the page in the same way."""

    is_template = True

    def preprocess(self, payload: ListFiles | FileData | None) -> str | None:
        return _path(payload)


def _path(payload: ListFiles | FileData | None) -> str | None:
    """Of several files, the first."""
    file = next(iter(payload.root), None) if isinstance(payload, ListFiles) else payload
    return None if file is None else file.path


def sent_with(event: gr.EventData, name: str) -> Any:
    """What the page has sent with an event of one of its components; None where nothing of that name came: any program may send events."""
    try:
        return getattr(event, name)
    except (AttributeError, TypeError):
        return None
