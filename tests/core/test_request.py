"""Nothing that a client may send gets past the validation, and each refusal names the field."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inpaint.core.geometry import Bounds
from inpaint.core.request import (
    MAX_PROMPT_CHARACTERS,
    SAMPLING_FIELDS,
    SamplingParams,
    clean_prompt,
    parse_work_area,
    real_number,
    resolve_sampling,
    whole_number,
)
from inpaint.core.spec import Limit, ModelSpec
from inpaint.errors import InvalidRequest

PAINTER = ModelSpec(
    "painter",
    "Painter",
    "none",
    ("inpaint",),
    negative_prompt=True,
    schedulers=("ddpm", "ddim"),
    limits={"num_inference_steps": Limit(50, 1, 500), "guidance_scale": Limit(4.0, 0.0, 20.0, 0.5), "width": Limit(512, 256, 1024, 64)},
)
ERASER = ModelSpec("eraser", "Eraser", "none", ("inpaint",), prompt=False)

NOT_A_NUMBER: dict[str, Any] = {
    "NaN": math.nan,
    "infinity": math.inf,
    "minus infinity": -math.inf,
    "true": True,
    "false": False,
    "text": "12",
    "empty text": "",
    "a list": [1],
    "an object": {"a": 1},
    "None": None,
    "bytes": b"1",
    "complex": 1j,
}
OUT_OF_RANGE: dict[str, Any] = {
    "negative": -1,
    "zero": 0,
    "one over": 501,
    "huge": 10**9,
    "over a double": 10**400,
    "5,000 digits": 10**4999,
    "huge float": 1e308,
    "minus huge": -(10**400),
}
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@pytest.mark.parametrize("value", NOT_A_NUMBER.values(), ids=NOT_A_NUMBER)
@pytest.mark.parametrize("check", [whole_number, real_number])
def test_not_a_number(check: Any, value: object) -> None:
    with pytest.raises(InvalidRequest, match="must be a") as caught:
        check("num_inference_steps", value, 1, 500)
    assert caught.value.field == "num_inference_steps"
    assert str(caught.value).startswith("Steps ")


@pytest.mark.parametrize("value", OUT_OF_RANGE.values(), ids=OUT_OF_RANGE)
@pytest.mark.parametrize("check", [whole_number, real_number])
def test_out_of_range(check: Any, value: object) -> None:
    with pytest.raises(InvalidRequest, match=r"must be between 1 and 500|is too large"):
        check("num_inference_steps", value, 1, 500)


@pytest.mark.parametrize("value", [2.5, 1.0000001], ids=str)
def test_a_whole_number_has_no_fraction(value: float) -> None:
    with pytest.raises(InvalidRequest, match="must be a whole number, not"):
        whole_number("seed", value, 0, 10)


def test_limits_are_shown_in_full() -> None:
    with pytest.raises(InvalidRequest, match="between 0 and 4294967295, not 4294967296"):
        whole_number("seed", 2**32, 0, 2**32 - 1)


@given(anything)
def test_whole_number_gives_a_number_within_limits_or_refuses(value: object) -> None:
    try:
        number = whole_number("seed", value, 0, 100)
    except InvalidRequest:
        return
    assert type(number) is int and 0 <= number <= 100 and number == value


def deep_list(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("given_value", "kept"),
    [
        pytest.param(None, "", id="None"),
        pytest.param(" \n\t ", "", id="spaces"),
        pytest.param("a red hat", "a red hat", id="plain"),
        pytest.param("e\u0301", "\u00e9", id="NFC"),
        pytest.param("a\x00b\x1b[31mc\x7f\x85", "ab[31mc", id="control characters"),
        pytest.param("two\nlines\r\n", "two\nlines", id="newlines"),
        pytest.param("<script>{x} __y__ py:", "<script>{x} __y__ py:", id="markup is text"),
        pytest.param("\U0001f60e", "\U0001f60e", id="emoji"),
        pytest.param("a\u200b red\u200d apple", "a red apple", id="invisible characters"),
    ],
)
def test_prompts_are_kept(given_value: object, kept: str) -> None:
    assert clean_prompt("prompt", given_value) == kept


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param("half \ud83d", "half a character", id="lone surrogate"),
        pytest.param("\udcff", "half a character", id="a byte of argv that is no UTF-8"),
        pytest.param("x" * 5_000_000, "has 5,000,000 characters; the limit is 2,000", id="5 MB"),
        pytest.param("x" * (MAX_PROMPT_CHARACTERS + 1), "the limit is 2,000", id="one over"),
        pytest.param(5, "must be text, not something of type int", id="number"),
        pytest.param(10**5000, "must be text", id="5,000 digits"),
        pytest.param(["a"], "type list", id="list"),
        pytest.param(deep_list(100_000), "type list", id="100,000 lists deep"),
        pytest.param({}, "type dict", id="object"),
        pytest.param(True, "not True", id="bool"),
        pytest.param(math.nan, "not nan", id="NaN"),
    ],
)
def test_prompts_that_are_refused(value: object, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message) as caught:
        clean_prompt("negative_prompt", value)
    assert caught.value.field == "negative_prompt"
    assert len(str(caught.value)) < 200


@given(st.text(alphabet=st.characters(exclude_categories=[]), max_size=50))
def test_a_kept_prompt_can_be_written_anywhere(text: str) -> None:
    try:
        kept = clean_prompt("prompt", text)
    except InvalidRequest:
        return
    assert kept.encode("utf-8").decode() == kept
    assert clean_prompt("prompt", kept) == kept
    assert "\x00" not in kept


def test_defaults_come_from_the_spec_and_absent_controls_stay_none() -> None:
    assert resolve_sampling(PAINTER, 7, {"prompt": " hat "}) == SamplingParams(
        "hat", None, 7, num_inference_steps=50, guidance_scale=4.0, width=512
    )
    assert resolve_sampling(ERASER, 7, dict.fromkeys(SAMPLING_FIELDS)) == SamplingParams(seed=7)


@pytest.mark.parametrize(
    ("spec", "values", "field", "message"),
    [
        pytest.param(ERASER, {"prompt": "hat"}, "prompt", "takes no prompt", id="prompt"),
        pytest.param(ERASER, {"negative_prompt": "hat"}, "negative_prompt", "Eraser has no negative prompt", id="negative"),
        pytest.param(ERASER, {"scheduler": "ddpm"}, "scheduler", "Eraser has no scheduler", id="scheduler"),
        pytest.param(PAINTER, {"strength": 0.5}, "strength", "Painter has no strength", id="strength"),
        pytest.param(PAINTER, {"strength": math.nan}, "strength", "Painter has no strength", id="strength NaN"),
        pytest.param(PAINTER, {"scheduler": "euler"}, "scheduler", "It has: ddpm, ddim", id="unknown scheduler"),
        pytest.param(PAINTER, {"scheduler": ["ddpm"]}, "scheduler", "no scheduler something of type list", id="a list as scheduler"),
        pytest.param(PAINTER, {"scheduler": "x" * 10**6}, "scheduler", r"\.\.\.", id="1 MB scheduler"),
        pytest.param(PAINTER, {"width": 300}, "width", r"Width must be one of 256, 320 \.\.\. 1024, not 300", id="off the step"),
        pytest.param(PAINTER, {"guidance_scale": 20.5}, "guidance_scale", "Guidance must be between 0 and 20", id="guidance"),
    ],
)
def test_what_the_model_does_not_have(spec: ModelSpec, values: dict[str, Any], field: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message) as caught:
        resolve_sampling(spec, 0, values)
    assert caught.value.field == field


@given(st.sampled_from([*SAMPLING_FIELDS, "prompt", "negative_prompt", "scheduler"]), anything)
def test_any_value_in_any_field_is_taken_or_refused(field: str, value: object) -> None:
    try:
        sampling = resolve_sampling(PAINTER, 0, {field: value})
    except InvalidRequest as error:
        refused: InvalidRequest | None = error
    else:
        refused = None
        assert 1 <= (sampling.num_inference_steps or 0) <= 500
    assert refused is None or (refused.field == field and refused.message.isprintable())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "auto"),
        ("", "auto"),
        ("auto", "auto"),
        ("full", "full"),
        ("1,2,3,4", Bounds(1, 2, 3, 4)),
        (" 0, 0, 5, 6", Bounds(0, 0, 5, 6)),
        (f"{10**30},0,1,1", Bounds(10**30, 0, 1, 1)),
    ],
)
def test_work_areas(value: object, expected: object) -> None:
    assert parse_work_area(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        "1,2,3",
        "1,2,3,4,5",
        "a,b,c,d",
        "-1,0,5,5",
        "0,0,0,5",
        "0,0,5,-5",
        "nan,0,1,1",
        "1.5,0,1,1",
        7,
        [1, 2, 3, 4],
        {},
        True,
        "9" * 5000 + ",0,1,1",
        "," * 10**6,
        "\ud800",
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_work_areas_that_are_refused(value: object) -> None:
    with pytest.raises(InvalidRequest, match="work area") as caught:
        parse_work_area(value)
    assert caught.value.field == "work_area" and caught.value.message.isprintable()
