"""Connects the Edit tab's events: which widget calls which handler."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.blocks import Block

from inpaint.ui.downloads.line import Look
from inpaint.ui.edit.context import EditContext
from inpaint.ui.edit.opening import Opening
from inpaint.ui.edit.readiness import Readiness
from inpaint.ui.edit.results import Results
from inpaint.ui.edit.running import Running


class EditHandlers:
    """The handlers of one Edit tab, grouped by purpose."""

    def __init__(self, page: EditContext) -> None:
        self.page = page
        self.readiness = Readiness(page)
        self.opening = Opening(page, self.readiness)
        self.running = Running(page, self.readiness, self.opening)
        self.results = Results(page, self.opening)


def pick_known_thing(prompt: str | None) -> Any:
    """Puts the thing that was picked from a small model's vocabulary into the prompt."""
    return prompt or gr.skip()


def bind_edit(handlers: EditHandlers, page: gr.Blocks) -> None:
    """Connects the Edit tab's events. Called inside the Blocks context."""
    shared, opening, readiness, running, results = handlers.page, handlers.opening, handlers.readiness, handlers.running, handlers.results
    tab, session, form = shared.tab, shared.session, shared.tab.form
    view = [session, tab.stage, tab.actions, tab.message, tab.plan, tab.run, tab.download, tab.cancel, tab.as_is, tab.progress]
    fits = [*form.fitted(), shared.chip, *(vocabulary.line for vocabulary in tab.vocabularies.values())]
    typed: set[Block] = {
        session,
        shared.held,
        form.shown,
        form.chosen,
        form.prompt,
        form.model,
    }  # the stage is left out, so that the mask is not sent
    seen: set[Block] = {*typed, tab.stage}
    changed = [*view, *fits, shared.held]
    reads: set[Block] = {session, shared.held, *tab.inputs()}
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    long: dict[str, Any] = quiet | {"concurrency_limit": None}

    form.settings.bind(form.shown, form.chosen)
    shared.fetches.bind(form.fetch, "inpaint", readiness.to_fetch, {form.model, form.prompt}, Look(readiness.refresh, typed, changed))

    def fresh(event: Any) -> None:
        event.then(readiness.refresh, seen, changed, **quiet)

    fresh(tab.upload.upload(opening.open_upload, tab.upload, view, **quiet))
    tab.stage.stroke(readiness.refresh, seen, changed, trigger_mode="always_last", **quiet)
    # "change" and not "input": Gradio sends "input" only for keys that write a letter, not for Backspace, cut or paste.
    form.prompt.change(readiness.refresh, typed, changed, trigger_mode="always_last", **quiet)
    form.model.input(readiness.refresh, typed, changed, trigger_mode="always_last", **quiet)
    for vocabulary in tab.vocabularies.values():
        vocabulary.pick.input(pick_known_thing, vocabulary.pick, form.prompt, **quiet)
    tab.run.click(running.run, reads, view, **long)
    tab.another.click(running.another, reads, view, **long)
    tab.cancel.click(running.cancel, None, None, queue=False, **quiet)
    tab.as_is.click(running.use_as_is, None, None, queue=False, **quiet)
    # Opening and running are two events: the answer of one event, arriving while the run starts, would hide Cancel and progress again.
    tab.stage.example(opening.open_example, None, [*view, form.prompt, form.model, shared.asked], **quiet)
    fresh(shared.asked.change(running.run_example, {session, shared.asked}, view, **long))
    fresh(tab.stage.filling(opening.fill, {form.chosen}, [*view, *form.filled()], **quiet))
    fresh(tab.back.click(results.back, None, view, **quiet))
    fresh(tab.keep.click(results.keep, {session}, view, **quiet))
    fresh(page.load(running.find_again, None, [*view, shared.found], **long))
    restored = shared.found.change(running.restore, {form.chosen, form.prompt}, [*form.filled(), tab.message], **quiet)
    fresh(restored.then(running.follow_again, {session}, view, **long))
    tab.stage.candidate(results.choose_candidate, {session}, [session, tab.download], **quiet)
