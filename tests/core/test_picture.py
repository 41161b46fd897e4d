"""A picture's own pixels cannot be changed behind its back."""

from __future__ import annotations

import numpy as np
import pytest

from inpaint.core.picture import Picture
from tests.fakes import noise


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((2, 2), np.uint8), np.zeros((2, 2, 2), np.uint8), np.zeros((2, 2, 3), np.float32)],
    ids=["grey", "grey and alpha", "float"],
)
def test_only_eight_bit_colour_is_a_picture(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a picture is uint8"):
        Picture(wrong)


def test_pixels_are_read_only() -> None:
    picture = Picture(noise(3, 4, 4))
    with pytest.raises(ValueError, match="read-only"):
        picture.pixels[0, 0, 0] = 1
    assert picture.alpha is not None and picture.alpha.shape == (3, 4)
    assert Picture(noise(3, 4)).alpha is None
