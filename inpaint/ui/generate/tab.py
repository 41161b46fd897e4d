"""The Generate tab: layout only. Knows no engine and handles no event."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import gradio as gr

from inpaint.core.spec import Limit, ModelSpec
from inpaint.ui.downloads.line import FetchLine
from inpaint.ui.examples import GENERATE_WORDS, REIMAGINE_WORDS, Words
from inpaint.ui.form import STRENGTH, WordsForm, build_settings, build_sliders
from inpaint.ui.generate.strip import Strip
from inpaint.ui.words import REFUSED_LINE

SHAPES = (("square", 1.0), ("landscape", 1.5), ("portrait", 1 / 1.5))
NO_PICTURE = "Generate or open a picture first."


@dataclass(frozen=True)
class Making:
    """The form for one way to make a picture.

    words: example prompts and the buttons that fill them in. reason: why `run` cannot be pressed.
    """

    form: WordsForm
    run: gr.Button
    reason: gr.HTML
    words: Sequence[tuple[Words, gr.Button]]


@dataclass(frozen=True)
class GenerateTab:
    """The widgets of the Generate tab, by name. reimagine: None if no model makes a picture from a picture."""

    empty: gr.HTML
    picture: gr.Image
    preview: gr.HTML
    line: gr.HTML
    strip: Strip
    open: gr.UploadButton
    again: gr.Button
    edit: gr.Button
    download: gr.DownloadButton
    generate: Making
    size: gr.Dropdown
    fold: gr.Accordion
    reimagine: Making | None
    as_is: gr.Button
    cancel: gr.Button
    progress: gr.HTML
    message: gr.HTML
    missing: gr.HTML

    def runs(self) -> list[gr.Button]:
        return [self.generate.run, *([self.reimagine.run] if self.reimagine else [])]


def size_choices(spec: ModelSpec) -> list[tuple[str, str]]:
    """Returns sizes in several shapes, within the model's limits and with about as many pixels as its own size.

    They are (label, value) pairs, as ("640 x 448 (landscape)", "640x448").
    """
    width, height = spec.limits["width"], spec.limits["height"]
    sizes: dict[str, str] = {}
    for name, ratio in SHAPES:
        w, h = _side(width, math.sqrt(ratio)), _side(height, 1 / math.sqrt(ratio))
        sizes.setdefault(f"{w}x{h}", f"{w} x {h} ({name})")
    return [(label, size) for size, label in sizes.items()]


def _side(limit: Limit, factor: float) -> int:
    """Returns the allowed side that is nearest to the default times `factor`."""
    steps = round((limit.default * factor - limit.minimum) / limit.step)
    most = (limit.maximum - limit.minimum) // limit.step
    return int(limit.minimum + limit.step * min(max(steps, 0), most))


def build_generate_tab(generating: Sequence[ModelSpec], reimagining: Sequence[ModelSpec]) -> GenerateTab:
    """Builds the Generate tab.

    generating: models that generate, at least one. reimagining: models that make a picture from a picture. The first of each
    is selected.
    """
    shown = generating[0]
    with gr.Row(elem_classes="ip-page", equal_height=False):
        with gr.Column(elem_classes="ip-picture"):
            empty = gr.HTML("<p>Say what the picture should show, then press Generate</p>", elem_id="generated-empty")
            picture = _build_picture()
            preview = gr.HTML(elem_id="generated-preview")
            line = gr.HTML(elem_id="generated-line")
            strip = Strip()
            with gr.Row(elem_classes="ip-actions"):
                opening = gr.UploadButton("Open picture", elem_id="open-for-chain-button", elem_classes="ip-quiet")
                again = gr.Button("Reimagine this", elem_id="reimagine-this-button", elem_classes="ip-quiet", visible=False)
                edit = gr.Button("Edit this", elem_id="edit-this-button", visible=False)
                download = gr.DownloadButton("Download", elem_id="generated-download-button", visible=False)
        with gr.Column(elem_classes="ip-rail"):
            with gr.Column(elem_classes="ip-act"):
                prompt = _build_prompt()
                run = gr.Button("Generate", variant="primary", elem_id="generate-button")
                progress = gr.HTML(elem_id="generate-progress", visible=False)
                as_is = gr.Button("Use it as it is", elem_id="generate-as-is-button", visible=False)
                cancel = gr.Button("Cancel", elem_id="generate-cancel-button", visible=False)
                missing, message = gr.HTML(elem_id="generate-missing"), gr.HTML(elem_id="generate-message")
                gr.HTML(REFUSED_LINE, elem_classes="ip-refusal")
            with gr.Column(elem_classes="ip-details"):
                words = _word_buttons(GENERATE_WORDS, "generate-words")
                refusals, negative = _negative(shown, "generate-negative")
                model, note, fetch = _models(generating, "generate")
                size = gr.Dropdown(
                    size_choices(shown), value=size_choices(shown)[0][1], label="Size", elem_id="generate-size", filterable=False
                )
                with gr.Accordion("More settings", open=False, elem_classes="ip-fold", elem_id="generate-more"):
                    settings = build_settings(generating, shown)
                with gr.Accordion(
                    "Reimagine the picture", open=False, elem_classes="ip-fold", elem_id="reimagine", visible=bool(reimagining)
                ) as fold:
                    reimagine = _build_reimagine(reimagining) if reimagining else None
    form = WordsForm(prompt, refusals, negative, model, note, fetch, settings, gr.State(shown.name), gr.State({}))
    return GenerateTab(
        empty,
        picture,
        preview,
        line,
        strip,
        opening,
        again,
        edit,
        download,
        Making(form, run, message, words),
        size,
        fold,
        reimagine,
        as_is,
        cancel,
        progress,
        message,
        missing,
    )


def _build_picture() -> gr.Image:
    """Builds the widget that shows the chosen picture of the chain."""
    return gr.Image(
        type="filepath",
        format="png",
        interactive=False,
        show_label=False,
        elem_id="generated",
        buttons=["fullscreen"],
        container=False,
        visible=False,
    )


def _build_prompt() -> gr.Textbox:
    return gr.Textbox(
        label="What should the picture show?",
        lines=3,
        max_lines=8,
        elem_id="generate-prompt",
        placeholder="A painting of a friendly dog painted by a child",
        max_length=2000,
    )


def _build_reimagine(specs: Sequence[ModelSpec]) -> Making:
    shown = specs[0]
    prompt = gr.Textbox(
        label="What should it become?",
        lines=2,
        max_lines=6,
        elem_id="reimagine-prompt",
        max_length=2000,
        placeholder="A photo of a friendly dog",
    )
    words = _word_buttons(REIMAGINE_WORDS, "reimagine-words")
    strength = build_sliders(specs, shown, [STRENGTH])
    run = gr.Button("Reimagine", elem_id="reimagine-button", interactive=False)
    reason = gr.HTML(f'<p class="ip-note">{NO_PICTURE}</p>', elem_id="reimagine-reason")
    refusals, negative = _negative(shown, "reimagine-negative")
    model, note, fetch = _models(specs, "reimagine")
    with gr.Accordion("More settings", open=False, elem_classes="ip-fold", elem_id="reimagine-more"):
        settings = build_settings(specs, shown, strength)
    form = WordsForm(prompt, refusals, negative, model, note, fetch, settings, gr.State(shown.name), gr.State({}))
    return Making(form, run, reason, words)


def _negative(shown: ModelSpec, name: str) -> tuple[gr.Accordion, gr.Textbox]:
    with gr.Accordion(
        "What it should not show", open=False, visible=shown.negative_prompt, elem_classes="ip-fold", elem_id=f"{name}-box"
    ) as box:
        return box, gr.Textbox(show_label=False, lines=2, container=False, max_length=2000, elem_id=name)


def _models(specs: Iterable[ModelSpec], name: str) -> tuple[gr.Dropdown, gr.HTML, FetchLine]:
    choices = [(spec.title, spec.name) for spec in specs]
    return (
        gr.Dropdown(choices, value=choices[0][1], label="Model", elem_id=f"{name}-model", filterable=False),
        gr.HTML(elem_id=f"{name}-note"),
        FetchLine.build(name),
    )


def _word_buttons(ready: Iterable[Words], name: str) -> list[tuple[Words, gr.Button]]:
    """Builds buttons that fill an example prompt into the form. Nothing runs."""
    with gr.Row(elem_classes="ip-words", elem_id=name):
        return [(words, gr.Button(words.title, size="sm", elem_classes="ip-word")) for words in ready]
