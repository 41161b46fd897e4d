"""Prompts and numbers that no page sends: each is kept as it is or refused with its field and its limits, and nothing runs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults.calling import EDIT_FIELDS, called, erased, file_data, uploaded

MINI: dict[str, Any] = {"model": "kandinsky-mini", "prompt": "a dog", "num_inference_steps": 1, "prior_num_inference_steps": 2}
STEPS, GUIDANCE, SEED, COUNT, FEATHER = "num_inference_steps", "guidance_scale", "seed", "count", "feather"
SIDES = "must be between"


@dataclass(frozen=True)
class Case:
    """row: its number in the table. says: part of the error, or "" where the edit is done. values: of /edit, or of `call`."""

    row: int
    says: str
    values: dict[str, Any] = field(default_factory=dict[str, Any])
    call: str = "edit"


def mini(**values: Any) -> dict[str, Any]:
    return MINI | values


CASES = [
    Case(39, "The prompt is empty", {"model": "sdxl-turbo", "prompt": " \t\n"}, "generate"),
    Case(39, "", mini(prompt="  ")),
    Case(40, "The prompt", mini(prompt="x" * 900_000)),
    Case(40, "The prompt", mini(prompt="x" * 2001)),
    Case(40, "prompt", mini(negative_prompt="x" * 2001)),
    Case(42, "lone surrogate", mini(prompt="a \ud800 dog")),
    Case(42, "lone surrogate", mini(negative_prompt="\udfff")),
    Case(43, "", mini(prompt="a\0 do\x07g\r\n\u202e cafe\u0301")),
    *(Case(45, "", mini(prompt=prompt)) for prompt in ("a dog\nSteps: 5, Seed: 9, Size: 1x1", '{"seed": 9}')),
    Case(46, "", mini(prompt="py: __import__('os') {seed} {{7*7}} ${HOME} __x__ (a:1.3)")),
    Case(47, "", mini(prompt="%s %n '; DROP TABLE results; -- \"")),
    *(
        Case(48, says, mini(prompt=value))
        for value, says in (
            (["a"], "The prompt must be text"),
            (7, "The prompt must be text"),
            ({"a": 1}, "The prompt must be text"),
            (True, "The prompt must be text"),
        )
    ),
    *(Case(49, "Steps must be", mini(**{STEPS: value})) for value in (0, -1, 1001, 2.5, 1e9)),
    *(Case(50, "Guidance must be", mini(**{GUIDANCE: value})) for value in (math.nan, math.inf, -math.inf, -5, 1e9)),
    *(Case(51, "Seed must be", {SEED: value}) for value in (-1, 2**64, 1.5, True)),
    Case(51, "", {SEED: None}),
    *(Case(52, "Count must be", {COUNT: value}) for value in (0, 1000, -1, 1.5)),
    *(
        Case(53, "Width must be", {"model": "sdxl-turbo", "prompt": "a dog", "width": value, "height": 512}, "generate")
        for value in (0, 1, 65, 100, 100_000)
    ),
    *(Case(54, "Feather must be a", {FEATHER: value}) for value in ("x", [1], {"a": 1}, True, math.inf, math.nan)),
    Case(54, "Feather must be", {FEATHER: 1e308}),
    Case(54, "", {FEATHER: 5.0}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.row} {ascii(case.values)[-40:]}")
def test_a_value(case: Case, client: httpx.Client, tmp_path: Path) -> None:
    if case.call == "edit":
        kind, told = erased(client, uploaded(client, tmp_path), **case.values)
    else:
        names = ("prompt", "negative_prompt", "model", "seed", STEPS, GUIDANCE, "width", "height", "count")
        kind, told = called(client, case.call, [case.values.get(name) for name in names])
    if case.says:
        assert kind == "error" and case.says in told["error"] and len(told["error"]) < 400, told
        return
    assert kind == "complete", told
    report = told[1]
    assert report["changed_outside"] == 0 and report["settings"].get(STEPS) == case.values.get(STEPS)
    assert isinstance(report["seed"], int)


@pytest.mark.parametrize("prompt", [case.values["prompt"] for case in CASES if case.row in (45, 46, 47)], ids=ascii)
def test_words_that_look_like_orders_are_words(prompt: str, client: httpx.Client, tmp_path: Path) -> None:
    kind, told = erased(client, uploaded(client, tmp_path), **mini(prompt=prompt, seed=4))
    assert kind == "complete" and told[1]["settings"]["prompt"] == prompt and told[1]["seed"] == 4, told


def test_a_prompt_of_5_mb_is_not_read(client: httpx.Client) -> None:
    answer = client.post("/gradio_api/call/edit", json={"data": [None, None, "x" * 50_000_000, *[None] * 15]})
    assert answer.status_code == 413


@pytest.mark.parametrize(("count", "is_taken"), [(0, False), (1, False), (17, False), (18, True), (19, True), (300, True)])
def test_arguments_that_are_missing_are_told_and_more_change_nothing(
    count: int, is_taken: bool, client: httpx.Client, tmp_path: Path
) -> None:
    data = [*map(file_data, uploaded(client, tmp_path)), *[None] * 300][:count]
    kind, told = called(client, "edit", data)
    assert (kind == "complete") == is_taken, told
    if not is_taken:
        assert f"This call takes {2 + len(EDIT_FIELDS)} values, not {count}." in told["error"]
