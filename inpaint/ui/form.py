"""The controls of a run as widgets. One table maps each widget to its field, to read the form and to adapt it to a model.

A control is visible if the model's spec has a limit for it. This module compares no model names.
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
"""Longest seed that is read here. Longer text is left to the request's check, since Python refuses to read thousands of digits."""

NOTHING: Mapping[str, Component] = MappingProxyType({})

Chosen = Mapping[tuple[str, str], float]
"""Maps (model, field) to the number that the person set."""


@dataclass(frozen=True)
class Control:
    """A numeric control that some models have. more: says what a higher value does, in plain words."""

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
    """The settings of one tab, which are folded at first. widgets: field name -> widget."""

    widgets: Mapping[str, Component]
    scheduler: gr.Dropdown

    def all(self) -> list[Component]:
        return [*self.widgets.values(), self.scheduler]

    def fitted(self) -> list[Component]:
        """Returns the widgets that `fit` may change.

        An event with more outputs than these can undo what is being typed in them, as has happened with the seed.
        """
        return [*(widget for field, widget in self.widgets.items() if field not in OF_EVERY_MODEL), self.scheduler]

    def read(self, spec: ModelSpec, values: Mapping[Component, Any]) -> dict[str, object]:
        """Returns field name -> value, for the controls that the model has."""
        fields = {name: values[widget] for name, widget in self.widgets.items() if name in spec.limits or name in OF_EVERY_MODEL}
        fields["seed"] = _typed_number(fields["seed"])
        return fields | ({"scheduler": values[self.scheduler]} if spec.schedulers else {})

    def fit(self, spec: ModelSpec, shown: str, chosen: Chosen) -> dict[Component, Any]:
        """Returns updates that show the controls of `spec`, or none if they are shown already, so that a late event cannot undo
        a newer one.

        shown: the model whose controls are shown now. Each model's numbers return to what the person last set for it.
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
        """Returns updates that show `spec` with the values of `given`, as `read` returned them. Values that are missing become
        defaults.
        """
        updates = self.fit(spec, "", {(spec.name, field): given[field] for field in self.widgets if given.get(field) is not None})
        updates[self.widgets["seed"]] = "" if given.get("seed") is None else str(given["seed"])
        updates[self.widgets["count"]] = given.get("count") or 1
        if spec.schedulers:
            updates[self.scheduler] |= {"value": given.get("scheduler") or ""}
        return updates

    def bind(self, shown: gr.State, chosen: gr.State) -> None:
        """Remembers the numbers that the person sets, for each model. Called inside the Blocks context.

        They are remembered at once and not read when the model changes: by then an old value may lie outside the new limits,
        and Gradio would refuse it before any handler runs.
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
    """Returns the specs that can do a task, with the controls that they have for it."""
    return [spec.on_task(task) for spec in specs if spec.can(task)]


def build_sliders(specs: Iterable[ModelSpec], shown: ModelSpec, controls: Iterable[Control]) -> dict[str, Component]:
    """Returns, by field, a slider for every control that one of the specs has. They start with the values of the model shown first."""
    sliders: dict[str, Component] = {}
    for control in controls:
        having = [spec for spec in specs if control.field in spec.limits]
        if having:
            limit = (shown if shown in having else having[0]).limits[control.field]
            sliders[control.field] = _slider(control, limit, visible=control.field in shown.limits)
    return sliders


def build_settings(specs: Iterable[ModelSpec], shown: ModelSpec, apart: Mapping[str, Component] = NOTHING) -> SettingControls:
    """Builds widgets for every control that one of the specs has, with the values of the model shown first.

    apart: sliders that are placed elsewhere on the page.
    """
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
    """Returns what was typed as a whole number, or None if nothing was typed. Other text is returned as it is, for the request's
    check to refuse.
    """
    typed = str(text or "").strip().replace(",", "")
    return int(typed) if typed.removeprefix("-").isdecimal() and len(typed) <= SEED_DIGITS else typed or None


def _scheduler_choices(spec: ModelSpec) -> list[tuple[str, str]]:
    return [("The model's own", ""), *((name.upper(), name) for name in spec.schedulers)]


@dataclass(frozen=True)
class WordsForm:
    """The form of a run: prompt, model and settings.

    refusals: the box with the negative prompt, shown for models that read one. shown: the model whose settings are shown.
    chosen: the numbers that the person set, by model.
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
        """Returns all widgets that a run reads."""
        return [self.prompt, self.negative, self.model, *self.settings.all()]

    def note_parts(self) -> list[Any]:
        """Returns the line about the model, and its Download button."""
        return [self.note, self.fetch.button]

    def fitted(self) -> list[Any]:
        """Returns the widgets that `fit` may change, and those that describe the model."""
        return [self.shown, self.refusals, *self.note_parts(), *self.settings.fitted()]

    def filled(self) -> list[Any]:
        """Returns the widgets that `restore` may change. Events should list them rarely, since a late answer undoes what is
        being typed.
        """
        return [*self.fitted(), *self.inputs(), self.chosen]

    def fit(self, spec: ModelSpec, values: Mapping[Component, Any]) -> dict[Any, Any]:
        """Returns updates that show the controls of `spec`."""
        return {
            **self.settings.fit(spec, values[self.shown], values[self.chosen]),
            self.shown: spec.name,
            self.refusals: gr.update(visible=spec.negative_prompt),
        }

    def read(self, spec: ModelSpec, values: Mapping[Component, Any]) -> dict[str, object]:
        """Returns field name -> value, for the fields that the model has."""
        negative = {"negative_prompt": values[self.negative]} if spec.negative_prompt else {}
        return {"prompt": values[self.prompt], "model": spec.name, **negative, **self.settings.read(spec, values)}

    def restore(
        self, spec: ModelSpec, given: Mapping[str, Any], chosen: Chosen, model: str | None = None, typed: str = ""
    ) -> dict[Any, Any]:
        """Returns updates that put back what `read` returned.

        model: what the model dropdown showed, if that was not the spec's name. typed: a prompt that was typed since, and
        stays.
        """
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
