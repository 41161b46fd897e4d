"""Extents and bounds: every rectangle lies where it must, whatever it is asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inpaint.core.geometry import Bounds, Extent

sides = st.integers(1, 60)


@st.composite
def bounds_in_extents(draw: st.DrawFn) -> tuple[Bounds, Extent]:
    picture = Extent(draw(sides), draw(sides))
    left, top = draw(st.integers(0, picture.width - 1)), draw(st.integers(0, picture.height - 1))
    return Bounds(left, top, draw(st.integers(1, picture.width - left)), draw(st.integers(1, picture.height - top))), picture


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        pytest.param([(0, 0)], Bounds(0, 0, 1, 1), id="top left corner"),
        pytest.param([(4, 6)], Bounds(6, 4, 1, 1), id="bottom right corner"),
        pytest.param([(0, 3), (4, 3)], Bounds(3, 0, 1, 5), id="top and bottom edge"),
        pytest.param([(2, 0), (2, 6)], Bounds(0, 2, 7, 1), id="left and right edge"),
        pytest.param([], None, id="nothing"),
    ],
)
def test_around_holds_every_marked_pixel(marked: list[tuple[int, int]], expected: Bounds | None) -> None:
    pixels = np.zeros((5, 7), bool)
    for row, column in marked:
        pixels[row, column] = True
    assert Bounds.around(pixels) == expected


@given(bounds_in_extents(), st.integers(0, 80))
def test_expand_contains_the_bounds_and_stays_in_the_picture(case: tuple[Bounds, Extent], margin: int) -> None:
    bounds, picture = case
    grown = bounds.expand(margin, picture)
    assert grown.contains(bounds)
    assert Bounds.whole(picture).contains(grown)
    assert grown.width <= bounds.width + 2 * margin


@given(bounds_in_extents(), sides, sides)
def test_widen_reaches_the_size_that_the_picture_allows(case: tuple[Bounds, Extent], width: int, height: int) -> None:
    bounds, picture = case
    wide = bounds.widen(Extent(width, height), picture)
    assert wide.contains(bounds)
    assert Bounds.whole(picture).contains(wide)
    assert wide.extent == Extent(min(max(width, bounds.width), picture.width), min(max(height, bounds.height), picture.height))


def test_slices_and_extent_agree_on_the_order_of_axes() -> None:
    pixels = np.arange(5 * 7 * 3).reshape(5, 7, 3)
    bounds = Bounds(left=2, top=1, width=4, height=3)
    assert Extent.of(pixels) == Extent(width=7, height=5)
    assert Extent.of(pixels[bounds.slices]) == bounds.extent
    assert pixels[bounds.slices][0, 0, 0] == pixels[1, 2, 0]
