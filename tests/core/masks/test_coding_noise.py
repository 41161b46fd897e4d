"""What lossy formats leave beside the edges of a mask goes; soft masks keep what they mean."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from typing import Any

import cv2
import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from inpaint.core.masks.coding_noise import NOISE, without_coding_noise
from inpaint.core.masks.mask import Mask, Pixels

HEIGHT, WIDTH = 240, 320
CODERS: dict[str, tuple[str, dict[str, Any]]] = {
    **{f"JPEG {quality}": ("JPEG", {"quality": quality}) for quality in (30, 40, 50, 60, 75, 85, 95)},
    **{f"WebP {quality}": ("WEBP", {"quality": quality}) for quality in (30, 50, 80, 95)},
    **{f"AVIF {quality}": ("AVIF", {"quality": quality}) for quality in (30, 50, 75, 90)},
    **{f"HEIC {quality}": ("HEIF", {"quality": quality}) for quality in (30, 50, 75, 90)},
}
"""As masks are saved: from RGB, which makes a JPEG one of 4:2:0."""

ZIGZAG = [np.array([[16, 24], [96, 160], [200, 48], [304, 216]], np.int32)]


def drawn(draw: Callable[[Pixels], object]) -> Pixels:
    canvas = np.zeros((HEIGHT, WIDTH), np.uint8)
    draw(canvas)
    return canvas


def text(size: float, weight: int) -> Callable[[Pixels], object]:
    def write(canvas: Pixels) -> None:
        for line in range(5):
            cv2.putText(canvas, "Remove me gq%", (8, 32 + line * 40), cv2.FONT_HERSHEY_SIMPLEX, size, 255, weight)

    return write


SHAPES: dict[str, Pixels] = {
    **{f"a disc of {r} px": drawn(lambda c, r=r: cv2.circle(c, (163, 119), r, 255, -1)) for r in (3, 20, 90)},
    "an antialiased disc": drawn(lambda c: cv2.circle(c, (163, 119), 60, 255, -1, cv2.LINE_AA)),
    **{f"a stroke of {w} px": drawn(lambda c, w=w: cv2.polylines(c, ZIGZAG, False, 255, w)) for w in (1, 2, 3, 9)},
    **{f"an antialiased stroke of {w} px": drawn(lambda c, w=w: cv2.polylines(c, ZIGZAG, False, 255, w, cv2.LINE_AA)) for w in (1, 3, 9)},
    "small text": drawn(text(0.4, 1)),
    "text": drawn(text(0.8, 1)),
    "bold text": drawn(text(1.2, 4)),
    "a block": drawn(lambda c: cv2.rectangle(c, (50, 40), (200, 150), 255, -1)),
    "a ring": drawn(lambda c: (cv2.circle(c, (160, 120), 100, 255, -1), cv2.circle(c, (160, 120), 70, 0, -1))),
    "all but a disc": 255 - drawn(lambda c: cv2.circle(c, (160, 120), 50, 255, -1)),
    "half as opaque": drawn(lambda c: cv2.circle(c, (160, 120), 60, 140, -1)),
}


def ramp(canvas: Pixels) -> None:
    canvas[48:192] = np.rint(np.linspace(0, 255, WIDTH))


SOFT: dict[str, Pixels] = {
    **{
        f"blurred by {s} px": cv2.GaussianBlur(SHAPES["a disc of 20 px"] if s < 8 else SHAPES["a disc of 90 px"], (0, 0), s)
        for s in (3, 5, 8, 20)
    },
    "a gradient over all": np.tile(np.rint(np.linspace(0, 255, WIDTH)).astype(np.uint8), (HEIGHT, 1)),
    "a gradient between hard edges": drawn(ramp),
    "a halo": drawn(lambda c: (cv2.circle(c, (160, 120), 100, 100, -1), cv2.circle(c, (160, 120), 60, 255, -1))),
    "hard and soft": np.maximum(
        drawn(lambda c: cv2.circle(c, (90, 120), 50, 255, -1)),
        cv2.GaussianBlur(drawn(lambda c: cv2.circle(c, (240, 120), 30, 255, -1)), (0, 0), 8),
    ),
}


def through(pixels: Pixels, coder: str) -> Pixels:
    """Saved and read again, as it is decoded."""
    pillow_heif.register_heif_opener()
    file_format, options = CODERS[coder]
    file = io.BytesIO()
    Image.fromarray(pixels).convert("RGB").save(file, file_format, **options)
    return np.array(Image.open(file).convert("RGB").convert("L"))


@cache
def may_change(shape: str) -> Any:
    return Mask(SHAPES[shape]).within(6)


def changes_beyond(mask: Pixels, allowed: Any) -> int:
    return int(np.count_nonzero((Mask(mask).feather(6).pixels > 0) & ~allowed))


@pytest.mark.parametrize("coder", CODERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_beyond_the_band_of_what_was_meant_and_all_within_stays(shape: str, coder: str) -> None:
    meant, cleaned = SHAPES[shape], without_coding_noise(through(SHAPES[shape], coder))
    assert changes_beyond(cleaned, may_change(shape)) == 0
    kept = Mask(cleaned).feather(6).pixels[meant >= 128]
    assert np.percentile(kept, 5) >= 100 and (cleaned[meant == meant.max()] > 0).mean() > 0.85


def test_without_it_a_jpeg_of_ordinary_quality_changes_pixels_beyond_the_band() -> None:
    """What the rule is for."""
    decoded = through(SHAPES["a stroke of 9 px"], "JPEG 75")
    assert changes_beyond(np.where(decoded < NOISE, 0, decoded).astype(np.uint8), may_change("a stroke of 9 px")) > 500


@pytest.mark.parametrize("coder", CODERS)
@pytest.mark.parametrize("soft", SOFT)
def test_a_soft_mask_keeps_its_values(soft: str, coder: str) -> None:
    decoded = through(SOFT[soft], coder)
    cleaned = without_coding_noise(decoded)
    lost = (decoded >= 2 * NOISE) & (cleaned == 0) & (SOFT[soft] >= 2 * NOISE)
    assert lost.sum() <= 0.01 * (SOFT[soft] >= 2 * NOISE).sum()
    same = (cleaned > 0) & (cleaned < 255)
    assert np.array_equal(cleaned[same], decoded[same])


@settings(deadline=None, max_examples=60, derandomize=True)
@given(coder=st.sampled_from(list(CODERS)), seed=st.integers(0, 2**32 - 1), smooth=st.booleans())
def test_any_drawing(coder: str, seed: int, smooth: bool) -> None:
    dice, canvas = np.random.default_rng(seed), np.zeros((HEIGHT, WIDTH), np.uint8)
    kind = cv2.LINE_AA if smooth else cv2.LINE_8
    for _ in range(dice.integers(1, 9)):
        centre, width = tuple(map(int, dice.integers(0, (WIDTH, HEIGHT)))), int(dice.integers(2, 16))
        if dice.random() < 0.5:
            cv2.circle(canvas, centre, width * 2, 255, -1, kind)
        else:
            cv2.line(canvas, centre, tuple(map(int, dice.integers(0, (WIDTH, HEIGHT)))), 255, width, kind)
    assert changes_beyond(without_coding_noise(through(canvas, coder)), Mask(canvas).within(6)) == 0


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((5, 7), np.uint8),
        np.full((5, 7), 255, np.uint8),
        np.full((5, 7), 3, np.uint8),
        np.full((1, 1), 90, np.uint8),
        np.full((1, 3000), 200, np.uint8),
    ],
    ids=["black", "white", "noise", "a pixel", "a line"],
)
def test_masks_without_an_edge(pixels: Pixels) -> None:
    assert np.array_equal(without_coding_noise(pixels), np.where(pixels < NOISE, 0, pixels))
