"""Masks that are probably a mistake are told apart from soft ones, on real photos and on masks as people make them."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image

from inpaint.core.masks.doubts import mask_doubts
from inpaint.core.masks.mask import Mask, Pixels
from inpaint.ui.examples import FOLDER
from tests.core.masks.test_coding_noise import SHAPES, SOFT
from tests.fakes import block

skimage_data: Any = skimage.data
PHOTOS = ["astronaut", "coffee", "chelsea", "rocket", "camera", "coins", "moon", "brick", "grass", "gravel"]
GRADIENT = SOFT["a gradient over all"]


def grey(photo: str) -> Pixels:
    return np.asarray(Image.fromarray(getattr(skimage_data, photo)()).convert("L"))


@pytest.mark.parametrize("photo", PHOTOS)
def test_a_photo(photo: str) -> None:
    (notice,) = mask_doubts(Mask(grey(photo)))
    assert "as in a photo" in notice and "White = repaint, black = keep" in notice


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.jpg")), ids=lambda path: path.stem)
def test_a_photo_that_is_out_of_focus(path: Any) -> None:
    blurred = cv2.GaussianBlur(np.asarray(Image.open(path).convert("L")), (0, 0), 3)
    assert "as in a photo" in mask_doubts(Mask(np.asarray(blurred, np.uint8)))[0]


@pytest.mark.parametrize(("greatest", "percent"), [(1, "0.39"), (38, "15"), (76, "30"), (127, "50")])
def test_a_mask_that_is_dark_all_over(greatest: int, percent: str) -> None:
    (notice,) = mask_doubts(Mask(block(40, 50, 5, 5, 20, 30) // 255 * np.uint8(greatest)))
    assert f"brightest value is {greatest} of 255" in notice and f"at {percent} % at most" in notice and "the numbers of things" in notice


@pytest.mark.parametrize(
    "pixels",
    [
        *[pytest.param(pixels, id=name) for name, pixels in (SHAPES | SOFT).items()],
        pytest.param(np.full((40, 50), 128, np.uint8), id="half everywhere"),
        pytest.param(
            np.clip(GRADIENT.astype(int) + np.random.default_rng(0).integers(-3, 4, GRADIENT.shape), 0, 255).astype(np.uint8),
            id="a gradient with grain",
        ),
        pytest.param(np.clip(np.hypot(*np.mgrid[-120:120, -160:160]), 0, 255).astype(np.uint8), id="a vignette"),
        pytest.param(np.where(np.random.default_rng(0).random((240, 320)) < 0.5, 255, 0).astype(np.uint8), id="a dissolving brush"),
        pytest.param(np.zeros((4, 4), np.uint8), id="nothing painted"),
        pytest.param(np.full((1, 16_000), 90 + 60, np.uint8), id="a line of pixels"),
    ],
)
def test_a_mask_that_is_none_of_these(pixels: Pixels) -> None:
    assert mask_doubts(Mask(pixels)) == ()
