"""Erase: fills from the rest of the picture, leaves the rest alone, and takes any shape."""

from __future__ import annotations

import builtins

import numpy as np
import pytest
from numpy.typing import NDArray

from inpaint.core.progress import Progress
from inpaint.core.request import SamplingParams
from inpaint.engines.base import EngineInput, EngineOutput
from inpaint.engines.erase.patchmatch import BROKEN_PATCHMATCH, NOTHING_TO_FILL_FROM, WITHOUT_PATCHMATCH, Erase
from inpaint.errors import EditCancelled
from tests.fakes import Pixels, block, noise

ENGINES = {"patchmatch": Erase.load(), "telea": Erase(has_patchmatch=False)}


def filled(engine: Erase, picture: Pixels, mask: NDArray[np.uint8], seed: int = 0) -> EngineOutput:
    return engine.inpaint(EngineInput(picture, mask, SamplingParams(seed=seed)), lambda progress: None)


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_a_plain_wall_closes_without_a_trace(engine: Erase) -> None:
    picture = np.full((40, 50, 3), (10, 120, 240), np.uint8)
    mask = block(40, 50, 10, 10, 25, 30)
    spoiled = picture.copy()
    spoiled[mask > 0] = 0
    assert np.abs(filled(engine, spoiled, mask).picture.astype(int) - picture).max() <= 2


def test_a_pattern_goes_on() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::4] = 255
    stripes[:, 1::4] = 255
    mask = block(64, 64, 24, 24, 40, 40)
    spoiled = stripes.copy()
    spoiled[mask > 0] = 128
    assert np.mean(filled(ENGINES["patchmatch"], spoiled, mask).picture == stripes) > 0.97


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
@pytest.mark.parametrize(
    ("height", "width", "marked"),
    [
        pytest.param(1, 2, (0, 0, 1, 1), id="one pixel of two"),
        pytest.param(2, 1, (0, 0, 1, 1), id="one of two, upright"),
        pytest.param(11, 11, (0, 0, 1, 1), id="corner of one patch"),
        pytest.param(30, 31, (0, 0, 30, 30), id="one column left"),
        pytest.param(5, 400, (0, 100, 5, 200), id="a strip"),
        pytest.param(400, 3, (0, 0, 200, 3), id="upper half of a strip"),
        pytest.param(33, 47, (32, 46, 33, 47), id="last pixel"),
    ],
)
def test_any_shape_is_filled_and_the_rest_left_alone(engine: Erase, height: int, width: int, marked: tuple[int, int, int, int]) -> None:
    picture, mask = noise(height, width), block(height, width, *marked)
    output = filled(engine, picture, mask).picture
    assert output.shape == picture.shape and output.dtype == np.uint8
    assert np.array_equal(output[mask == 0], picture[mask == 0])


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1])
def test_the_same_seed_gives_the_same_fill(seed: int) -> None:
    picture, mask = noise(60, 60), block(60, 60, 20, 20, 45, 45)
    first, _, again = (filled(ENGINES["patchmatch"], picture, mask, s).picture for s in (seed, seed + 1, seed))
    assert np.array_equal(first, again)


def test_another_seed_gives_another_fill() -> None:
    picture, mask = noise(60, 60), block(60, 60, 20, 20, 45, 45)
    assert not np.array_equal(*(filled(ENGINES["patchmatch"], picture, mask, seed).picture for seed in (1, 2)))


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_nothing_to_fill_from_is_said(engine: Erase) -> None:
    picture = noise(8, 9)
    output = filled(engine, picture, np.full((8, 9), 255, np.uint8))
    assert np.array_equal(output.picture, picture) and output.notices == (NOTHING_TO_FILL_FROM,)


def test_where_patchmatch_has_no_wheel_the_simpler_fill_is_used_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(name: str, *rest: object) -> object:
        if name == "patchmatch":
            raise ImportError(name)
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    engine = Erase.load()
    assert engine == Erase(has_patchmatch=False)
    assert filled(engine, noise(9, 9), block(9, 9, 2, 2, 4, 4)).notices == (WITHOUT_PATCHMATCH,)


def test_a_library_that_cannot_be_loaded_is_told_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("patchmatch.patchmatch_available", False)
    assert filled(Erase.load(), noise(9, 9), block(9, 9, 2, 2, 4, 4)).notices == (BROKEN_PATCHMATCH,)


def test_a_cancelled_fill_leaves_nothing_behind() -> None:
    picture, mask = noise(60, 60), block(60, 60, 20, 20, 45, 45)

    def stop(progress: Progress) -> None:
        raise EditCancelled

    fresh = filled(ENGINES["patchmatch"], picture, mask, 5).picture
    with pytest.raises(EditCancelled):
        ENGINES["patchmatch"].inpaint(EngineInput(picture, mask, SamplingParams(seed=9)), stop)
    assert np.array_equal(filled(ENGINES["patchmatch"], picture, mask, 5).picture, fresh)
