"""The page's sentences: what runs where, what it costs, how long it takes; and nothing a person types becomes HTML."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from inpaint.config.load import load_config
from inpaint.core.geometry import Bounds, Extent
from inpaint.core.progress import Progress
from inpaint.core.region import Region
from inpaint.core.report import RunReport
from inpaint.core.request import SamplingParams
from inpaint.core.result import StoppedAt
from inpaint.core.spec import ModelSpec, Task
from inpaint.errors import InvalidRequest
from inpaint.hub import weights
from inpaint.hub.lockfile import Lock, LockedFile, write_lock
from inpaint.ui import words

SPECS = load_config(environment={}).models
HEART, ERASE, TURBO = SPECS["kandinsky-2.2"], SPECS["erase"], SPECS["sdxl-turbo"]


def models(device: str = "cpu", here: bool = True) -> Any:
    return SimpleNamespace(
        device=device,
        default_dtype="float16" if device == "cuda" else "float32",
        is_available=lambda spec, task=None: here,
        specs=SPECS,
        memory_plan=lambda spec, task: None,
    )


@pytest.mark.parametrize(
    ("progress", "before", "gone", "left", "sentence"),
    [
        pytest.param(None, 0, 0.0, None, "Starting. 0 s elapsed.", id="first in the queue"),
        pytest.param(None, 2, 0.0, None, "2 jobs ahead of you.", id="waiting, nothing known"),
        pytest.param(None, 2, 0.0, 41.0, "2 jobs ahead of you, about 41 s.", id="waiting, known"),
        pytest.param(Progress("denoising", 3, 24), 0, 6.2, 150.0, "Painting, step 3 of 24. 6 s elapsed, about 2 min left.", id="painting"),
        pytest.param(
            Progress("denoising", 3, 24, candidate=2, candidates=4),
            0,
            6.2,
            None,
            "Candidate 2 of 4: painting, step 3 of 24. 6 s elapsed.",
            id="the second of four",
        ),
        pytest.param(Progress("filling"), 0, 1.0, None, "Filling from the picture. 1 s elapsed.", id="a stage without steps"),
        pytest.param(Progress("denoising", 0, 25), 0, 1.0, None, "Painting, 25 steps. 1 s elapsed.", id="before the first step"),
        pytest.param(Progress("denoising", 0, 1), 0, 1.0, None, "Painting, 1 step. 1 s elapsed.", id="before the only step"),
    ],
)
def test_progress(progress: Progress | None, before: int, gone: float, left: float | None, sentence: str) -> None:
    assert words.progress_sentence(progress, before, gone, left) == sentence
    assert sentence in words.progress_html(progress, before, gone, left)


@pytest.mark.parametrize(
    ("ending", "sentence"), [("cancel", "Stopping after this step. 6 s elapsed."), ("keep", "Finishing with what is there. 6 s elapsed.")]
)
def test_a_run_that_was_asked_to_end_says_so(ending: str, sentence: str) -> None:
    assert sentence in words.progress_html(Progress("denoising", 3, 24), 0, 6.2, 150.0, ending)


def test_what_is_done_otherwise_than_asked_stands_under_the_progress() -> None:
    plain, noticed = Progress("denoising", 1, 9), Progress("denoising", 1, 9, notice="Memory ran out, so <one>.")
    assert words.progress_html(noticed, 0, 1.0) == words.progress_html(plain, 0, 1.0) + words.notice_html([noticed.notice])
    assert "&lt;one&gt;" in words.progress_html(noticed, 0, 1.0)


@pytest.mark.parametrize(
    ("spec", "device", "here", "parts"),
    [
        pytest.param(ERASE, "cuda", True, ["Erase on the CPU.", "nothing to download"], id="erase never runs on the GPU"),
        pytest.param(HEART, "cuda", True, ["Kandinsky 2.2 on the GPU (CUDA).", "9.8 GB of weights in float16 (estimated)."], id="CUDA"),
        pytest.param(HEART, "cpu", True, ["on the CPU", "19.5 GB of weights in float32", words.SLOW_HERE], id="slow, said first"),
        pytest.param(
            TURBO, "cuda", False, ["not on this machine", "about 6.9 GB to download", "Stability AI", "--download sdxl-turbo"], id="offer"
        ),
        pytest.param(HEART, "cuda", False, ["not on this machine: about 19.5 GB to download, Apache-2.0."], id="an offer of float32"),
    ],
)
def test_the_model_line(spec: ModelSpec, device: str, here: bool, parts: list[str]) -> None:
    line = words.model_html(spec, models(device, here), spec.tasks[0])
    assert [part for part in parts if part not in line] == []


def made(seconds: float, steps: int | None, seeds: tuple[int, ...], stopped_at: StoppedAt | None = None) -> RunReport:
    return RunReport(
        (), "erase", SamplingParams(seed=seeds[0], num_inference_steps=steps), seeds, {"loading": 1.0, "filling": seconds - 1}, stopped_at
    )


@pytest.mark.parametrize(
    ("steps", "line"),
    [
        pytest.param(25, "Seed 7, 25 steps, 1.3 s, Erase.", id="steps"),
        pytest.param(1, "Seed 7, 1 step, 1.3 s, Erase.", id="one step"),
        pytest.param(None, "Seed 7, 1.3 s, Erase.", id="none"),
    ],
)
def test_what_made_a_picture(steps: int | None, line: str) -> None:
    assert words.made_line("Erase", 7, made(1.26, steps, (7,))) == line
    assert line in words.line_html(line) and words.line_html("") == ""


def test_only_the_candidate_that_was_stopped_says_at_which_step() -> None:
    report = made(2.0, 25, (7, 8), StoppedAt(2, 17, 25))
    assert words.made_line("Mini", 7, report) == "Seed 7, 25 steps, 2.0 s, Mini."
    assert words.made_line("Mini", 8, report) == "Seed 8, 17 of 25 steps, 2.0 s, Mini."


@pytest.mark.parametrize(
    ("working", "said"),
    [
        pytest.param(Extent(310, 220), "310 x 220 px around your mask, at its own size.", id="as it is"),
        pytest.param(Extent(768, 576), "310 x 220 px around your mask, at 768 x 576 px (2.5x).", id="enlarged"),
    ],
)
def test_the_plan(working: Extent, said: str) -> None:
    assert said in words.plan_html(Region(Bounds(10, 10, 310, 220), working))


@pytest.mark.parametrize(
    ("spec", "task", "here", "size"),
    [
        pytest.param(HEART, "inpaint", (), "about 19.5 GB, ", id="no variant: float32"),
        pytest.param(TURBO, "generate", (), "about 6.9 GB, ", id="fp16"),
        pytest.param(HEART, "image-to-image", (), "about 19.5 GB, ", id="another decoder"),
        pytest.param(HEART, "image-to-image", ("prior",), "about 5.3 GB, ", id="the prior is here"),
        pytest.param(dataclasses.replace(TURBO, parameters={}), "generate", (), "", id="not stated"),
    ],
)
def test_the_button_says_what_a_download_brings(
    spec: ModelSpec, task: Task, here: tuple[str, ...], size: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [spec.sources[part] for part in here]
    monkeypatch.setattr(weights, "find", lambda source: Path() if source in found else None)
    assert words.download_label(spec, task) == f"Download ({size}{spec.licence})"


def test_what_was_downloaded_once_says_its_size_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = dataclasses.replace(TURBO.sources["pipeline"], lock=str(tmp_path / "lock.json"))
    write_lock(
        tmp_path / "lock.json",
        "pipeline",
        Lock(source.repo_id, source.revision, source.variant, "c", {"a": LockedFile(5_000_000, "0"), "b": LockedFile(2_000_000, "0")}),
    )
    monkeypatch.setattr(weights, "find", lambda source: None)
    spec = dataclasses.replace(TURBO, sources={"pipeline": source})
    assert words.download_label(spec, "generate") == "Download (about 7 MB, Stability AI Community License)"


@pytest.mark.parametrize(
    ("left", "sentence"),
    [
        (None, "0.50 of 2.00 GB of SDXL Turbo."),
        (95.0, "0.50 of 2.00 GB of SDXL Turbo, about 95 s left."),
        (600.0, "0.50 of 2.00 GB of SDXL Turbo, about 10 min left."),
    ],
)
def test_how_far_a_download_is(left: float | None, sentence: str) -> None:
    fetch: Any = SimpleNamespace(spec=TURBO, done_bytes=500_000_000, all_bytes=2_000_000_000, seconds_left=left)
    assert sentence in words.fetch_html(fetch)


@pytest.mark.parametrize(
    ("environment", "by_button", "way"),
    [
        ({}, False, "Get it with: python -m inpaint models --download kandinsky-2.2"),
        ({}, True, ""),
        ({"SPACE_ID": "me/inpaint"}, False, "Its owner can add it to this Space (see the README there)"),
        ({"SPACE_ID": "me/inpaint"}, True, ""),
    ],
    ids=["a shell", "a button", "a Space", "a Space with a button"],
)
def test_the_way_to_a_model_is_one_that_is_open_there(environment: dict[str, str], by_button: bool, way: str) -> None:
    spec = load_config(environment=environment).models["kandinsky-2.2"]
    line = words.model_html(spec, models(here=False), "inpaint", by_button=by_button)
    assert line.endswith(f"Apache-2.0.{f' {way}' if way else ''}</p>")


def test_the_chip_does_not_claim_what_is_not_here() -> None:
    assert "Kandinsky 2.2 on the CPU" in words.chip_html(HEART, models(), "inpaint")
    assert "not on this machine" in words.chip_html(HEART, models(here=False), "inpaint")


def test_no_word_from_outside_becomes_html(tmp_path: Path) -> None:
    evil = "<img src=x onerror=alert(1)>"
    spec = dataclasses.replace(HEART, title=evil, licence=evil)
    knowing = dataclasses.replace(spec, knows=("a dog",))
    for html in (
        words.model_html(spec, models(), "inpaint", evil),
        words.model_html(spec, models(here=False), "inpaint"),
        words.chip_html(spec, models(), "inpaint"),
        words.error_html(InvalidRequest("prompt", evil, evil)),
        words.notice_html([evil]),
        words.knows_html(knowing, evil, models()),
    ):
        assert "<img" not in html


@pytest.mark.parametrize(
    ("prompt", "known"),
    [
        ("a red hat", True),
        ("The Red Hat, please", True),
        ("red hat", True),
        ("put a dog there", True),
        ("a hat", False),
        ("dogs", False),
        ("hotdog", False),
        ("", False),
    ],
)
def test_a_prompt_that_names_a_known_thing(prompt: str, known: bool) -> None:
    assert words.names_known(prompt, ("a red hat", "a dog")) is known


def test_a_small_model_says_what_it_is() -> None:
    small = dataclasses.replace(HEART, knows=("a dog", "a hat"))
    assert "it draws 2 things, as simple drawings. For real pictures get Kandinsky 2.2." in words.knows_html(small, "", models(here=False))
    assert "For real pictures choose Kandinsky 2.2." in words.knows_html(small, "", models())
    assert "know" not in words.knows_html(small, "a dog", models()) and "It may not know" in words.knows_html(small, "a cat", models())
