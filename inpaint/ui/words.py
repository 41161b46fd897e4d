"""The sentences of the page that depend on a state: progress, plan, model line. Knows no widgets."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from inpaint.core.geometry import Bounds
from inpaint.core.region import Region
from inpaint.core.result import Progress
from inpaint.core.spec import ModelSpec
from inpaint.engines.registry import DEVICE_TITLES, Models
from inpaint.errors import InpaintError

STAGES: Mapping[str, str] = {
    "loading": "Loading the model", "prior": "Reading the words", "encoding": "Looking at the picture",
    "denoising": "Painting", "decoding": "Developing the picture", "filling": "Filling from the picture",
    "compositing": "Setting it back into the picture",
}

THEME_BUTTON = """<button type="button" id="theme-button" onclick="inpaintToggleTheme()">
<span class="ip-when-light">Dark</span><span class="ip-when-dark">Light</span></button>"""
"""Both names stand in the page and the style sheet shows one: Gradio writes a button's own text anew when it likes."""


SLOW_HERE = "Without a GPU a run takes minutes."
"""Said of models that bound their working extent on a CPU because a step takes seconds there."""


def progress_sentence(progress: Progress | None, before: int, gone: float, left: float | None) -> str:
    """before: jobs of others that run first. gone, left: seconds; left is None where nothing is known yet."""
    if progress is None and before:
        return f"{before} before you{f', about {_seconds(left)}' if left else ''}."
    stage = "Starting" if progress is None else STAGES[progress.stage]
    if progress and progress.candidates > 1:
        stage = f"Candidate {progress.candidate} of {progress.candidates}: {stage[0].lower()}{stage[1:]}"
    counted = f", step {progress.step} of {progress.total}" if progress and progress.total else ""
    return f"{stage}{counted}. {gone:.0f} s gone{f', about {_seconds(left)} left' if left else ''}."


def progress_html(progress: Progress | None, before: int, gone: float, left: float | None = None) -> str:
    value = f'value="{progress.step}" max="{progress.total}"' if progress and progress.total else ""
    sentence = escape(progress_sentence(progress, before, gone, left))
    return f'<div class="ip-progress"><progress {value} aria-label="Progress"></progress><p aria-live="polite">{sentence}</p></div>'


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def error_html(error: InpaintError) -> str:
    hint = f"<p>{escape(error.hint)}</p>" if error.hint else ""
    return f'<div class="ip-message ip-error" role="alert"><strong>{escape(error.message)}</strong>{hint}</div>'


def notice_html(notices: list[str]) -> str:
    return "".join(f'<p class="ip-message">{escape(notice)}</p>' for notice in notices)


def reason_html(reason: str) -> str:
    """Why Run is disabled."""
    return f'<p class="ip-note">{escape(reason)}</p>'


def plan_html(painted: Bounds, region: Region) -> str:
    """What will happen when Run is pressed, before it happens."""
    return (f'<p class="ip-plan"><strong>Plan.</strong> Your {painted.width} x {painted.height} px mask is painted at '
            f"{region.working} ({region.scale:.2g}x), then set back into the full picture.</p>")


def model_html(spec: ModelSpec, models: Models, reason: str = "") -> str:
    """Which model runs, where, why, and what it costs; computed figures say so."""
    why = f" {escape(reason[:1].upper() + reason[1:])}." if reason else ""
    if not models.is_available(spec):
        return f'<p class="ip-note">{escape(_offer(spec))}</p>'
    slow = f" {SLOW_HERE}" if models.device == "cpu" and spec.working and spec.working.cpu_pixels else ""
    return f'<p class="ip-note">{escape(spec.title)} on {_place(spec, models)}.{why} {escape(_cost(spec, models))}{slow}</p>'


def missing_html(error: InpaintError) -> str:
    """How to get a model; that there is none is told beside Run."""
    return f'<p class="ip-note">{escape(error.hint)}</p>'


def chip_html(spec: ModelSpec, models: Models) -> str:
    text = f"{spec.title} on {_place(spec, models)}" if models.is_available(spec) else f"{spec.title}: not on this machine"
    return f'<span class="ip-chip" title="What runs where">{escape(text)}</span>'


def _place(spec: ModelSpec, models: Models) -> str:
    return DEVICE_TITLES[models.device if spec.sources else "cpu"]


def _cost(spec: ModelSpec, models: Models) -> str:
    if not spec.sources:
        return "No weights, nothing to download."
    if not spec.parameter_count:
        return "Its memory is not stated."
    dtype = models.default_dtype
    return f"{spec.weight_bytes(dtype) / 1e9:.1f} GB of weights in {dtype} (computed)."


def _offer(spec: ModelSpec) -> str:
    if any(source.is_local for source in spec.sources.values()):
        return f"{spec.title} is not complete in its folder on this machine."
    size = f"{spec.weight_bytes('float16') / 1e9:.1f} GB in float16 (computed)" if spec.parameter_count else "its size is not stated"
    return (f"{spec.title} is not on this machine: {size}, {spec.licence or 'licence not stated'}. "
            f"Get it with: python -m inpaint models --download {spec.name}")
