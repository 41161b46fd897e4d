"""The Generate tab's events: where its widgets, the jobs and the storage meet. Knows no engine's insides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component

from inpaint.core.request import GenerateRequest
from inpaint.core.result import EditResult
from inpaint.errors import Busy, InpaintError, InvalidRequest
from inpaint.jobs import told
from inpaint.service import Service, save_generated
from inpaint.storage.results import new_results
from inpaint.storage.uploads import Upload
from inpaint.ui import words
from inpaint.ui.edit_handlers import EditHandlers
from inpaint.ui.following import follow
from inpaint.ui.generate_tab import GenerateTab, size_choices
from inpaint.ui.people import person_of

Updates = dict[Any, Any]
Values = Mapping[Component, Any]


class GenerateHandlers:
    """Each public method answers one event with updates by widget. editor: where "Edit this" puts the picture."""

    def __init__(self, service: Service, tab: GenerateTab, shown: gr.State, chosen: gr.State, made: gr.State,
                 tabs: gr.Tabs, editor: EditHandlers) -> None:
        self.service, self.tab, self.made, self.tabs, self.editor = service, tab, made, tabs, editor
        self.shown, self.chosen = shown, chosen

    def choose_model(self, values: Values) -> Updates:
        """Show the controls and sizes that the model has."""
        spec = self.service.models.spec(values[self.tab.model], "generate")
        sizes = size_choices(spec)
        return {**self.tab.settings.fit(spec, values[self.shown], values[self.chosen]), self.shown: spec.name,
                self.tab.size: gr.update(choices=sizes, value=sizes[0][1]),
                self.tab.negative_box: gr.update(visible=spec.negative_prompt),
                self.tab.model_note: words.model_html(spec, self.service.models)}

    async def run(self, values: Values, request: gr.Request) -> AsyncIterator[Updates]:
        """Make the pictures; each candidate can be looked at and handed to the Edit tab."""
        try:
            wanted = self._request(values)
            job = self.service.start_generate(wanted, person_of(request), str(request.session_hash))
            yield self._busy(True)
            async for running in follow(job):
                worker = self.service.worker
                yield {self.tab.progress: gr.update(value=words.progress_html(
                    running.progress, worker.place(running), running.seconds, worker.seconds_left(running)))}
            yield self._busy(False) | await asyncio.to_thread(self._finished, wanted, job.outcome())
        except Exception as error:
            yield self._busy(False) | {self.tab.message: words.error_html(told(error, "a generation"))}

    def pick(self, values: Values) -> Updates:
        """Show another candidate."""
        path = self._picked(values)
        return {self.tab.picture: path, self.tab.download: gr.update(value=path)} if path else {self.tab.download: gr.skip()}

    def edit_this(self, values: Values, request: gr.Request) -> Updates:
        """The picture becomes the Edit tab's picture; not while a run there would end on another picture."""
        if self.editor.own_job(request) is not None:
            return {self.tab.message: words.error_html(Busy("Your last run is still going.", "Wait for it, or cancel it first."))}
        path = self._picked(values)
        if path is None:
            return {self.tab.message: words.error_html(InvalidRequest("image", "There is no picture yet."))}
        try:
            upload = Upload.from_path(Path(path), self.service.config.settings.pictures)
            return self.editor.opened(upload) | {self.tabs: gr.Tabs(selected="edit")}
        except InpaintError as error:
            return {self.tab.message: words.error_html(error)}

    def _request(self, values: Values) -> GenerateRequest:
        spec = self.service.models.spec(values[self.tab.model], "generate")
        width, _, height = str(values[self.tab.size]).partition("x")
        given = {"prompt": values[self.tab.prompt], "model": spec.name, "width": _pixels(width), "height": _pixels(height),
                 **self.tab.settings.read(spec, values)}
        if spec.negative_prompt:
            given["negative_prompt"] = values[self.tab.negative]
        return self.service.generate_request(given)

    def _picked(self, values: Values) -> str | None:
        paths: tuple[str, ...] = values[self.made]
        index = values[self.tab.pick]
        if not paths:
            return None
        return paths[index] if isinstance(index, int) and 0 <= index < len(paths) else paths[0]

    def _busy(self, busy: bool) -> Updates:
        return {self.tab.run: gr.update(visible=not busy), self.tab.cancel: gr.update(visible=busy),
                self.tab.progress: gr.update(visible=busy, value=words.progress_html(None, 0, 0.0)), self.tab.message: ""}

    def _finished(self, wanted: GenerateRequest, result: EditResult) -> Updates:
        """Kept on disk first, then shown."""
        name = wanted.sampling.prompt[:40] or wanted.model
        paths = new_results(self.service.config.data_dir, name, [c.seed for c in result.candidates])
        save_generated(result, paths)
        choices = [(f"seed {candidate.seed}", index) for index, candidate in enumerate(result.candidates)]
        return {self.made: tuple(map(str, paths)), self.tab.empty: gr.update(visible=False),
                self.tab.picture: gr.update(value=str(paths[0]), visible=True),
                self.tab.pick: gr.update(choices=choices, value=0, visible=len(choices) > 1),
                self.tab.actions: gr.update(visible=True), self.tab.download: gr.update(value=str(paths[0])),
                self.tab.message: words.notice_html(list(result.notices))}


def bind_generate(handlers: GenerateHandlers) -> None:
    """Connect the Generate tab's events. Called inside the Blocks context."""
    tab, editor = handlers.tab, handlers.editor
    view = [handlers.made, tab.empty, tab.picture, tab.pick, tab.actions, tab.download, tab.run, tab.cancel, tab.progress,
            tab.message]
    reads: set[Block] = {handlers.made, tab.pick, *tab.inputs()}
    chooses: set[Block] = {tab.model, handlers.shown, handlers.chosen}
    looks: set[Block] = {handlers.made, tab.pick}
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    form = [handlers.shown, tab.size, tab.negative_box, tab.model_note, *tab.settings.fitted()]
    tab.settings.bind(handlers.shown, handlers.chosen)
    tab.model.input(handlers.choose_model, chooses, form, **quiet)
    tab.run.click(handlers.run, reads, view, concurrency_limit=None, **quiet)
    tab.cancel.click(editor.cancel, None, None, queue=False, **quiet)
    tab.pick.input(handlers.pick, looks, [tab.picture, tab.download], **quiet)
    opened = [editor.session, editor.tab.stage, editor.tab.actions, editor.tab.message, editor.tab.plan, editor.tab.run]
    tab.edit.click(handlers.edit_this, looks, [*opened, handlers.tabs, tab.message], **quiet)


def _pixels(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidRequest("size", "Choose a size from the list.") from None
