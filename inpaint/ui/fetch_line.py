"""The line under a model that is not on disk: its Download button, progress and Stop. Layout and events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr
from gradio.components import Component

from inpaint.core.spec import ModelSpec, Task
from inpaint.engines.registry import Models
from inpaint.errors import Busy, InpaintError
from inpaint.ui import words
from inpaint.ui.fetching import Fetch, Fetcher

Updates = dict[Any, Any]
Wanted = Callable[[Mapping[Component, Any]], ModelSpec | None]
LOOK_SECONDS = 0.4


@dataclass(frozen=True)
class FetchLine:
    """The widgets. Hidden until a model is chosen that could be downloaded."""

    button: gr.Button
    progress: gr.HTML
    stop: gr.Button

    @classmethod
    def build(cls, name: str) -> FetchLine:
        return cls(gr.Button("Download", elem_id=f"{name}-download", visible=False), gr.HTML(elem_id=f"{name}-download-progress"),
                   gr.Button("Stop the download", elem_id=f"{name}-download-stop", visible=False))

    def parts(self) -> list[Any]:
        return [self.button, self.progress, self.stop]


class FetchHandlers:
    """models: where the weights show up once they are there. allowed: whether this server downloads for whoever opens its page."""

    def __init__(self, models: Models, fetcher: Fetcher, allowed: bool) -> None:
        self.models, self.fetcher, self.allowed = models, fetcher, allowed

    def offer(self, line: FetchLine, spec: ModelSpec | None, task: Task) -> Updates:
        """The button, with size and licence, where that model could be downloaded now."""
        can = spec is not None and self.can_fetch(spec, task) and not self.fetcher.is_fetching(spec, task)
        label = words.download_label(spec, task) if spec and can else "Download"
        return {line.button: gr.update(visible=can, value=label)}

    def told(self, note: gr.HTML, line: FetchLine, spec: ModelSpec, task: Task, reason: str = "") -> Updates:
        """What runs where, or how to get it. reason: why this model."""
        by_button = self.can_fetch(spec, task)
        return {note: words.model_html(spec, self.models, task, reason, by_button), **self.offer(line, spec, task)}

    def can_fetch(self, spec: ModelSpec, task: Task) -> bool:
        is_remote = bool(spec.sources) and not any(source.is_local for source in spec.sources.values())
        return self.allowed and is_remote and not self.models.is_available(spec, task)

    async def fetch(self, line: FetchLine, task: Task, wanted: Wanted, values: Mapping[Component, Any]) -> AsyncIterator[Updates]:
        """Download and tell how far it is; the page may be closed meanwhile."""
        spec = wanted(values)
        try:
            if spec is None or not self.can_fetch(spec, task):
                raise Busy("There is nothing to download here.")
            fetch = self.fetcher.start(spec, task)
        except InpaintError as error:
            yield self._ended(line, error)
            return
        yield {line.button: gr.update(visible=False), line.stop: gr.update(visible=True), line.progress: words.fetch_html(fetch)}
        while not fetch.is_finished:
            await asyncio.sleep(LOOK_SECONDS)
            yield {line.progress: words.fetch_html(fetch)}
        yield self._ended(line, fetch.error)

    def stop(self) -> None:
        going: Fetch | None = self.fetcher.current
        if going is not None:
            going.cancel()

    def bind(self, line: FetchLine, task: Task, wanted: Wanted, reads: set[Any]) -> Any:
        """Connect the buttons; returns the event after which the page looks anew. Called inside the Blocks context."""
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        fetch = partial(self.fetch, line, task, wanted)
        line.stop.click(self.stop, None, None, queue=False, **quiet)
        return line.button.click(fetch, reads, line.parts(), concurrency_limit=None, **quiet)

    def _ended(self, line: FetchLine, error: InpaintError | None) -> Updates:
        return {line.stop: gr.update(visible=False), line.progress: words.error_html(error) if error else "",
                line.button: gr.update(visible=error is not None)}
