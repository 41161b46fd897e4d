"""The promise: beyond the blend band every pixel equals the upload, bit for bit; inside the mask nothing of it is left."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from inpaint.core.composite import blending_mask, changed_outside, composite, looks_the_same, visible_rgb
from inpaint.core.geometry import Bounds, Extent
from inpaint.core.masks.mask import Mask
from inpaint.core.picture import Picture
from inpaint.core.region import Region
from inpaint.errors import EmptyMask
from tests.core.masks.test_mask import hard_masks, soft_masks, squared_distance
from tests.fakes import block, noise

bands = st.tuples(st.integers(-4, 8), st.integers(0, 12))


def whole(mask: Mask) -> Region:
    return Region(Bounds.whole(mask.extent), mask.extent)


def opacity_or_none(mask: Mask, grow: int, feather: int) -> Mask | None:
    try:
        return blending_mask(mask, grow, feather)
    except EmptyMask:
        return None


@given(soft_masks, bands, st.sampled_from([3, 4]))
def test_nothing_changes_beyond_the_band(pixels: NDArray[np.uint8], band: tuple[int, int], channels: int) -> None:
    mask, (grow, feather) = Mask(pixels), band
    opacity = opacity_or_none(mask, grow, feather)
    if opacity is None:
        return
    picture = Picture(noise(*pixels.shape, channels))
    painted = 255 - visible_rgb(picture)
    result = composite(picture, painted, opacity, whole(mask)).pixels
    far = squared_distance(pixels > 0) > (max(grow, 0) + feather) ** 2
    assert np.array_equal(result[far], picture.pixels[far])


@given(hard_masks, bands)
def test_inside_the_mask_the_new_picture_is_opaque(pixels: NDArray[np.uint8], band: tuple[int, int]) -> None:
    mask, (grow, feather) = Mask(pixels), band
    opacity = opacity_or_none(mask, grow, feather)
    if opacity is None:
        return
    painted = noise(*pixels.shape, seed=1)
    result = composite(Picture(noise(*pixels.shape)), painted, opacity, whole(mask)).pixels
    inside = squared_distance(pixels > 0) <= grow**2 if grow >= 0 else (pixels > 0) & (squared_distance(pixels == 0) > grow**2)
    assert np.array_equal(result[inside], painted[inside])


@given(soft_masks, bands)
def test_pasting_the_picture_onto_itself_changes_nothing(pixels: NDArray[np.uint8], band: tuple[int, int]) -> None:
    mask = Mask(pixels)
    opacity = opacity_or_none(mask, *band)
    picture = Picture(noise(*pixels.shape))
    if opacity is not None:
        assert np.array_equal(composite(picture, picture.pixels, opacity, whole(mask)).pixels, picture.pixels)


@given(soft_masks, st.integers(0, 12), st.integers(0, 20), st.randoms(use_true_random=False))
def test_changed_outside_counts_what_brute_force_counts(pixels: NDArray[np.uint8], band: int, changes: int, random: st.DataObject) -> None:
    before = noise(*pixels.shape, 4)
    after = before.copy()
    for _ in range(changes):
        row, column = random.randrange(pixels.shape[0]), random.randrange(pixels.shape[1])
        after[row, column, random.randrange(4)] ^= 1
    far = squared_distance(pixels > 0) > band**2
    expected = sum(bool(far[y, x]) and tuple(before[y, x]) != tuple(after[y, x]) for y, x in np.ndindex(*pixels.shape))
    assert changed_outside(Picture(before), Picture(after), Mask(pixels), band) == expected


@pytest.mark.parametrize(
    ("before", "after", "counted"),
    [
        pytest.param((4, 5, 3), (4, 6, 3), 24, id="another extent"),
        pytest.param((4, 5, 4), (4, 5, 3), 20, id="alpha lost"),
    ],
)
def test_a_file_of_another_shape_counts_as_wholly_changed(before: tuple[int, int, int], after: tuple[int, int, int], counted: int) -> None:
    mask = Mask(np.full(before[:2], 255, np.uint8))
    assert changed_outside(Picture(noise(*before)), Picture(noise(*after)), mask, 0) == counted


def test_the_crop_is_pasted_where_it_was_taken() -> None:
    mask = Mask(block(20, 30, 8, 10, 12, 16))
    region = Region(Bounds(8, 6, 12, 10), Extent(12, 10))
    painted = noise(10, 12, seed=3)
    picture = Picture(noise(20, 30))
    result = composite(picture, painted, mask, region).pixels
    assert np.array_equal(result[8:12, 10:16], painted[2:6, 2:8])
    result_elsewhere = result.copy()
    result_elsewhere[8:12, 10:16] = picture.pixels[8:12, 10:16]
    assert np.array_equal(result_elsewhere, picture.pixels)


def test_alpha_and_hidden_colours_stay_outside_the_mask_and_the_new_part_is_opaque() -> None:
    pixels = noise(16, 16, 4)
    pixels[:, :8, 3] = 0
    picture, mask = Picture(pixels), Mask(block(16, 16, 4, 4, 12, 12))
    result = composite(picture, np.full((16, 16, 3), 9, np.uint8), mask, whole(mask)).pixels
    assert np.all(result[4:12, 4:12] == (9, 9, 9, 255))
    outside = mask.pixels == 0
    assert np.array_equal(result[outside], pixels[outside])


def test_a_colour_hidden_under_transparency_never_reaches_the_model_or_the_seam() -> None:
    pixels = np.zeros((8, 40, 4), np.uint8)
    pixels[..., :3] = (255, 0, 0)
    picture = Picture(pixels)
    assert np.all(visible_rgb(picture) == 255)
    mask = Mask(block(8, 40, 0, 0, 8, 10))
    result = composite(picture, np.full((8, 40, 3), 255, np.uint8), blending_mask(mask, 0, 8), whole(mask)).pixels
    seam = result[4, 10:18]
    assert np.all(seam[:7, :3] == 255)
    assert 0 < seam[3, 3] < 255


@pytest.mark.parametrize(("grow", "message"), [(0, "The mask is empty"), (-3, "Shrinking the mask by 3 px leaves nothing")])
def test_nothing_left_to_paint_is_said(grow: int, message: str) -> None:
    pixels = np.zeros((9, 9), np.uint8) if grow == 0 else block(9, 9, 3, 3, 6, 6)
    with pytest.raises(EmptyMask, match=message):
        blending_mask(Mask(pixels), grow, 6)


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        pytest.param((9, 9, 9), (11, 8, 9), True, id="two levels"),
        pytest.param((9, 9, 9), (9, 12, 9), False, id="three levels"),
        pytest.param((1, 2, 3, 0), (200, 200, 200, 0), True, id="hidden colours"),
        pytest.param((1, 2, 3, 255), (1, 2, 3, 0), False, id="alpha"),
        pytest.param((255, 255, 255, 0), (255, 255, 255, 255), False, id="white where it was transparent"),
        pytest.param((9, 9, 9), (9, 9, 9, 255), False, id="another form"),
    ],
)
def test_what_looks_the_same(before: tuple[int, ...], after: tuple[int, ...], same: bool) -> None:
    one, other = (np.full((4, 5, len(colour)), 100, np.uint8) for colour in (before, after))
    one[2, 2], other[2, 2] = before, after
    assert looks_the_same(Picture(one), Picture(other)) is same
