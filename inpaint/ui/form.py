"""The settings of a run as widgets: one table maps a control to its field, to read the form and to fit it to a model.

A control shows because the spec has a limit for it. Compares no model names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from inpaint.core.request import MAX_SEED
from inpaint.core.spec import Limit, ModelSpec

CANDIDATES_ON_PAGE = 4


@dataclass(frozen=True)
class Control:
    """One number that some models have. more: what more of it does, in plain words."""

    field: str
    label: str
    more: str


CONTROLS = (
    Control("num_inference_steps", "Steps", "More: finer and slower."),
    Control("guidance_scale", "Guidance", "More: closer to the words, but harsher."),
    Control("strength", "Strength", "More: farther from what is there now."),
    Control("prior_num_inference_steps", "Prior steps", "More: the words are read more carefully."),
    Control("prior_guidance_scale", "Prior guidance", "More: the idea is closer to the words."),
)


@dataclass(frozen=True)
class Settings:
    """The folded settings of one tab. widgets: field name -> widget. applied: the defaults that they start with."""

    widgets: Mapping[str, Component]
    scheduler: gr.Dropdown
    applied: Mapping[str, float]

    def all(self) -> list[Component]:
        return [*self.widgets.values(), self.scheduler]

    def read(self, spec: ModelSpec, values: Mapping[Component, Any]) -> dict[str, object]:
        """Field name -> value, for the controls that the model has."""
        fields = {name: values[widget] for name, widget in self.widgets.items()
                  if name in spec.limits or name in ("seed", "count")}
        return fields | ({"scheduler": values[self.scheduler]} if spec.schedulers else {})

    def fit(self, spec: ModelSpec, applied: Mapping[str, float],
            values: Mapping[Component, Any]) -> tuple[dict[Component, Any], dict[str, float]]:
        """Updates that show what `spec` has. applied: field -> the default it was last set to.

        A number that the person moved away from that default is kept wherever it still fits, also when the control was
        hidden in between.
        """
        updates: dict[Component, Any] = {}
        after = dict(applied)
        for field in (control.field for control in CONTROLS if control.field in self.widgets):
            widget, limit = self.widgets[field], spec.limits.get(field)
            updates[widget] = gr.update(visible=False) if limit is None \
                else _fitted(limit, applied.get(field), values[widget])
            after |= {} if limit is None else {field: limit.default}
        updates[self.scheduler] = gr.update(visible=bool(spec.schedulers), choices=_scheduler_choices(spec))
        return updates, after


def build_settings(specs: Iterable[ModelSpec], shown: ModelSpec) -> Settings:
    """Widgets for every control that one of the specs has, fitted to the one shown first."""
    known = list(specs)
    widgets: dict[str, Component] = {}
    applied: dict[str, float] = {}
    for control in CONTROLS:
        having = [spec for spec in known if control.field in spec.limits]
        if having:
            limit = (shown if shown in having else having[0]).limits[control.field]
            widgets[control.field] = _slider(control, limit, visible=control.field in shown.limits)
            applied[control.field] = limit.default
    scheduler = gr.Dropdown(_scheduler_choices(shown), value="", label="Scheduler", visible=bool(shown.schedulers),
                            info="How noise becomes a picture; the model's own unless chosen.")
    widgets["seed"] = gr.Number(None, label="Seed", precision=0, minimum=0, maximum=MAX_SEED, placeholder="drawn",
                                info="The same seed gives the same picture.")
    widgets["count"] = gr.Slider(1, CANDIDATES_ON_PAGE, value=1, step=1, label="Candidates",
                                 info="Several results to choose from.")
    return Settings(widgets, scheduler, applied)


def _slider(control: Control, limit: Limit, visible: bool) -> gr.Slider:
    return gr.Slider(limit.minimum, limit.maximum, value=limit.default, step=limit.step, label=control.label,
                     info=control.more, visible=visible)


def _fitted(limit: Limit, applied: float | None, value: Any) -> Any:
    moved = value != applied and isinstance(value, int | float) and limit.minimum <= value <= limit.maximum
    return gr.update(visible=True, minimum=limit.minimum, maximum=limit.maximum, step=limit.step,
                     value=value if moved else limit.default)


def _scheduler_choices(spec: ModelSpec) -> list[tuple[str, str]]:
    return [("The model's own", ""), *((name.upper(), name) for name in spec.schedulers)]
