"""The affine preview: exact where latents are a picture, harmless where they are not."""

from __future__ import annotations

import numpy as np
import pytest

from inpaint.engines.runtime.preview import LatentColours, PreviewTimer


def test_latents_that_are_an_affine_picture_give_it_back() -> None:
    generator = np.random.default_rng(3)
    small = generator.integers(0, 256, (8, 12, 3)).astype(np.uint8)
    mixing = generator.normal(size=(4, 3))
    latents = (np.einsum("cr,hwr->chw", mixing, small / 255.0) + 0.3).astype(np.float32)
    picture = np.repeat(np.repeat(small, 8, axis=0), 8, axis=1)
    assert np.array_equal(LatentColours.fit(latents, picture).picture(latents), small)


@pytest.mark.parametrize("colour", [0, 128, 255])
def test_a_plain_picture_is_previewed_plain(colour) -> None:
    latents = np.zeros((4, 8, 8), np.float32)
    preview = LatentColours.fit(latents, np.full((64, 64, 3), colour, np.uint8)).picture(latents)
    assert preview.shape == (8, 8, 3) and (preview == colour).all()


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, 1e38])
def test_invalid_latents_give_some_picture(number) -> None:
    latents = np.random.default_rng(0).normal(size=(4, 8, 8)).astype(np.float32)
    colours = LatentColours.fit(latents, np.full((64, 64, 3), 90, np.uint8))
    latents[0, 0, 0] = number
    with np.errstate(all="ignore"):
        assert colours.picture(latents).dtype == np.uint8


def test_at_most_four_a_second() -> None:
    seconds = iter([0.0, 0.1, 0.24, 0.25, 0.3, 0.6, 100.0])
    timer = PreviewTimer(lambda: next(seconds))
    assert [timer.is_due() for _ in range(7)] == [True, False, False, True, False, True, True]
