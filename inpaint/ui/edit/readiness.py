"""Whether Run can be pressed on the Edit tab, and what will happen when it is: the model that runs, the plan, the reason why not."""

from __future__ import annotations

from typing import Any

import gradio as gr

from inpaint.core.composite import blending_mask
from inpaint.core.region import plan_region
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
    """Answers every event after which something else could run: a stroke, a prompt, another model."""

    def __init__(self, page: EditContext) -> None:
        self.page = page

    def refresh(self, values: Values) -> Updates:
        """The plan, the model line and whether Run can be pressed, for what is painted, typed and chosen now.

        values: without the stage where only words or a model changed; the mask that the server holds counts then.
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
        """Returns the stage's value as it is now, with its mask, or the one that the server holds where none was sent. Raises BadMask."""
        held: HeldValue = values[self.page.held]
        return receive(values[self.page.tab.stage], held) if self.page.tab.stage in values else held

    def choice(self, values: Values, has_prompt: bool = False) -> tuple[Choice | None, InpaintError | None]:
        """Returns the model that would run, and why none would. has_prompt: as if words were given, also where there are none."""
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
        """The model to download for what is chosen: it, or the first that paints from words where none is here."""
        choice, _ = self.choice(values)
        painters = (spec for spec in self.page.service.models.ranked("inpaint") if self.page.fetches.can_fetch(spec, "inpaint"))
        return choice.spec if choice else next(painters, None)

    def model_knowing(self, prompt: str) -> ModelSpec:
        """A model here that has the prompt among the few things it knows, else the one that would run anyway."""
        models = self.page.service.models
        knowing = (spec for spec in models.specs.values() if prompt in spec.knows and models.is_available(spec, "inpaint"))
        return next(knowing, None) or models.default("inpaint", bool(prompt)).spec

    def painted(self, values: Values) -> StageValue:
        """Returns what is painted on the picture that is open here; a mask of another picture counts as none. Raises BadMask."""
        session: Session = values[self.page.session]
        return decode(self.received(values), session.picture_id, session.proxy, session.full)

    def _model_updates(self, choice: Choice | None, missing: InpaintError | None, values: Values) -> Updates:
        form = self.page.tab.form
        told = self._vocabulary_updates(values)
        if choice is None:
            return {
                form.note: words.missing_html(missing) if missing else "",
                **told,
                **self.page.fetches.offer(form.fetch, self.to_fetch(values), "inpaint"),
            }
        return {
            **form.fit(choice.spec, values),
            **told,
            **self.page.fetches.status(form.note, form.fetch, choice.spec, "inpaint", choice.reason),
            self.page.chip: words.chip_html(choice.spec, self.page.service.models, "inpaint"),
        }

    def _vocabulary_updates(self, values: Values) -> Updates:
        """The list of what a small model knows shows where that model would read the words. The list itself is never an output:
        somebody may be typing in it."""
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
        opacity = blending_mask(painted.mask, painted.grow, painted.feather)
        region = plan_region(session.full, opacity.bounds(), self.page.service.models.limits(choice.spec))
        return {
            self.page.tab.run: gr.update(interactive=True),
            self.page.tab.plan: words.plan_html(region),
            self.page.tab.stage: gr.update(work_area=area_of(region.crop)),
        }

    def _blocked(self, reason: str) -> Updates:
        """Run is disabled with the reason beside it."""
        return {
            self.page.tab.run: gr.update(interactive=False),
            self.page.tab.plan: words.reason_html(reason),
            self.page.tab.stage: gr.update(work_area={}),
        }
