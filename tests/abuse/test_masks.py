"""Masks of every kind that programs write, and some that no program should: each is used as it is meant or refused in one sentence."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.fakes import block, noise
from tests.faults.calling import erased, sent
from tests.storage.pictures import UNREADABLE, encoded, exif

PAINTED = block(40, 60, 10, 20, 24, 36)
PHOTO = encoded(Image.fromarray(noise(40, 60)), "PNG")


@dataclass(frozen=True)
class Case:
    """row: its number in the table. says: part of the error, or "" where the edit is done. notice: part of a notice of the report; "" for
    one that says nothing of the mask."""

    row: int
    name: str
    mask: bytes
    says: str = ""
    notice: str = ""
    values: dict[str, Any] = field(default_factory=dict[str, Any])


def png(pixels: np.ndarray[Any, Any], mode: str = "", **options: Any) -> bytes:
    image = Image.fromarray(pixels)
    return encoded(image.convert(mode) if mode else image, "PNG", **options)


def stroke(alpha: int) -> bytes:
    """White paint on nothing, as layers hold it."""
    return png(np.dstack([np.full((40, 60, 3), 255, np.uint8), PAINTED // 255 * np.uint8(alpha)]))


CASES = [
    Case(28, "black", png(PAINTED * 0), "The mask is empty"),
    Case(29, "white", png(PAINTED * 0 + 255), notice="The whole picture is painted: all of it may change."),
    Case(30, "one pixel", png(block(40, 60, 20, 30, 21, 31))),
    Case(31, "another size", png(block(80, 120, 20, 20, 40, 40)), "The mask is 120 x 80, the picture 60 x 40."),
    Case(31, "another shape", png(block(60, 40, 20, 20, 40, 40)), "A mask must have the size of its picture."),
    Case(31, "1 x 1", png(np.full((1, 1), 255, np.uint8)), "A mask must have the size of its picture."),
    Case(32, "soft", png(PAINTED // 255 * np.uint8(200))),
    Case(32, "in colour", png(np.dstack([PAINTED, PAINTED * 0, PAINTED * 0])), notice="was read by its brightness"),
    Case(32, "opaque paint on nothing", stroke(255), notice="The mask is transparent in places"),
    Case(32, "half transparent", stroke(128), notice="The mask is transparent in places"),
    Case(37, "inverted", png(255 - PAINTED), values={"invert_mask": True}),
    Case(37, "a switch that is none", png(PAINTED), "Invert mask must be true or false.", values={"invert_mask": "yes"}),
    Case(38, "16 bits", png(PAINTED.astype(np.uint16) * 257)),
    Case(38, "16 bits, 0 and 1", png(PAINTED.astype(np.uint16) // 255), notice="The mask holds only 0 and 1"),
    Case(38, "a palette", png(PAINTED, "P")),
    Case(38, "one bit", png(PAINTED, "1")),
    Case(38, "turned by EXIF", png(np.ascontiguousarray(np.rot90(PAINTED)), exif=exif(6))),
    Case(38, "no picture", UNREADABLE["text"], "is not a readable"),
    Case(38, "half", UNREADABLE["half a PNG"], "is damaged"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.row} {case.name}")
def test_a_mask(case: Case, client: httpx.Client) -> None:
    kind, told = erased(client, sent(client, ("photo.png", PHOTO), ("mask.png", case.mask)), **case.values)
    if case.says:
        assert kind == "error" and case.says in told["error"], told
        return
    assert kind == "complete", told
    notices = " ".join(told[1]["notices"])
    assert (
        told[1]["changed_outside"] == 0
        and case.notice in notices
        and bool(case.notice) == ("The mask " in notices or "whole picture" in notices)
    ), notices
