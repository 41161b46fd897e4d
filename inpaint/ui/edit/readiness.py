"""Decides whether Run can be pressed on the Edit tab, and shows what will happen: the model, the plan, or the reason why not."""

from __future__ import annotations

from typing import Any

import gradio as gr

from inpaint.core.plan import plan_edit
from inpaint.core.request import clean_prompt, resolve_prompt
from inpaint.core.spec import ModelSpec
from inpaint.errors import InpaintError, InvalidRequest
from inpaint.models.default_model import Choice
from inpaint.ui import words
from inpaint.ui.edit.context import PAINT_FIRST, EditContext, Updates, Values, area_of
from inpaint.ui.edit.tab import AUTOMATIC, OPEN_FIRST
from inpaint.ui.runs.session import Session
from inpaint.ui.stage.stage import HeldValue, StageValue, decode, receive


class Readiness:
    """Answers every event that may change what Run does: a stroke, a prompt, another model."""

    def __init__(self, page: EditContext) -> None:
        self.page = page

    def refresh(self, values: Values) -> Updates:
        """Updates the plan, the model line and the Run button to what is painted, typed and chosen now.

        values: without the stage if only the prompt or the model changed; the mask that the server holds is used then.
        """
        session: Session = values[self.page.session]
        choice, missing = self.choice(values)
        updates, held = self._model_updates(choice, missing, values), dict[str, Any]()
        try:
            received = self.received(values)
            if self.page.tab.stage in values:
                updates[self.page.held], held = received, {"held": received.as_prop()}
            updates |= self._readiness(session, decode(received, session.picture_id, session.proxy, session.full), choice)
        except InpaintError as error:
            updates |= self._blocked(error.message)
        if missing is not None:
            updates |= self._blocked(missing.message)
        return updates | {self.page.tab.stage: updates[self.page.tab.stage] | held}

    def received(self, values: Values) -> HeldValue:
        """Returns the stage's value with its mask. If the stage was not sent, it is the value that the server holds. Raises BadMask."""
        held: HeldValue = values[self.page.held]
        return receive(values[self.page.tab.stage], held) if self.page.tab.stage in values else held

    def choice(self, values: Values, has_prompt: bool = False) -> tuple[Choice | None, InpaintError | None]:
        """Returns the model that would run, and the reason why none would. has_prompt: True to choose as if there were a prompt."""
        models = self.page.service.models
        try:
            name, prompt = values[self.page.tab.form.model], clean_prompt("prompt", values[self.page.tab.form.prompt])
            choice = (
                models.default("inpaint", has_prompt or bool(prompt)) if name == AUTOMATIC else Choice(models.spec(name, "inpaint"), "")
            )
        except InpaintError as error:
            return None, error
        if not models.is_available(choice.spec, "inpaint"):
            return choice, InvalidRequest("model", f"{choice.spec.title} is not on this machine.")
        try:
            resolve_prompt(choice.spec, prompt)
        except InvalidRequest as error:
            return choice, error
        return choice, None

    def to_fetch(self, values: Values) -> ModelSpec | None:
        """Returns the model to download: the chosen one, or the best that paints from prompts if there is no choice; None if
        there is none.
        """
        choice, _ = self.choice(values)
        painters = (spec for spec in self.page.service.models.ranked("inpaint") if self.page.fetches.can_fetch(spec, "inpaint"))
        return choice.spec if choice else next(painters, None)

    def model_knowing(self, prompt: str) -> ModelSpec:
        """Returns a model on this machine that has the prompt in its small vocabulary, else the default model."""
        models = self.page.service.models
        knowing = (spec for spec in models.specs.values() if prompt in spec.knows and models.is_available(spec, "inpaint"))
        return next(knowing, None) or models.default("inpaint", bool(prompt)).spec

    def painted(self, values: Values) -> StageValue:
        """Returns what is painted on the picture that is open here. A mask of another picture counts as none. Raises BadMask."""
        session: Session = values[self.page.session]
        return decode(self.received(values), session.picture_id, session.proxy, session.full)

    def _model_updates(self, choice: Choice | None, missing: InpaintError | None, values: Values) -> Updates:
        form = self.page.tab.form
        vocabulary = self._vocabulary_updates(values)
        if choice is None:
            return {
                form.note: words.missing_html(missing) if missing else "",
                **vocabulary,
                **self.page.fetches.offer(form.fetch, self.to_fetch(values), "inpaint"),
            }
        return {
            **form.fit(choice.spec, values),
            **vocabulary,
            **self.page.fetches.status(form.note, form.fetch, choice.spec, "inpaint", choice.reason),
            self.page.chip: words.chip_html(choice.spec, self.page.service.models, "inpaint"),
        }

    def _vocabulary_updates(self, values: Values) -> Updates:
        """Returns updates that show a small model's vocabulary if that model would read the prompt, and hide it otherwise.

        The list itself is never an output, because somebody may be typing in it.
        """
        reader, _ = self.choice(values, has_prompt=True)
        spec = reader.spec if reader else None
        line = words.knows_html(spec, values[self.page.tab.form.prompt], self.page.service.models) if spec else ""
        return {vocabulary.line: line if spec and spec.name == name else "" for name, vocabulary in self.page.tab.vocabularies.items()}

    def _readiness(self, session: Session, painted: StageValue, choice: Choice | None) -> Updates:
        if not session.picture_id:
            return self._blocked(OPEN_FIRST)
        if painted.mask is None:
            return self._blocked(PAINT_FIRST)
        if choice is None:
            return self._blocked("No model can paint this here.")
        limits = self.page.service.models.limits(choice.spec)
        region = plan_edit(session.full, painted.mask, limits, grow=painted.grow, feather=painted.feather).region
        return {
            self.page.tab.run: gr.update(interactive=True),
            self.page.tab.plan: words.plan_html(region),
            self.page.tab.stage: gr.update(work_area=area_of(region.crop)),
        }

    def _blocked(self, reason: str) -> Updates:
        """Returns updates that disable Run and show the reason beside it."""
        return {
            self.page.tab.run: gr.update(interactive=False),
            self.page.tab.plan: words.reason_html(reason),
            self.page.tab.stage: gr.update(work_area={}),
        }
