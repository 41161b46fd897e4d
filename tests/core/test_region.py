"""The work area: it holds the mask, lies in the picture, suits the model, and stretches nothing that it need not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from inpaint.core.geometry import Bounds, Extent
from inpaint.core.masks.mask import Mask
from inpaint.core.region import Region, plan_region
from inpaint.core.spec import WorkingLimits
from inpaint.errors import InvalidRequest
from tests.core.masks.test_mask import hard_masks
from tests.fakes import noise

KANDINSKY = WorkingLimits(multiple=64, native_pixels=589_824, max_pixels=1_048_576, context=0.5, max_upscale=3.0)
ON_CPU = WorkingLimits(multiple=64, native_pixels=262_144, max_pixels=1_048_576, context=0.5, max_upscale=3.0)
ERASE = WorkingLimits(multiple=1, max_pixels=1_048_576, context=1.0, max_upscale=1.0)
SDXL = WorkingLimits(multiple=8, native_pixels=1_048_576, max_pixels=1_310_720)
MODELS = {"kandinsky": KANDINSKY, "on a CPU": ON_CPU, "erase": ERASE, "sdxl": SDXL}

large_sides = st.one_of(st.integers(1, 200), st.integers(200, 16_384))


@st.composite
def edits(draw: st.DrawFn) -> tuple[Extent, Bounds]:
    picture = Extent(draw(large_sides), draw(large_sides))
    left, top = draw(st.integers(0, picture.width - 1)), draw(st.integers(0, picture.height - 1))
    width, height = draw(st.integers(1, picture.width - left)), draw(st.integers(1, picture.height - top))
    return picture, Bounds(left, top, width, height)


def check_plan(picture: Extent, painted: Bounds, limits: WorkingLimits, region: Region) -> None:
    assert Bounds.whole(picture).contains(region.crop)
    assert region.crop.contains(painted)
    assert region.working.width % limits.multiple == 0 and region.working.height % limits.multiple == 0
    assert region.working.area <= limits.max_pixels


@pytest.mark.parametrize("limits", MODELS.values(), ids=MODELS)
@given(case=edits())
def test_the_plan_suits_mask_picture_and_model(case: tuple[Extent, Bounds], limits: WorkingLimits) -> None:
    check_plan(*case, limits, plan_region(*case, limits))


@pytest.mark.parametrize("limits", MODELS.values(), ids=MODELS)
@given(case=edits())
def test_a_crop_that_has_room_is_not_stretched(case: tuple[Extent, Bounds], limits: WorkingLimits) -> None:
    """Room: the picture ends on neither side, so the crop could have been widened to the working shape."""
    region = plan_region(*case, limits)
    if region.crop.width < case[0].width and region.crop.height < case[0].height:
        # Whole pixels allow no better than one pixel of the crop's shorter side.
        assert region.stretch <= 1.005 + 1 / min(region.crop.width, region.crop.height)


@given(case=edits())
def test_nothing_is_enlarged_more_than_the_model_wants(case: tuple[Extent, Bounds]) -> None:
    region = plan_region(*case, ERASE)
    assert region.working.width <= region.crop.width and region.working.height <= region.crop.height


PLACES = {
    "one pixel in the middle": Bounds(2000, 1500, 1, 1),
    "top left corner": Bounds(0, 0, 10, 10),
    "bottom right corner": Bounds(3990, 2990, 10, 10),
    "along the top": Bounds(0, 0, 4000, 40),
    "along the right": Bounds(3960, 0, 40, 3000),
    "whole": Bounds(0, 0, 4000, 3000),
    "large": Bounds(500, 400, 3000, 2000),
}


@pytest.mark.parametrize("limits", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("painted", PLACES.values(), ids=PLACES)
def test_twelve_megapixels_by_place(painted: Bounds, limits: WorkingLimits) -> None:
    picture = Extent(4000, 3000)
    region = plan_region(picture, painted, limits)
    check_plan(picture, painted, limits, region)
    assert region.stretch < 1.04


@pytest.mark.parametrize("picture", [Extent(1, 1), Extent(16_000, 20), Extent(20, 16_000), Extent(3, 5), Extent(63, 65)], ids=str)
@pytest.mark.parametrize("limits", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("work_area", ["auto", "full"])
def test_odd_pictures(picture: Extent, limits: WorkingLimits, work_area: str) -> None:
    painted = Bounds(picture.width // 2, picture.height // 2, 1, 1)
    check_plan(picture, painted, limits, plan_region(picture, painted, limits, work_area))


def test_a_small_mask_gets_context_at_the_models_native_size() -> None:
    region = plan_region(Extent(4000, 3000), Bounds(2000, 1500, 20, 20), KANDINSKY)
    assert region.working.area == pytest.approx(KANDINSKY.native_pixels, rel=0.1)
    assert region.scale <= KANDINSKY.max_upscale


def test_full_at_a_working_extent_is_not_resized() -> None:
    picture = Extent(768, 512)
    region = plan_region(picture, Bounds(5, 5, 10, 10), KANDINSKY, "full")
    assert region == Region(Bounds.whole(picture), picture)
    pixels = noise(512, 768)
    assert np.array_equal(region.restore(region.take_picture(pixels)), pixels)


def test_bounds_that_were_asked_for_are_the_crop() -> None:
    asked = Bounds(100, 200, 640, 512)
    assert plan_region(Extent(2000, 2000), Bounds(300, 300, 50, 50), KANDINSKY, asked) == Region(asked, asked.extent)


@pytest.mark.parametrize(
    ("area", "message"),
    [
        pytest.param(Bounds(0, 0, 5000, 100), "leaves the picture", id="too wide"),
        pytest.param(Bounds(10**30, 0, 1, 1), "leaves the picture", id="far outside"),
        pytest.param(Bounds(0, 0, 100, 100), "at least 300,300,50,50", id="does not hold the mask"),
    ],
)
def test_bounds_that_cannot_be(area: Bounds, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message) as caught:
        plan_region(Extent(2000, 2000), Bounds(300, 300, 50, 50), KANDINSKY, area)
    assert caught.value.field == "work_area"


@given(hard_masks, st.integers(1, 40), st.integers(1, 40))
def test_no_stroke_is_too_thin_for_the_working_mask(pixels: NDArray[np.uint8], width: int, height: int) -> None:
    """Each working pixel's own span of the crop is searched for paint."""
    mask = Mask(pixels)
    region = Region(Bounds.whole(mask.extent), Extent(width, height))
    working = region.take_mask(mask)
    assert working.shape == (height, width) and set(np.unique(working)) <= {0, 255}
    for row, column in zip(*np.nonzero(pixels), strict=True):
        rows = spans(row, pixels.shape[0], height)
        columns = spans(column, pixels.shape[1], width)
        assert working[rows, columns].any()


def spans(index: int, length: int, new_length: int) -> slice:
    """The working pixels that share any part of one upload pixel, along one side."""
    return slice(index * new_length // length, -(-(index + 1) * new_length // length))
