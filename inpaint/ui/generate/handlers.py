"""The handlers of the Generate tab's two forms: a picture from text, and a new picture from a picture and text. Knows no
engine's insides.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component

from inpaint.core.spec import ModelSpec, Task
from inpaint.core.words.text import first_graphemes
from inpaint.errors import InvalidRequest
from inpaint.jobs.job import Job
from inpaint.saving import Saved
from inpaint.storage.uploads import Upload, read_picture
from inpaint.ui import words
from inpaint.ui.downloads.line import FetchHandlers, Look
from inpaint.ui.examples import Words
from inpaint.ui.generate.run_panel import OpenGeneration, RunPanel
from inpaint.ui.generate.tab import NO_PICTURE, Making, size_choices

Updates = dict[Any, Any]
Values = Mapping[Component, Any]

NAME_CHARACTERS = 40
"""How many characters of the prompt a picture's file is named after."""

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
SHOW_PICTURE = "() => document.querySelector('#generated')?.scrollIntoView({block: 'nearest'})"
"""Scrolls to the new picture. On a phone the form is below the picture."""

SHOW_FOLD = "() => { setTimeout(() => document.querySelector('#reimagine')?.scrollIntoView({block: 'start'}), 300); return []; }"


class MakingHandlers(ABC):
    """The handlers of one form. Each public method that takes values answers one event with updates by widget."""

    task: Task

    def __init__(self, panel: RunPanel, making: Making, fetches: FetchHandlers) -> None:
        self.panel, self.making, self.form, self.fetches = panel, making, making.form, fetches
        self.service, self.chain = panel.service, panel.chain

    def of_size(self, spec: ModelSpec, wanted: str) -> Updates:
        """Returns updates with the sizes that a model offers, or none for a form without sizes."""
        return {}

    @abstractmethod
    def readiness(self, values: Values) -> Updates:
        """Returns updates that enable the form's button, or disable it and show the reason beside it."""

    @abstractmethod
    def start(self, values: Values, account: str, page_id: str) -> OpenGeneration:
        """Queues what the form asks for. Raises InpaintError."""

    def spec(self, values: Values) -> ModelSpec:
        return self.service.models.spec(values[self.form.model], self.task)

    def look(self, values: Values) -> Updates:
        """Updates the line about the chosen model, which may have been downloaded since the page was built."""
        return self._model_status(self.spec(values)) | self.readiness(values)

    def choose(self, values: Values) -> Updates:
        """Shows the controls and sizes that the chosen model has."""
        spec = self.spec(values)
        return self.form.fit(spec, values) | self._model_status(spec) | self.of_size(spec, "") | self.readiness(values)

    def fill(self, ready: Words, values: Values) -> Updates:
        """Fills an example's prompt into the form. Nothing runs."""
        known = self.service.models.specs.get(ready.model)
        spec = known.on_task(self.task) if known and known.can(self.task) else self.spec(values)
        given = {"prompt": ready.prompt, **({"negative_prompt": ready.negative} if ready.negative else {}), **ready.given}
        filled = self.form.restore(spec, given, values[self.form.chosen])
        return filled | self._model_status(spec) | self.of_size(spec, ready.size) | self.readiness({**values, self.form.model: spec.name})

    async def run(self, values: Values, request: gr.Request) -> AsyncIterator[Updates]:
        async for updates in self.panel.make(partial(self.start, values), self.making.reason, request):
            yield updates

    def restore(self, values: Values, request: gr.Request) -> Updates:
        """Restores the prompt and settings of the run that was found again."""
        given = self.panel.form_of(request, self.task)
        if given is None:
            return {self.making.run: gr.skip()}
        spec = self.service.models.spec(given["model"], self.task)
        restored = self.form.restore(spec, given, values[self.form.chosen], typed=values[self.form.prompt])
        size = f"{given.get('width')}x{given.get('height')}"
        return restored | self._model_status(spec) | self.of_size(spec, size) | self.readiness({**values, self.form.model: spec.name})

    def missing(self, values: Values) -> str:
        """Returns why the chosen model cannot run, or "" if it can."""
        spec = self.spec(values)
        return "" if self.service.models.is_available(spec, self.task) else f"{spec.title} is not on this machine."

    def _model_status(self, spec: ModelSpec) -> Updates:
        return self.fetches.status(self.form.note, self.form.fetch, spec, self.task)

    def _open_run(self, job: Job[Saved], given: Mapping[str, Any], values: Values, made: str) -> OpenGeneration:
        return OpenGeneration(job, given, self.task, values[self.chain.chain], values[self.chain.shown], made)


class Generating(MakingHandlers):
    """Makes a picture from text. chip: the badge in the page's bar that says what runs where."""

    task = "generate"

    def __init__(self, panel: RunPanel, making: Making, fetches: FetchHandlers, chip: gr.HTML) -> None:
        super().__init__(panel, making, fetches)
        self.chip = chip

    def of_size(self, spec: ModelSpec, wanted: str) -> Updates:
        sizes = size_choices(spec)
        known = [size for _, size in sizes]
        return {self.panel.tab.size: gr.update(choices=sizes, value=wanted if wanted in known else known[0])}

    def readiness(self, values: Values) -> Updates:
        reason = self.missing(values)
        return {
            self.making.run: gr.update(interactive=not reason),
            self.panel.tab.missing: words.reason_html(reason) if reason else "",
            self.chip: words.chip_html(self.spec(values), self.service.models, self.task),
        }

    def start(self, values: Values, account: str, page_id: str) -> OpenGeneration:
        width, _, height = str(values[self.panel.tab.size]).partition("x")
        given = {**self.form.read(self.spec(values), values), "width": _pixels(width), "height": _pixels(height)}
        wanted = self.service.generate_request(given)
        job = self.service.start_generate(wanted, account, page_id, first_graphemes(wanted.sampling.prompt, NAME_CHARACTERS))
        return self._open_run(job, given, values, "generated")


class Reimagining(MakingHandlers):
    """Makes a new picture from a picture and text."""

    task = "image-to-image"

    def readiness(self, values: Values) -> Updates:
        reason = self.missing(values) if values[self.chain.chain].links else NO_PICTURE
        return {self.making.run: gr.update(interactive=not reason), self.making.reason: words.reason_html(reason) if reason else ""}

    def start(self, values: Values, account: str, page_id: str) -> OpenGeneration:
        limits = self.service.config.settings.pictures
        picture = read_picture(Upload.own(Path(self.chain.shown_link(values).path)), limits)
        given = self.form.read(self.spec(values), values)
        wanted = self.service.reimagine_request(picture, given)
        job = self.service.start_reimagine(wanted, account, page_id, first_graphemes(wanted.sampling.prompt, NAME_CHARACTERS))
        strength = wanted.sampling.strength
        made = "reimagined" if strength is None else f"reimagined, strength {strength:g}"
        return self._open_run(job, given, values, made)


def bind_generate(panel: RunPanel, fetches: FetchHandlers, chip: gr.HTML, page: gr.Blocks) -> None:
    """Connects the Generate tab's events. Called inside the Blocks context."""
    tab, chain, editor = panel.tab, panel.chain, panel.chain.editor.page
    panel.service.worker.every_look(panel.runs.drop_old)
    looks: set[Block] = {chain.chain, chain.shown}
    _bind_making(Generating(panel, tab.generate, fetches, chip), [tab.size], [tab.generate.run, tab.missing, chip], page)
    if tab.reimagine:
        _bind_reimagining(Reimagining(panel, tab.reimagine, fetches), tab.reimagine, page)
    tab.cancel.click(panel.cancel, None, None, queue=False, **QUIET)
    tab.as_is.click(panel.use_as_is, None, None, queue=False, **QUIET)
    tab.strip.choose(chain.choose, looks, chain.view(), **QUIET)
    tab.open.upload(chain.open, {*looks, tab.open}, chain.view(), **QUIET)
    opened = [editor.session, editor.tab.stage, editor.tab.actions, editor.tab.message, editor.tab.plan, editor.tab.run]
    tab.edit.click(chain.edit_this, looks, [*opened, chain.tabs, tab.message], **QUIET)
    page.load(panel.find_again, None, [*chain.view(), panel.found, chain.tabs], concurrency_limit=None, **QUIET)
    panel.found.change(panel.follow_again, None, panel.view(), concurrency_limit=None, **QUIET)


def _bind_making(handlers: MakingHandlers, sizes: list[Any], can_run: list[Any], page: gr.Blocks) -> None:
    """Connects the events of one form. sizes, can_run: the widgets that `of_size` and `readiness` may change."""
    form, chain = handlers.form, handlers.chain
    chooses: set[Block] = {form.prompt, form.model, form.shown, form.chosen, chain.chain}
    seen = [*form.note_parts(), *can_run]
    form.settings.bind(form.shown, form.chosen)
    form.model.input(handlers.choose, chooses, [*form.fitted(), *sizes, *can_run], trigger_mode="always_last", **QUIET)
    run = handlers.making.run.click(
        handlers.run, {chain.chain, chain.shown, *form.inputs(), *sizes}, handlers.panel.view(), concurrency_limit=None, **QUIET
    )
    run.then(None, js=SHOW_PICTURE, **QUIET)
    for ready, button in handlers.making.words:
        button.click(partial(handlers.fill, ready), chooses, [*form.filled(), *sizes, *can_run], **QUIET)
    page.load(handlers.look, chooses, seen, **QUIET)
    handlers.fetches.bind(form.fetch, handlers.task, handlers.spec, {form.model}, Look(handlers.look, chooses, seen))
    handlers.panel.found.change(handlers.restore, chooses, [*form.filled(), *sizes, *can_run], **QUIET)


def _bind_reimagining(handlers: Reimagining, making: Making, page: gr.Blocks) -> None:
    chain, tab, editor = handlers.chain, handlers.panel.tab, handlers.chain.editor.page
    can_run: list[Any] = [making.run, making.reason]
    _bind_making(handlers, [], can_run, page)
    chain.chain.change(handlers.readiness, {chain.chain, making.form.model}, can_run, **QUIET)
    tab.again.click(lambda: gr.update(open=True), None, tab.fold, js=SHOW_FOLD, **QUIET)
    editor.tab.reimagine.click(
        chain.take_result, {chain.chain, editor.session}, [*chain.view(), chain.tabs, tab.fold, editor.tab.message], **QUIET
    )


def _pixels(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidRequest("size", "Choose a size from the list.") from None
