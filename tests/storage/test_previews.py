"""How pictures are shown: small, never enlarged, on a neutral ground."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from inpaint.core.geometry import Extent
from inpaint.storage.previews import PREVIEW_LONG_SIDE, preview_extent, preview_of


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((4000, 3000), (1280, 960)),
        ((1280, 800), (1280, 800)),
        ((1281, 10), (1280, 10)),
        ((1, 1), (1, 1)),
        ((16000, 20), (1280, 2)),
        ((20, 16000), (2, 1280)),
        ((16000, 1), (1280, 1)),
    ],
    ids=str,
)
def test_preview_extent(size: tuple[int, int], shown: tuple[int, int]) -> None:
    assert preview_extent(Extent(*size)) == Extent(*shown)


@pytest.mark.parametrize("shape", [(30, 40), (30, 40, 3), (30, 40, 4), (1, 1, 3), (20, 3000, 3)], ids=str)
def test_a_preview_is_a_small_jpeg(shape: tuple[int, ...]) -> None:
    preview = preview_of(np.full(shape, 90, np.uint8))
    with Image.open(io.BytesIO(preview.jpeg)) as shown:
        assert (shown.format, shown.size) == ("JPEG", (preview.extent.width, preview.extent.height))
    assert preview.extent.long_side <= PREVIEW_LONG_SIDE


def test_transparent_picture_is_shown_on_a_neutral_ground() -> None:
    with Image.open(io.BytesIO(preview_of(np.zeros((8, 8, 4), np.uint8)).jpeg)) as shown:
        assert 180 < np.asarray(shown.convert("L")).mean() < 240
