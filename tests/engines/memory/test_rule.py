"""What is done for a part that does not fit, and which part leaves first."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from inpaint.engines.memory.rule import (
    DeviceMemory,
    Measure,
    PartNeeds,
    first_to_leave,
    fit_part,
    forecast_of,
    notice_of,
    within_budget,
)

CARD, METAL, CPU = (DeviceMemory(10, *facts) for facts in ((True, True), (False, True), (False, False)))
STREAMED, SLICED, TILED = Measure.STREAMED, Measure.SLICED, Measure.TILED


@pytest.mark.parametrize(
    ("memory", "weights", "able", "measures", "fits", "activations"),
    [
        pytest.param(CARD, 4, {STREAMED, SLICED, TILED}, set(), True, 6, id="it fits"),
        pytest.param(CARD, 5, {STREAMED, SLICED}, {STREAMED, SLICED}, True, 6, id="streamed and sliced at once"),
        pytest.param(CARD, 5, {STREAMED, TILED}, {TILED}, True, 2, id="tiles are enough"),
        pytest.param(CARD, 9, {STREAMED, TILED}, {TILED, STREAMED}, True, 2, id="tiles are not enough"),
        pytest.param(CARD, 5, set(), set(), False, 6, id="nothing can be done for it"),
        pytest.param(METAL, 5, {STREAMED, SLICED}, {SLICED}, False, 6, id="Metal has nowhere to stream from"),
        pytest.param(METAL, 5, {STREAMED, TILED}, {TILED}, True, 2, id="tiles on Metal"),
        pytest.param(CPU, 5, {STREAMED, SLICED, TILED}, set(), False, 6, id="a CPU tries it as it is"),
    ],
)
def test_how_a_part_runs(
    memory: DeviceMemory, weights: int, able: set[Measure], measures: set[Measure], fits: bool, activations: int
) -> None:
    fit = fit_part(PartNeeds(weights, 6, 2, frozenset(able)), memory)
    assert (fit.measures, fit.fits, fit.activations) == (measures, fits, activations)


@pytest.mark.parametrize(
    ("users", "leaves"), [((0, 0, 0), 1), ((0, 1, 0), 2), ((1, 1, 1), None)], ids=["the oldest", "but one in use", "none"]
)
def test_who_leaves_first(users: tuple[int, int, int], leaves: int | None) -> None:
    parts = [SimpleNamespace(nbytes=1, last_use=use, users=count) for use, count in zip((3, 1, 2), users, strict=True)]
    leaving = first_to_leave(parts)
    assert (leaving.last_use if leaving else None) == leaves


def test_forecast_and_notice_are_the_same_sentence_in_two_tenses() -> None:
    measures = frozenset({STREAMED, SLICED, TILED})
    assert within_budget(4 * 10**9, forecast_of(measures, ["prior", "unet", "vae"])) == (
        "4 GB of memory for models: the prior's, the unet's and the vae's weights go to the GPU layer by layer, which takes far longer, "
        "and attention is computed in slices, and the picture is decoded in tiles."
    )
    assert notice_of(measures, "unet") == (
        "the unet's weights went to the GPU layer by layer, which takes far longer, and attention was computed in slices, "
        "and the picture was decoded in tiles"
    )
