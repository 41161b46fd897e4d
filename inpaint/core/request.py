"""What a person asks for, and its validation against a model's spec.

Every number, prompt and name from outside is checked here before anything runs. The page checks its fields too, but nothing
relies on that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from inpaint.core.geometry import Bounds
from inpaint.core.masks.mask import Mask
from inpaint.core.picture import Picture
from inpaint.core.spec import Limit, ModelSpec
from inpaint.core.words.text import plain_text
from inpaint.errors import InvalidRequest

MAX_SEED = 2**32 - 1
MAX_PROMPT_CHARACTERS = 2_000
MAX_CANDIDATES = 8
MAX_BAND_PX = 512

WorkArea = Literal["auto", "full"] | Bounds

SAMPLING_FIELDS = (
    "num_inference_steps",
    "guidance_scale",
    "strength",
    "prior_num_inference_steps",
    "prior_guidance_scale",
    "width",
    "height",
)
"""Numeric controls. A model has one of them only if its spec has a limit for it."""

FIELD_TITLES: Mapping[str, str] = {
    "num_inference_steps": "steps",
    "guidance_scale": "guidance",
    "strength": "strength",
    "prior_num_inference_steps": "prior steps",
    "prior_guidance_scale": "prior guidance",
    "width": "width",
    "height": "height",
    "negative_prompt": "negative prompt",
}


@dataclass(frozen=True)
class SamplingParams:
    """How to sample one candidate. A field that is None does not exist for the model.

    guidance_scale: 1 or less turns guidance off. seed: 0 to 2**32 - 1. scheduler: None = the checkpoint's own. width, height:
    px, for text-to-image only.
    """

    prompt: str = ""
    negative_prompt: str | None = None
    seed: int = 0
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    strength: float | None = None
    scheduler: str | None = None
    prior_num_inference_steps: int | None = None
    prior_guidance_scale: float | None = None
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, eq=False)
class EditRequest:
    """One edit: the whole picture, the mask (both in upload space) and how to repaint.

    grow, feather: upload pixels, outward. work_area: "auto", "full" or bounds in upload space.
    """

    picture: Picture
    mask: Mask
    model: str
    sampling: SamplingParams
    count: int = 1
    grow: int = 0
    feather: int = 6
    work_area: WorkArea = "auto"
    notices: tuple[str, ...] = ()

    @property
    def blend_band_px(self) -> int:
        """How many pixels beyond the given mask may change."""
        return max(self.grow, 0) + self.feather


@dataclass(frozen=True)
class GenerateRequest:
    """A request for a picture from text alone."""

    model: str
    sampling: SamplingParams
    count: int = 1
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class ReimagineRequest:
    """A request for a new picture from a picture and a prompt (image-to-image). The result has the working extent, not the picture's."""

    picture: Picture
    model: str
    sampling: SamplingParams
    count: int = 1
    notices: tuple[str, ...] = ()


def whole_number(field: str, value: object, minimum: int, maximum: int) -> int:
    """Returns a whole number within limits, from any value that a client may send. Raises InvalidRequest."""
    number = _number(field, value)
    if not number.is_integer():
        raise InvalidRequest(field, f"{_subject(field)} must be a whole number, not {_shown(value)}.")
    return int(_within(field, number, minimum, maximum))


def real_number(field: str, value: object, minimum: float, maximum: float) -> float:
    """Returns a finite number within limits, from any value that a client may send. Raises InvalidRequest."""
    return _within(field, _number(field, value), minimum, maximum)


def clean_prompt(field: str, value: object) -> str:
    """Returns a prompt cleaned by `plain_text`: NFC, without characters that only hide or reorder text. A prompt of spaces becomes "".

    Raises InvalidRequest.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidRequest(field, f"The {_title(field)} must be text, not {_shown(value)}.")
    if len(value) > MAX_PROMPT_CHARACTERS:
        raise InvalidRequest(
            field, f"The {_title(field)} has {len(value):,} characters; the limit is {MAX_PROMPT_CHARACTERS:,}.", "Shorten it."
        )
    if any(0xD800 <= ord(character) <= 0xDFFF for character in value):
        raise InvalidRequest(field, f"The {_title(field)} holds half a character (a lone surrogate).", "Type it anew.")
    return plain_text(value)


def resolve_sampling(spec: ModelSpec, seed: int, given: Mapping[str, object]) -> SamplingParams:
    """Checks the given values against the spec and fills in its defaults for the others.

    given: prompt, negative_prompt, scheduler and SAMPLING_FIELDS; None or absent = not given. Raises InvalidRequest for a
    value out of range and for a control that the model does not have.
    """
    numbers = {field: _resolve_number(spec, field, given.get(field)) for field in SAMPLING_FIELDS}
    return SamplingParams(
        prompt=resolve_prompt(spec, given.get("prompt")),
        negative_prompt=_resolve_negative(spec, given.get("negative_prompt")),
        seed=seed,
        scheduler=_resolve_scheduler(spec, given.get("scheduler")),
        **numbers,  # pyright: ignore[reportArgumentType]
    )


def resolve_prompt(spec: ModelSpec, value: object) -> str:
    """Returns the cleaned prompt. Raises InvalidRequest, also if a prompt is given to a model that takes none."""
    prompt = clean_prompt("prompt", value)
    if prompt and not spec.prompt:
        raise InvalidRequest(
            "prompt",
            f"{spec.title} fills from the picture itself and takes no prompt.",
            "Leave the prompt out, or choose a model that paints from words.",
        )
    return prompt


def parse_work_area(value: object) -> WorkArea:
    """Parses "auto", "full" or "L,T,W,H" in upload pixels, as "10,20,300,200". Raises InvalidRequest."""
    if value in (None, "", "auto"):
        return "auto"
    if value == "full":
        return "full"
    parts = value.split(",") if isinstance(value, str) else []
    try:
        left, top, width, height = (int(part) for part in parts)
    except ValueError:
        raise InvalidRequest("work_area", f"The work area must be auto, full or L,T,W,H in pixels, not {_shown(value)}.") from None
    if left < 0 or top < 0 or width < 1 or height < 1:
        raise InvalidRequest("work_area", "The work area must lie in the picture and hold at least one pixel.")
    return Bounds(left, top, width, height)


def _resolve_number(spec: ModelSpec, field: str, value: object) -> float | int | None:
    limit = spec.limits.get(field)
    if limit is None:
        if value is not None:
            raise _no_such_control(spec, field)
        return None
    return _limited(field, limit.default if value is None else value, limit)


def _limited(field: str, value: object, limit: Limit) -> float | int:
    if limit.is_whole:
        number = whole_number(field, value, int(limit.minimum), int(limit.maximum))
        if (number - limit.minimum) % limit.step:
            first, second = limit.minimum, limit.minimum + limit.step
            raise InvalidRequest(field, f"{_subject(field)} must be one of {first:g}, {second:g} ... {limit.maximum:g}, not {number}.")
        return number
    return real_number(field, value, limit.minimum, limit.maximum)


def _resolve_negative(spec: ModelSpec, value: object) -> str | None:
    negative = clean_prompt("negative_prompt", value)
    if negative and not spec.negative_prompt:
        raise _no_such_control(spec, "negative_prompt")
    return negative or None


def _resolve_scheduler(spec: ModelSpec, value: object) -> str | None:
    if value is None or value == "":
        return None
    if not spec.schedulers:
        raise _no_such_control(spec, "scheduler")
    if value not in spec.schedulers:
        raise InvalidRequest("scheduler", f"{spec.title} has no scheduler {_shown(value)}.", f"It has: {', '.join(spec.schedulers)}.")
    return str(value)


def _no_such_control(spec: ModelSpec, field: str) -> InvalidRequest:
    return InvalidRequest(field, f"{spec.title} has no {_title(field)}.", "Leave it out.")


def _number(field: str, value: object) -> float:
    """Returns the value as a float. Raises InvalidRequest, also for a bool, which is a number in Python but never what a client meant."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidRequest(field, f"{_subject(field)} must be a number, not {_shown(value)}.")
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidRequest(field, f"{_subject(field)} must be a finite number, not {value}.")
    return _as_float(field, value)


def _as_float(field: str, value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        raise InvalidRequest(field, f"{_subject(field)} is too large.") from None


def _within(field: str, number: float, minimum: float, maximum: float) -> float:
    if not minimum <= number <= maximum:
        raise InvalidRequest(field, f"{_subject(field)} must be between {minimum:.10g} and {maximum:.10g}, not {number:.10g}.")
    return number


def _title(field: str) -> str:
    return FIELD_TITLES.get(field, field.replace("_", " "))


def _subject(field: str) -> str:
    """Returns the title of a field with a capital letter, for the start of a sentence."""
    title = _title(field)
    return title[0].upper() + title[1:]


def _shown(value: object) -> str:
    """Returns a value from outside as short printable text.

    Of anything but a plain value only the type is named: formatting a list could recurse without end.
    """
    plain = value is None or isinstance(value, str | float | bool)
    text = ascii(value) if plain else f"something of type {type(value).__name__}"
    return text if len(text) <= 40 else text[:37] + "..."
