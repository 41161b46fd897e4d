"""The line under a model that is not on disk: its Download button, progress and Stop. Layout and events.

One download runs at a time for all people. Every line of every page shows it, and the person who began it can stop it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from inpaint.core.spec import ModelSpec, Task
from inpaint.errors import Busy, InpaintError
from inpaint.models.catalog import Models
from inpaint.ui import words
from inpaint.ui.downloads.fetcher import Fetch, Fetcher
from inpaint.ui.runs.identity import person_of
from inpaint.ui.runs.updates import RepeatedUpdates

Updates = dict[Any, Any]
Wanted = Callable[[Mapping[Component, Any]], ModelSpec | None]
LOOK_SECONDS = 0.4
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


@dataclass(frozen=True)
class FetchLine:
    """The widgets of a download line. They are hidden unless the chosen model can be downloaded."""

    button: gr.Button
    progress: gr.HTML
    stop: gr.Button

    @classmethod
    def build(cls, name: str) -> FetchLine:
        return cls(
            gr.Button("Download", elem_id=f"{name}-download", visible=False),
            gr.HTML(elem_id=f"{name}-download-progress"),
            gr.Button("Stop the download", elem_id=f"{name}-download-stop", visible=False),
        )

    def parts(self) -> list[Any]:
        return [self.button, self.progress, self.stop]


@dataclass(frozen=True)
class Look:
    """A handler of a tab that runs after a download, to show the models that are now available."""

    handler: Callable[..., Any]
    reads: set[Any]
    shows: list[Any]


class FetchHandlers:
    """Handlers of the download lines.

    models: shows which weights are on disk. allowed: whether this server lets people download models. going: state with the
    number of the download that a page follows.
    """

    def __init__(self, models: Models, fetcher: Fetcher, allowed: bool) -> None:
        self.models, self.fetcher, self.allowed = models, fetcher, allowed
        self.going = gr.State(0)
        self._lines: dict[Task, FetchLine] = {}
        self._looks: list[Look] = []

    def offer(self, line: FetchLine, spec: ModelSpec | None, task: Task) -> Updates:
        """Returns an update that shows the Download button, with size and licence, if the model can be downloaded.

        The button is disabled while another download runs.
        """
        going = self.fetcher.current
        can = spec is not None and self.can_fetch(spec, task) and not (going and going.brings(spec, task))
        label = words.download_label(spec, task) if spec and can else "Download"
        return {line.button: gr.update(visible=can, value=label, interactive=going is None)}

    def status(self, note: gr.HTML, line: FetchLine, spec: ModelSpec, task: Task, reason: str = "") -> Updates:
        """Returns updates that say what runs where, or how to get the model. reason: why this model was chosen."""
        by_button = self.can_fetch(spec, task)
        return {note: words.model_html(spec, self.models, task, reason, by_button), **self.offer(line, spec, task)}

    def can_fetch(self, spec: ModelSpec, task: Task) -> bool:
        is_remote = bool(spec.sources) and not any(source.is_local for source in spec.sources.values())
        return self.allowed and is_remote and not self.models.is_available(spec, task)

    def begin(self, line: FetchLine, task: Task, wanted: Wanted, values: Mapping[Component, Any], request: gr.Request) -> Updates:
        """Starts the download. The change of `going` then follows it."""
        spec = wanted(values)
        try:
            if spec is None or not self.can_fetch(spec, task):
                raise Busy("There is nothing to download here.")
            return {self.going: self.fetcher.start(spec, task, person_of(request)).number}
        except InpaintError as error:
            return {line.progress: words.error_html(error)}

    def find_again(self) -> int:
        """Returns the number of the running download, or 0. Called when a page opens."""
        return self.fetcher.current.number if self.fetcher.current else 0

    async def follow(self, number: int, request: gr.Request) -> AsyncIterator[Updates]:
        """Shows a download's progress on every line until it ends. The page may be closed meanwhile."""
        fetch = self.fetcher.numbered(number)
        if fetch is None:
            yield self._quiet()
            return
        repeated, can_stop = RepeatedUpdates(), fetch.person == person_of(request)
        while not fetch.is_finished:
            sentence = words.fetch_html(fetch)
            if repeated.is_news(sentence):
                yield repeated(
                    {
                        part: update
                        for line in self._lines.values()
                        for part, update in (
                            (line.progress, sentence),
                            (line.button, gr.update(interactive=False)),
                            (line.stop, gr.update(visible=can_stop)),
                        )
                    }
                )
            await asyncio.sleep(LOOK_SECONDS)
        yield repeated(self._quiet() | self._failed(fetch))

    def stop(self, request: gr.Request) -> None:
        going = self.fetcher.current
        if going is not None and going.person == person_of(request):
            going.cancel()

    def bind(self, line: FetchLine, task: Task, wanted: Wanted, reads: set[Any], look: Look) -> None:
        """Connects a line's buttons. look: what to update after a download. Called inside the Blocks context."""
        self._lines[task] = line
        self._looks.append(look)

        def begin(
            values: Mapping[Component, Any], request: gr.Request
        ) -> Updates:  # not a partial: Gradio looks for `request` in the annotations
            return self.begin(line, task, wanted, values, request)

        line.stop.click(self.stop, None, None, queue=False, **QUIET)
        line.button.click(begin, reads, [line.progress, self.going], **QUIET)

    def bind_page(self, page: gr.Blocks) -> None:
        """Connects the page's events. Called after all lines are bound."""
        page.load(self.find_again, None, self.going, **QUIET)
        parts = [part for line in self._lines.values() for part in line.parts()]
        # "multiple": a second download may begin before this page knows that the first one's event has ended.
        followed = self.going.change(self.follow, self.going, parts, trigger_mode="multiple", concurrency_limit=None, **QUIET)
        for look in self._looks:
            followed.then(look.handler, look.reads, look.shows, **QUIET)

    def _quiet(self) -> Updates:
        return {
            part: update for line in self._lines.values() for part, update in ((line.progress, ""), (line.stop, gr.update(visible=False)))
        }

    def _failed(self, fetch: Fetch) -> Updates:
        return {self._lines[fetch.task].progress: words.error_html(fetch.error)} if fetch.error else {}
