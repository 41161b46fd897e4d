"""The Edit tab: layout only. Knows no engine and handles no event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from inpaint.core.spec import ModelSpec
from inpaint.ui.downloads.line import FetchLine
from inpaint.ui.form import WordsForm, build_settings
from inpaint.ui.stage.stage import Stage, upload_control
from inpaint.ui.words import REFUSED_LINE

AUTOMATIC = ""
OPEN_FIRST = "Open a picture first."


@dataclass(frozen=True)
class Vocabulary:
    """The line about a model with a small vocabulary, and the list to pick from. The list is shown while there is a line.

    The style sheet hides the list, because a list that Gradio removes and adds again loses its props, and a column cannot be
    hidden.
    """

    line: gr.HTML
    pick: gr.Dropdown


@dataclass(frozen=True)
class EditTab:
    """The widgets of the Edit tab, by name."""

    upload: gr.UploadButton
    stage: Stage
    actions: gr.Row
    back: gr.Button
    another: gr.Button
    reimagine: gr.Button
    keep: gr.Button
    download: gr.DownloadButton
    form: WordsForm
    vocabularies: Mapping[str, Vocabulary]
    run: gr.Button
    as_is: gr.Button
    cancel: gr.Button
    progress: gr.HTML
    plan: gr.HTML
    message: gr.HTML

    def inputs(self) -> list[Any]:
        """Returns all widgets that a run reads."""
        return [self.stage, *self.form.inputs()]


def build_edit_tab(
    specs: Iterable[ModelSpec], shown: ModelSpec, stage: Stage, model_note: str, vocabulary_lines: Mapping[str, str], can_reimagine: bool
) -> EditTab:
    """Builds the Edit tab.

    specs: the models that inpaint. shown: the one that runs while no prompt is typed. vocabulary_lines: the line about each model's
    vocabulary, by model name.
    """
    known = list(specs)
    with gr.Row(elem_classes="ip-page", equal_height=False):
        with gr.Column(elem_classes="ip-picture"):
            upload = upload_control()
            stage.render()
            with gr.Row(elem_classes="ip-actions", visible=False) as actions:
                back = gr.Button("Back to the mask", elem_id="back-button", elem_classes="ip-quiet")
                another = gr.Button("Another one", elem_id="another-button", elem_classes="ip-quiet")
                reimagine = gr.Button("Reimagine this", elem_id="send-to-chain-button", elem_classes="ip-quiet", visible=can_reimagine)
                keep = gr.Button("Keep editing this", elem_id="keep-button")
                download = gr.DownloadButton("Download", elem_id="download-button")
        with gr.Column(elem_classes="ip-rail"):
            with gr.Column(elem_classes="ip-act"):
                prompt = gr.Textbox(
                    label="What should be there?",
                    lines=3,
                    max_lines=6,
                    elem_id="prompt",
                    max_length=2000,
                    placeholder="Leave empty to erase what you paint over",
                )
                run = gr.Button("Run", variant="primary", elem_id="run-button", interactive=False)
                progress = gr.HTML(elem_id="progress", visible=False)
                as_is = gr.Button("Use it as it is", elem_id="as-is-button", visible=False)
                cancel = gr.Button("Cancel", elem_id="cancel-button", visible=False)
                message = gr.HTML(elem_id="message")
                gr.HTML(REFUSED_LINE, elem_classes="ip-refusal")
                plan = gr.HTML(f'<p class="ip-note">{OPEN_FIRST}</p>', elem_id="plan")
            with gr.Column(elem_classes="ip-details"):
                vocabularies = {spec.name: _build_vocabulary(spec, vocabulary_lines.get(spec.name, "")) for spec in known if spec.knows}
                with gr.Accordion(
                    "What should not be there", open=False, visible=shown.negative_prompt, elem_classes="ip-fold", elem_id="negative-box"
                ) as negative_box:
                    negative = gr.Textbox(
                        show_label=False,
                        lines=2,
                        elem_id="negative-prompt",
                        max_length=2000,
                        placeholder="bad anatomy, deformed",
                        container=False,
                    )
                model = gr.Dropdown(
                    [("Automatic", AUTOMATIC), *((spec.title, spec.name) for spec in known)],
                    value=AUTOMATIC,
                    label="Model",
                    elem_id="model",
                    filterable=False,
                )
                note, fetch = gr.HTML(model_note, elem_id="model-note"), FetchLine.build("model")
                with gr.Accordion("More settings", open=False, elem_classes="ip-fold", elem_id="more"):
                    settings = build_settings(known, shown)
    form = WordsForm(prompt, negative_box, negative, model, note, fetch, settings, gr.State(shown.name), gr.State({}))
    return EditTab(
        upload, stage, actions, back, another, reimagine, keep, download, form, vocabularies, run, as_is, cancel, progress, plan, message
    )


def _build_vocabulary(spec: ModelSpec, first_line: str) -> Vocabulary:
    with gr.Column(elem_classes="ip-knows"):
        line = gr.HTML(first_line)
        pick = gr.Dropdown(list(spec.knows), value=None, label="Objects it can draw", filterable=True, elem_id=f"knows-{spec.name}")
    return Vocabulary(line, pick)
