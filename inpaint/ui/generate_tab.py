"""The Generate tab: layout only. Knows no engine and handles no event."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from inpaint.core.spec import ModelSpec
from inpaint.ui.form import Settings, build_settings

SHAPES = (("square", 1.0, 1.0), ("landscape", 1.5, 1.0), ("portrait", 1.0, 1.5))


@dataclass(frozen=True)
class GenerateTab:
    """The widgets of the Generate tab, by name."""

    empty: gr.HTML
    picture: gr.Image
    pick: gr.Radio
    actions: gr.Row
    edit: gr.Button
    download: gr.DownloadButton
    prompt: gr.Textbox
    negative_box: gr.Accordion
    negative: gr.Textbox
    model: gr.Dropdown
    model_note: gr.HTML
    size: gr.Dropdown
    run: gr.Button
    cancel: gr.Button
    progress: gr.HTML
    message: gr.HTML
    settings: Settings

    def inputs(self) -> list[Any]:
        """All that a run reads."""
        return [self.prompt, self.negative, self.model, self.size, *self.settings.all()]


def size_choices(spec: ModelSpec) -> list[tuple[str, str]]:
    """The shapes that lie within the model's limits, as ("768 x 512 (landscape)", "768x512")."""
    width, height = spec.limits["width"], spec.limits["height"]
    sizes = [(name, int(width.default * x), int(height.default * y)) for name, x, y in SHAPES]
    return [(f"{w} x {h} ({name})", f"{w}x{h}") for name, w, h in sizes if w <= width.maximum and h <= height.maximum]


def build_generate_tab(specs: Iterable[ModelSpec], shown: ModelSpec, model_note: str) -> GenerateTab:
    """specs: those that generate. shown: the one chosen at first."""
    known = list(specs)
    sizes = size_choices(shown)
    with gr.Row(elem_classes="ip-page", equal_height=False):
        with gr.Column(elem_classes="ip-picture"):
            empty = gr.HTML("<p>Say what the picture should show, then press Generate</p>", elem_id="generated-empty")
            picture = gr.Image(type="filepath", format="png", interactive=False, show_label=False, elem_id="generated",
                               buttons=["fullscreen"], container=False, visible=False)
            pick = gr.Radio([], show_label=False, visible=False, elem_id="generated-pick", container=False)
            with gr.Row(elem_classes="ip-actions", visible=False) as actions:
                edit = gr.Button("Edit this", elem_id="edit-this-button")
                download = gr.DownloadButton("Download", elem_id="generated-download-button")
        with gr.Column(elem_classes="ip-rail"):
            with gr.Column(elem_classes="ip-act"):
                prompt = gr.Textbox(label="What should the picture show?", lines=3, max_lines=8, elem_id="generate-prompt",
                                    placeholder="A painting of a friendly dog painted by a child", max_length=2000)
                run = gr.Button("Generate", variant="primary", elem_id="generate-button")
                progress = gr.HTML(elem_id="generate-progress", visible=False)
                cancel = gr.Button("Cancel", elem_id="generate-cancel-button", visible=False)
                message = gr.HTML(elem_id="generate-message")
            with gr.Column(elem_classes="ip-details"):
                with gr.Accordion("What it should not show", open=False, visible=shown.negative_prompt,
                                  elem_classes="ip-fold") as negative_box:
                    negative = gr.Textbox(show_label=False, lines=2, container=False, max_length=2000)
                model = gr.Dropdown([(spec.title, spec.name) for spec in known], value=shown.name, label="Model",
                                    elem_id="generate-model", filterable=False)
                model_note_box = gr.HTML(model_note, elem_id="generate-note")
                size = gr.Dropdown(sizes, value=sizes[0][1], label="Size", elem_id="generate-size", filterable=False)
                with gr.Accordion("More settings", open=False, elem_classes="ip-fold", elem_id="generate-more"):
                    settings = build_settings(known, shown)
    return GenerateTab(empty, picture, pick, actions, edit, download, prompt, negative_box, negative, model, model_note_box,
                       size, run, cancel, progress, message, settings)
