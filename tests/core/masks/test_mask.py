"""The mask's operations against distances computed the slow way, by comparing every pixel with every painted one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from inpaint.core.geometry import Bounds
from inpaint.core.masks.mask import Mask
from inpaint.errors import EmptyMask

SHAPES = st.tuples(st.integers(1, 24), st.integers(1, 24))
soft_masks = SHAPES.flatmap(
    lambda shape: hnp.arrays(np.uint8, shape, elements=st.sampled_from([0, 0, 0, 0, 1, 7, 128, 254, 255, 255]), fill=st.just(0))
)
hard_masks = SHAPES.flatmap(lambda shape: hnp.arrays(np.uint8, shape, elements=st.sampled_from([0, 255]), fill=st.just(0)))

H, W = 21, 33
PLACES = {
    "one pixel": (10, 16, 11, 17),
    "top edge": (0, 10, 3, 20),
    "bottom edge": (18, 10, 21, 20),
    "left edge": (5, 0, 15, 4),
    "right edge": (5, 29, 15, 33),
    "top left corner": (0, 0, 2, 2),
    "bottom right corner": (20, 32, 21, 33),
    "whole": (0, 0, 21, 33),
    "a row": (7, 0, 8, 33),
    "a column": (0, 9, 21, 10),
}


def placed(name: str) -> Mask:
    top, left, bottom, right = PLACES[name]
    pixels = np.zeros((H, W), np.uint8)
    pixels[top:bottom, left:right] = 255
    return Mask(pixels)


def squared_distance(marked: NDArray[np.bool_]) -> NDArray[np.int64]:
    """int64 [H, W]: to the nearest True, by brute force; a huge number where there is none."""
    rows, columns = np.nonzero(marked)
    if not rows.size:
        return np.full(marked.shape, 1 << 40)
    y, x = np.indices(marked.shape)
    return ((y[..., None] - rows) ** 2 + (x[..., None] - columns) ** 2).min(axis=-1)


@given(soft_masks)
def test_inverting_twice_gives_the_mask_back(pixels: NDArray[np.uint8]) -> None:
    assert np.array_equal(Mask(pixels).invert().invert().pixels, pixels)


@given(soft_masks, st.integers(0, 30))
def test_grown_masks_hold_exactly_the_pixels_within_the_radius(pixels: NDArray[np.uint8], radius: int) -> None:
    assert np.array_equal(Mask(pixels).grow(radius).painted, squared_distance(pixels > 0) <= radius**2)


@given(soft_masks, st.integers(1, 30))
def test_shrinking_keeps_exactly_the_pixels_farther_than_the_radius_from_an_unpainted_one(pixels: NDArray[np.uint8], radius: int) -> None:
    assert np.array_equal(Mask(pixels).grow(-radius).painted, (pixels > 0) & (squared_distance(pixels == 0) > radius**2))


@given(soft_masks, st.integers(0, 30))
def test_feather_stays_within_its_width_and_thins_nothing(pixels: NDArray[np.uint8], width: int) -> None:
    feathered = Mask(pixels).feather(width).pixels
    assert np.all(feathered >= pixels)
    assert not feathered[squared_distance(pixels > 0) > width**2].any()
    assert np.all(feathered[pixels == 255] == 255)


@given(hard_masks, st.integers(1, 30))
def test_feather_falls_with_distance(pixels: NDArray[np.uint8], width: int) -> None:
    feathered, distance = Mask(pixels).feather(width).pixels.astype(int), squared_distance(pixels > 0)
    order = np.argsort(distance, axis=None, kind="stable")
    assert np.all(np.diff(feathered.ravel()[order]) <= 0)


@given(soft_masks, st.integers(0, 30))
def test_within_is_every_pixel_at_most_that_far(pixels: NDArray[np.uint8], distance: int) -> None:
    assert np.array_equal(Mask(pixels).within(distance), squared_distance(pixels > 0) <= distance**2)


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("amount", [-3, 0, 5, 40])
def test_growing_by_place(name: str, amount: int) -> None:
    mask = placed(name)
    grown = mask.grow(amount).painted
    if amount >= 0:
        assert np.array_equal(grown, squared_distance(mask.painted) <= amount**2)
    else:
        assert np.array_equal(grown, mask.painted & (squared_distance(~mask.painted) > amount**2))


@pytest.mark.parametrize("shape", [(20, 16_000), (16_000, 20), (1, 1), (1, 4_000)], ids=str)
def test_long_strips_and_single_pixels(shape: tuple[int, int]) -> None:
    pixels = np.zeros(shape, np.uint8)
    pixels[-1, -1] = 255
    mask = Mask(pixels).grow(5).feather(6)
    assert mask.bounds() == Bounds(max(0, shape[1] - 12), max(0, shape[0] - 12), min(12, shape[1]), min(12, shape[0]))


def test_a_drawn_edge_is_feathered_from_its_full_value() -> None:
    """A browser's antialiased rim would otherwise leave a ring of the old picture inside the seam."""
    pixels = np.zeros((9, 20), np.uint8)
    pixels[:, :8], pixels[:, 8] = 255, 90
    feathered = Mask(pixels).feather(4).pixels
    assert feathered[4, 8] == 255
    assert 0 < feathered[4, 10] < feathered[4, 9] < 255


def test_a_mask_keeps_its_own_pixels() -> None:
    mine = np.zeros((4, 4), np.uint8)
    mask = Mask(mine)
    mine[1, 1] = 255
    assert mask.is_empty
    with pytest.raises(ValueError, match="read-only"):
        mask.pixels[0, 0] = 1


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(np.zeros((2, 2), bool), id="bool"),
        pytest.param(np.zeros((2, 2), np.float32), id="float"),
        pytest.param(np.zeros((2, 2, 1), np.uint8), id="three axes"),
        pytest.param(np.zeros(4, np.uint8), id="one axis"),
    ],
)
def test_only_bytes_in_two_axes_are_a_mask(wrong: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="a mask is uint8"):
        Mask(wrong)


def test_an_empty_mask_has_no_bounds_and_stays_empty() -> None:
    empty = Mask(np.zeros((3, 3), np.uint8))
    assert empty.grow(5).is_empty and empty.feather(5).is_empty and not empty.within(5).any()
    with pytest.raises(EmptyMask):
        empty.bounds()


@pytest.mark.parametrize("radius", [99, 300, 512])
def test_large_circles_are_exact(radius: int) -> None:
    pixels = np.zeros((600, 620), np.uint8)
    pixels[3, 5] = 255
    y, x = np.indices(pixels.shape)
    assert np.array_equal(Mask(pixels).grow(radius).painted, (y - 3) ** 2 + (x - 5) ** 2 <= radius**2)
