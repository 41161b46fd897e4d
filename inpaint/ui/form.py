"""The settings of a run as widgets: one table maps a control to its field, to read the form and to fit it to a model.

A control shows because the spec has a limit for it. Compares no model names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import gradio as gr
from gradio.components import Component

from inpaint.core.request import MAX_SEED
from inpaint.core.spec import Limit, ModelSpec, Task
from inpaint.ui.downloads.line import FetchLine

OF_EVERY_MODEL = ("seed", "count")
CANDIDATES_ON_PAGE = 4
SEED_DIGITS = 20
"""More digits are left to the request's check: Python itself refuses to read thousands of them."""

NOTHING: Mapping[str, Component] = MappingProxyType({})

Chosen = Mapping[tuple[str, str], float]
"""(model, field) -> the number that the person set."""


@dataclass(frozen=True)
class Control:
    """One number that some models have. more: what more of it does, in plain words."""

    field: str
    label: str
    more: str


STRENGTH = Control("strength", "Strength", "More: farther from what is there now.")
CONTROLS = (
    Control("num_inference_steps", "Steps", "More: finer and slower."),
    Control("guidance_scale", "Guidance", "More: closer to the words, but harsher."),
    STRENGTH,
    Control("prior_num_inference_steps", "Prior steps", "More: the words are read more carefully."),
    Control("prior_guidance_scale", "Prior guidance", "More: the idea is closer to the words."),
)


@dataclass(frozen=True)
class SettingControls:
    """The folded settings of one tab. widgets: field name -> widget."""

    widgets: Mapping[str, Component]
    scheduler: gr.Dropdown

    def all(self) -> list[Component]:
        return [*self.widgets.values(), self.scheduler]

    def fitted(self) -> list[Component]:
        """What `fit` may change. An event that lists more as outputs can undo what is being typed there (seen with the seed)."""
        return [*(widget for field, widget in self.widgets.items() if field not in OF_EVERY_MODEL), self.scheduler]

    def read(self, spec: ModelSpec, values: Mapping[Component, Any]) -> dict[str, object]:
        """Field name -> value, for the controls that the model has."""
        fields = {name: values[widget] for name, widget in self.widgets.items() if name in spec.limits or name in OF_EVERY_MODEL}
        fields["seed"] = _typed_number(fields["seed"])
        return fields | ({"scheduler": values[self.scheduler]} if spec.schedulers else {})

    def fit(self, spec: ModelSpec, shown: str, chosen: Chosen) -> dict[Component, Any]:
        """Updates that show what `spec` has; none where it is shown already, so that a late event cannot undo a new one.

        shown: the model that the widgets show now. A model's numbers come back as the person left them.
        """
        if spec.name == shown:
            return {}
        updates: dict[Component, Any] = {
            control: gr.update(visible=False) for field, control in self.widgets.items() if field not in OF_EVERY_MODEL
        }
        updates |= {
            self.widgets[field]: _fitted(limit, chosen.get((spec.name, field), limit.default))
            for field, limit in spec.limits.items()
            if field in self.widgets
        }
        updates[self.scheduler] = gr.update(visible=bool(spec.schedulers), choices=_scheduler_choices(spec), value="")
        return updates

    def restore(self, spec: ModelSpec, given: Mapping[str, Any]) -> dict[Component, Any]:
        """Updates that show `spec` with the values of `given` (as `read` gave them); what is not given stands at its default."""
        updates = self.fit(spec, "", {(spec.name, field): given[field] for field in self.widgets if given.get(field) is not None})
        updates[self.widgets["seed"]] = "" if given.get("seed") is None else str(given["seed"])
        updates[self.widgets["count"]] = given.get("count") or 1
        if spec.schedulers:
            updates[self.scheduler] |= {"value": given.get("scheduler") or ""}
        return updates

    def bind(self, shown: gr.State, chosen: gr.State) -> None:
        """Keep what the person sets, by model. Called inside the Blocks context.

        The numbers are kept here rather than read when a model changes: by then a widget's old value may lie outside its
        new limits, which Gradio refuses before any handler runs.
        """
        for field, widget in self.widgets.items():
            if isinstance(widget, gr.Slider):
                widget.input(
                    partial(_remember, field),
                    [widget, shown, chosen],
                    chosen,
                    show_progress="hidden",
                    trigger_mode="always_last",
                    api_visibility="private",
                )


def able(specs: Iterable[ModelSpec], task: Task) -> list[ModelSpec]:
    """Those that can, with the controls that they have for it."""
    return [spec.on_task(task) for spec in specs if spec.can(task)]


def build_sliders(specs: Iterable[ModelSpec], shown: ModelSpec, controls: Iterable[Control]) -> dict[str, Component]:
    """A slider for every control that one of the specs has, fitted to the one shown first. Returns them by field."""
    sliders: dict[str, Component] = {}
    for control in controls:
        having = [spec for spec in specs if control.field in spec.limits]
        if having:
            limit = (shown if shown in having else having[0]).limits[control.field]
            sliders[control.field] = _slider(control, limit, visible=control.field in shown.limits)
    return sliders


def build_settings(specs: Iterable[ModelSpec], shown: ModelSpec, apart: Mapping[str, Component] = NOTHING) -> SettingControls:
    """Widgets for every control that one of the specs has, fitted to the one shown first. apart: sliders that stand elsewhere."""
    folded = build_sliders(list(specs), shown, [control for control in CONTROLS if control.field not in apart])
    widgets: dict[str, Component] = {**apart, **folded}
    scheduler = gr.Dropdown(
        _scheduler_choices(shown),
        value="",
        label="Scheduler",
        visible=bool(shown.schedulers),
        info="How noise becomes a picture; the model's own unless chosen.",
    )
    widgets["seed"] = gr.Textbox(
        "",
        label="Seed",
        max_lines=1,
        placeholder="random",
        elem_classes="ip-seed",
        info=f"A whole number up to {MAX_SEED:,}. The same seed gives the same picture.",
    )
    widgets["count"] = gr.Slider(1, CANDIDATES_ON_PAGE, value=1, step=1, label="Candidates", info="Several results to choose from.")
    return SettingControls(widgets, scheduler)


def _slider(control: Control, limit: Limit, visible: bool) -> gr.Slider:
    return gr.Slider(
        limit.minimum, limit.maximum, value=limit.default, step=limit.step, label=control.label, info=control.more, visible=visible
    )


def _fitted(limit: Limit, value: float) -> Any:
    return gr.update(visible=True, minimum=limit.minimum, maximum=limit.maximum, step=limit.step, value=value)


def _remember(field: str, value: float, shown: str, chosen: Chosen) -> Chosen:
    return {**chosen, (shown, field): value}


def _typed_number(text: Any) -> object:
    """None for nothing typed; text that is no number is left for the request's own check to refuse."""
    typed = str(text or "").strip().replace(",", "")
    return int(typed) if typed.removeprefix("-").isdecimal() and len(typed) <= SEED_DIGITS else typed or None


def _scheduler_choices(spec: ModelSpec) -> list[tuple[str, str]]:
    return [("The model's own", ""), *((name.upper(), name) for name in spec.schedulers)]


@dataclass(frozen=True)
class WordsForm:
    """What a run should make: words, a model and its settings. shown: the model that the settings show now.

    chosen: the numbers that the person set, by model. refusals: where the negative words stand, shown for models that read them.
    """

    prompt: gr.Textbox
    refusals: gr.Accordion
    negative: gr.Textbox
    model: gr.Dropdown
    note: gr.HTML
    fetch: FetchLine
    settings: SettingControls
    shown: gr.State
    chosen: gr.State

    def inputs(self) -> list[Component]:
        """All that a run reads."""
        return [self.prompt, self.negative, self.model, *self.settings.all()]

    def note_parts(self) -> list[Any]:
        """The line about the model, and its Download button."""
        return [self.note, self.fetch.button]

    def fitted(self) -> list[Any]:
        """What `fit` may change, and what is told of the model."""
        return [self.shown, self.refusals, *self.note_parts(), *self.settings.fitted()]

    def filled(self) -> list[Any]:
        """What `restore` may change. An event that lists these must come seldom: a late answer undoes what is being typed."""
        return [*self.fitted(), *self.inputs(), self.chosen]

    def fit(self, spec: ModelSpec, values: Mapping[Component, Any]) -> dict[Any, Any]:
        """Show what `spec` has."""
        return {
            **self.settings.fit(spec, values[self.shown], values[self.chosen]),
            self.shown: spec.name,
            self.refusals: gr.update(visible=spec.negative_prompt),
        }

    def read(self, spec: ModelSpec, values: Mapping[Component, Any]) -> dict[str, object]:
        """Field name -> value, for what the model has."""
        negative = {"negative_prompt": values[self.negative]} if spec.negative_prompt else {}
        return {"prompt": values[self.prompt], "model": spec.name, **negative, **self.settings.read(spec, values)}

    def restore(
        self, spec: ModelSpec, given: Mapping[str, Any], chosen: Chosen, model: str | None = None, typed: str = ""
    ) -> dict[Any, Any]:
        """Put back what `read` gave. model: what the box of models said, where that was not the spec's name. typed: words that
        stand in the prompt by now, and stay."""
        negative = {self.negative: given["negative_prompt"]} if "negative_prompt" in given else {}
        numbers = {(spec.name, field): given[field] for field in spec.limits if given.get(field) is not None}
        return {
            **self.settings.restore(spec, given),
            **negative,
            self.prompt: typed or given.get("prompt") or "",
            self.model: spec.name if model is None else model,
            self.shown: spec.name,
            self.chosen: {**chosen, **numbers},
            self.refusals: gr.update(visible=spec.negative_prompt),
        }
