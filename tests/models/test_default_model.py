"""Which model runs when none is named, from data alone."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from inpaint.config.load import load_config
from inpaint.core.spec import DeviceKind, ModelSpec, Source, Task
from inpaint.models.default_model import can_be_downloaded, default_model, ranked_models

SHIPPED: Mapping[str, ModelSpec] = load_config(environment={}).models
MINE = ModelSpec("mine", "Mine", "diffusers-inpaint", ("inpaint",), sources={"pipeline": Source("someone/model")})
OTHER = replace(MINE, name="other", priority=51)
FAST = replace(MINE, name="fast", fast_on=("cpu",))
ERASER = replace(MINE, name="eraser", prompt=False, sources={}, family="patchmatch")
SPECS = {**SHIPPED, **{spec.name: spec for spec in (MINE, OTHER, FAST, ERASER)}}


@pytest.mark.parametrize(
    ("task", "prompt", "device", "here", "chosen", "reason"),
    [
        pytest.param("inpaint", False, "cuda", "erase kandinsky-2.2 kandinsky-mini", "erase", "no prompt", id="no prompt"),
        pytest.param("inpaint", False, "cpu", "erase eraser", "eraser", "no prompt", id="a person's own model that erases"),
        pytest.param(
            "inpaint", True, "cuda", "erase kandinsky-2.2 kandinsky-mini sdxl-inpaint mine", "kandinsky-2.2", "CUDA", id="CUDA, all"
        ),
        pytest.param("inpaint", True, "cuda", "erase kandinsky-mini sdxl-inpaint", "sdxl-inpaint", "CUDA", id="CUDA, only SDXL inpainting"),
        pytest.param("inpaint", True, "cuda", "erase kandinsky-mini mine", "mine", "CUDA", id="CUDA, a person's own model"),
        pytest.param("inpaint", True, "cuda", "mine other", "other", "CUDA", id="CUDA, the higher priority"),
        pytest.param(
            "inpaint", True, "cuda", "erase kandinsky-mini", "kandinsky-mini", "the small demonstration model", id="CUDA, nothing else"
        ),
        pytest.param(
            "inpaint", True, "cpu", "erase kandinsky-2.2 kandinsky-mini sdxl-inpaint", "kandinsky-mini", "on the CPU", id="CPU, all"
        ),
        pytest.param("inpaint", True, "cpu", "erase kandinsky-mini fast", "fast", "fast on the CPU", id="CPU, one that is fast there"),
        pytest.param("inpaint", True, "cpu", "erase sdxl-inpaint kandinsky-2.2", "kandinsky-2.2", "it is slow", id="CPU, only slow ones"),
        pytest.param("inpaint", True, "cpu", "erase sdxl-inpaint", "sdxl-inpaint", "it is slow", id="CPU, only SDXL inpainting"),
        pytest.param("inpaint", True, "mps", "erase kandinsky-2.2 kandinsky-mini", "kandinsky-mini", "Metal", id="Metal"),
        pytest.param("inpaint", True, "cuda", "erase sdxl-turbo", None, "", id="none that paints from words"),
        pytest.param("generate", True, "cuda", "playground-v2 sdxl-turbo", "sdxl-turbo", "CUDA", id="generate: the quick one"),
        pytest.param("generate", True, "cpu", "playground-v2", "playground-v2", "it is slow", id="generate: the one that is here"),
        pytest.param("image-to-image", False, "cuda", "kandinsky-2.2", "kandinsky-2.2", "CUDA", id="image-to-image without words"),
    ],
)
def test_which_model_runs(task: Task, prompt: bool, device: DeviceKind, here: str, chosen: str | None, reason: str) -> None:
    choice = default_model(SPECS.values(), task, prompt, lambda spec: spec.name in here.split(), device)
    assert (choice.spec.name if choice else None) == chosen and (choice is None or reason in choice.reason)


@pytest.mark.parametrize(("device", "first"), [("cuda", "kandinsky-2.2"), ("cpu", "kandinsky-2.2"), ("mps", "kandinsky-2.2")])
def test_what_a_machine_that_has_none_is_offered(device: DeviceKind, first: str) -> None:
    ranked = ranked_models(SHIPPED.values(), "inpaint", True, lambda spec: False, device)
    assert next(filter(can_be_downloaded, ranked)).name == first


@pytest.mark.parametrize(("prompt", "chosen"), [(False, "mine"), (True, "mine")])
def test_where_no_model_works_without_words_every_model_is_asked(prompt: bool, chosen: str) -> None:
    """As where a person's file takes the place of the shipped one that erases."""
    choice = default_model([MINE], "inpaint", prompt, lambda spec: True, "cuda")
    assert choice is not None and choice.spec.name == chosen


def test_words_are_never_for_a_model_that_reads_none() -> None:
    assert default_model([ERASER], "inpaint", True, lambda spec: True, "cuda") is None


def test_a_model_has_the_controls_of_its_task() -> None:
    choice = default_model(SHIPPED.values(), "image-to-image", True, lambda spec: True, "cuda")
    assert choice is not None and "strength" in choice.spec.limits


def test_no_code_names_a_model() -> None:
    """Ready prompts apart, which were written for a model each."""
    names, root = set(SHIPPED) - {"erase"}, Path(__file__).resolve().parents[2]
    for path in {*(root / "inpaint").rglob("*.py"), root / "app.py"} - {root / "inpaint" / "ui" / "examples.py"}:
        constants = {node.value for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Constant)}
        assert not constants & names, f"{path} names a model"
