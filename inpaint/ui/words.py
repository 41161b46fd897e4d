"""The page's sentences that depend on a state: progress, plan and the line about the model. Knows no widgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from inpaint.core.progress import Progress
from inpaint.core.region import Region
from inpaint.core.report import RunReport
from inpaint.core.spec import BYTES_PER_PARAMETER, ModelSpec, Task
from inpaint.core.words.text import first_graphemes
from inpaint.core.words.vocabulary import names_known
from inpaint.errors import EditCancelled, InpaintError
from inpaint.hub.order import size_text
from inpaint.hub.weights import how_to_get
from inpaint.models.availability import bytes_to_fetch
from inpaint.models.catalog import Models
from inpaint.models.default_model import DEVICE_TITLES
from inpaint.models.families import FAMILIES
from inpaint.ui.downloads.fetcher import Fetch

STAGES: Mapping[str, str] = {
    "loading": "Loading the model",
    "prior": "Reading the words",
    "encoding": "Looking at the picture",
    "denoising": "Painting",
    "decoding": "Developing the picture",
    "filling": "Filling from the picture",
    "compositing": "Setting it back into the picture",
    "saving": "Saving",
}

REFUSED_LINE = '<p class="ip-message ip-error ip-refused" role="alert"></p>'
"""The place where refusals.html shows what the server, or a proxy in front of it, refused. No event has it as an output, so Gradio
does not change it."""

THEME_BUTTON = """<button type="button" id="theme-button" onclick="inpaintToggleTheme()">
<span class="ip-when-light">Dark</span><span class="ip-when-dark">Light</span></button>"""
"""The theme button. Both labels are in the page and the style sheet shows one, because Gradio may rewrite a button's own text."""

ENDINGS: Mapping[str, str] = {"cancel": "Stopping after this step.", "keep": "Finishing with what is there."}

QUOTED = 40
"""How many characters of a prompt a sentence repeats."""

SLOW_HERE = "Without a GPU a run takes minutes."
"""Shown for models whose working extent is limited on a CPU because a step takes seconds there."""


def progress_sentence(progress: Progress | None, before: int, gone: float, left: float | None, ending: str = "") -> str:
    """Returns the sentence about a job's progress.

    before: jobs of others that run first. gone, left: seconds; left is None if it is unknown. ending: how the job is being
    ended, as jobs.Job names it.
    """
    if ending:
        return f"{ENDINGS[ending]} {gone:.0f} s elapsed."
    if progress is None and before:
        jobs = "1 job" if before == 1 else f"{before} jobs"
        return f"{jobs} ahead of you{f', about {_seconds(left)}' if left else ''}."
    stage = "Starting" if progress is None else STAGES[progress.stage]
    if progress and progress.candidates > 1:
        stage = f"Candidate {progress.candidate} of {progress.candidates}: {stage[0].lower()}{stage[1:]}"
    counted = f", {_counted(progress.step, progress.total)}" if progress and progress.total else ""
    return f"{stage}{counted}. {gone:.0f} s elapsed{f', about {_seconds(left)} left' if left else ''}."


def _counted(step: int, total: int) -> str:
    """Returns the step of the total. Before the first step is done it returns only the total."""
    return f"step {step} of {total}" if step else "1 step" if total == 1 else f"{total} steps"


def progress_html(progress: Progress | None, before: int, gone: float, left: float | None = None, ending: str = "") -> str:
    value = f'value="{progress.step}" max="{progress.total}"' if progress and progress.total else ""
    notices = [progress.notice] if progress and progress.notice else []
    return _bar(value, progress_sentence(progress, before, gone, left, ending)) + notice_html(notices)


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def preview_html(url: str) -> str:
    """Returns a frame of a picture that is being made. url: a data URL made by this app."""
    return f'<img src="{url}" alt="The picture so far">'


def error_html(error: InpaintError) -> str:
    hint = f"<p>{escape(error.hint)}</p>" if error.hint else ""
    kind = "ip-error ip-stopped" if isinstance(error, EditCancelled) else "ip-error"  # head.html sets the tab's title by this class
    return f'<div class="ip-message {kind}" role="alert"><strong>{escape(error.message)}</strong>{hint}</div>'


def notice_html(notices: Sequence[str]) -> str:
    return "".join(f'<p class="ip-message">{escape(notice)}</p>' for notice in notices)


def downloads_html(addresses: Sequence[str]) -> str:
    """Returns links to results that are only in memory."""
    links = " ".join(
        f'<a href="{escape(address)}" download>Download{f" {k}" if len(addresses) > 1 else ""}</a>'
        for k, address in enumerate(addresses, start=1)
    )
    return f'<p class="ip-message">{links}</p>' if links else ""


def reason_html(reason: str) -> str:
    """Returns the line that says why Run is disabled."""
    return f'<p class="ip-note">{escape(reason)}</p>'


def plan_html(region: Region) -> str:
    """Returns the line that says what will happen when Run is pressed."""
    size = "its own size" if region.scale == 1 else f"{region.working} px ({region.scale:.2g}x)"
    return (
        f'<p class="ip-plan"><strong>Plan.</strong> The model sees {region.crop.width} x {region.crop.height} px around your mask, '
        f"at {size}. What it paints is set back into the full picture.</p>"
    )


def made_line(title: str, seed: int, report: RunReport) -> str:
    """Returns a line with the seed, steps, time and model that made a picture. title: the model's title."""
    steps, stopped = report.sampling.num_inference_steps, report.stopped_at
    if stopped and report.seeds[stopped.candidate - 1] == seed:
        counted = f"{stopped.step} of {stopped.total} steps, "
    else:
        counted = f"{steps} step{'' if steps == 1 else 's'}, " if steps else ""
    return f"Seed {seed}, {counted}{sum(report.seconds.values()):.1f} s, {title}."


def line_html(line: str) -> str:
    return f'<p class="ip-note">{escape(line)}</p>' if line else ""


def model_html(spec: ModelSpec, models: Models, task: Task, reason: str = "", by_button: bool = False) -> str:
    """Returns the line about a model: what runs where, why, and what it costs; estimates are marked.

    by_button: whether a Download button is beside the line.
    """
    why = f" {escape(reason[:1].upper() + reason[1:])}." if reason else ""
    if not models.is_available(spec, task):
        return f'<p class="ip-note">{escape(_offer(spec, task, by_button))}</p>'
    slow = f" {SLOW_HERE}" if models.device == "cpu" and spec.working and spec.working.cpu_pixels else ""
    plan = models.memory_plan(spec, task)
    tight = f" {escape(plan.words)}" if plan and plan.words else ""
    return f'<p class="ip-note">{escape(spec.title)} on {_place(spec, models)}.{why} {escape(_cost(spec, models, task))}{slow}{tight}</p>'


def missing_html(error: InpaintError) -> str:
    """Returns the line that says how to get a model. The line beside Run already says that there is none."""
    return f'<p class="ip-note">{escape(error.hint)}</p>'


def knows_html(spec: ModelSpec, prompt: str, models: Models) -> str:
    """Returns the lines about a model with a small vocabulary: what it is good for, and whether it knows the prompt."""
    better = next((other for other in models.specs.values() if other.can("inpaint") and other.prompt and not other.knows), None)
    lines = [f"{spec.title} is a small demonstration model: it draws {len(spec.knows)} things, as simple drawings."]
    if better:
        lines.append(f"For real pictures {'choose' if models.is_available(better, 'inpaint') else 'get'} {better.title}.")
    is_unknown = prompt.strip() and not names_known(prompt, (*spec.knows, *spec.also_knows))
    unknown = [f"It may not know '{first_graphemes(prompt.strip(), QUOTED)}': pick one of its things."] if is_unknown else []
    return "".join(f'<p class="ip-note">{escape(line)}</p>' for line in [" ".join(lines), *unknown])


def chip_html(spec: ModelSpec, models: Models, task: Task) -> str:
    text = f"{spec.title} on {_place(spec, models)}" if models.is_available(spec, task) else f"{spec.title}: not on this machine"
    return f'<span class="ip-chip" title="What runs where">{escape(text)}</span>'


def _place(spec: ModelSpec, models: Models) -> str:
    return DEVICE_TITLES[models.device if spec.sources else "cpu"]


def _cost(spec: ModelSpec, models: Models, task: Task) -> str:
    if not spec.sources:
        return "No weights, nothing to download."
    if not spec.parameter_count:
        return "Its memory is not stated."
    dtype = models.default_dtype
    return f"{_gigabytes(spec, task, dtype)} of weights in {dtype} (estimated)."


def download_label(spec: ModelSpec, task: Task) -> str:
    """Returns the short label of the Download button. The line above the button has the details."""
    count = bytes_to_fetch(spec, task)
    return f"Download ({', '.join([*([_about(count)] if count else []), spec.licence or 'licence not stated'])})"


def fetch_html(fetch: Fetch) -> str:
    """Returns how far a download is."""
    if not fetch.all_bytes:
        return _bar("", f"Asking the hub what {fetch.spec.title} consists of.")
    done, whole = (f"{number / 1e9:.2f}" for number in (fetch.done_bytes, fetch.all_bytes))
    left = "" if fetch.seconds_left is None else f", about {_seconds(fetch.seconds_left)} left"
    return _bar(f'value="{fetch.done_bytes}" max="{fetch.all_bytes}"', f"{done} of {whole} GB of {fetch.spec.title}{left}.")


def _bar(value: str, sentence: str) -> str:
    return f'<div class="ip-progress"><progress {value} aria-label="Progress"></progress><p aria-live="polite">{escape(sentence)}</p></div>'


def _gigabytes(spec: ModelSpec, task: Task, dtype: str) -> str:
    """Returns the size of the weights that a task needs if the family says which parts those are, else of all weights."""
    names = {name for turn in FAMILIES[spec.family][task].turns for name in turn.parts} or set(spec.parameters)
    return f"{sum(spec.parameters.get(name, 0) for name in names) * BYTES_PER_PARAMETER[dtype] / 1e9:.1f} GB"


def _about(count: int) -> str:
    """Returns an estimated size, rounded."""
    return f"about {size_text(count)}"


def _offer(spec: ModelSpec, task: Task, by_button: bool) -> str:
    if any(source.is_local for source in spec.sources.values()):
        return f"{spec.title} is not complete in its folder on this machine."
    count = bytes_to_fetch(spec, task)
    size = f"{_about(count)} to download" if count else "its size is not stated"
    how = "" if by_button else f" {how_to_get(spec)}"
    return f"{spec.title} is not on this machine: {size}, {spec.licence or 'licence not stated'}.{how}"
