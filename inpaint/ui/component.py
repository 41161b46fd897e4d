"""The base of the page's own components: a gr.HTML whose events are declared. Knows no jobs and no files."""

from __future__ import annotations

from abc import ABCMeta
from typing import Any, ClassVar

import gradio as gr
from gradio.component_meta import ComponentMeta, updateable


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
