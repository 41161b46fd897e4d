"""What a memory budget will mean for a model, by its parameter counts; no torch and no GPU."""

from __future__ import annotations

import pytest

from inpaint.core.spec import DeviceKind
from inpaint.engines.memory.activations import TILE_PX
from inpaint.engines.memory.budget import GB
from inpaint.engines.memory.forecast import Needs, Turn, plan_memory
from inpaint.engines.memory.residency import Residency
from inpaint.engines.memory.rule import DeviceMemory, Measure

SIZES = {"text": 1 * GB, "prior": 1 * GB, "vision": 2 * GB, "unet": 3 * GB, "movq": 0}
"""In float16 2, 2, 4, 6 and 0 GB."""

TURNS = (
    Turn("prior", ("text", "prior"), GB),
    Turn("vision", ("vision",), GB, once=True),
    Turn("decoder", ("movq", "unet"), GB, measures=frozenset({Measure.STREAMED, Measure.SLICED})),
)


def memory(kind: DeviceKind, gb: float) -> DeviceMemory:
    return Residency(kind, int(gb * GB)).memory


@pytest.mark.parametrize(
    ("budget", "kind", "peak", "words"),
    [
        pytest.param(11, "cuda", 11, "", id="all stay, but what is used once"),
        pytest.param(10.9, "cuda", 7, "10.9 GB of memory for models: prior and decoder take turns.", id="turns"),
        pytest.param(7, "cpu", 7, "7 GB of memory for models: prior and decoder take turns.", id="just"),
        pytest.param(
            6.9,
            "cuda",
            6.9,
            "the decoder's weights go to the GPU layer by layer, which takes far longer, and attention is computed in slices.",
            id="the largest part does not fit",
        ),
        pytest.param(4.9, "cuda", 4.9, "the vision's and the decoder's weights go to the GPU layer by layer", id="nor what is used once"),
        pytest.param(6.9, "cpu", 7, "6.9 GB of memory for models, but its largest part needs 7 GB", id="not even that on a CPU"),
        pytest.param(6.9, "cpu", 7, "7 GB: memory may run out.", id="on a CPU nothing is done beforehand"),
        pytest.param(6.9, "mps", 7, "7 GB: attention is computed in slices, and memory may run out.", id="slices on Metal"),
    ],
)
def test_what_a_budget_means(budget: float, kind: DeviceKind, peak: float, words: str) -> None:
    plan = plan_memory(Needs(TURNS, SIZES, "float16"), memory(kind, budget))
    assert plan.peak == int(peak * GB) and words in plan.words and bool(plan.words) == bool(words)


@pytest.mark.parametrize(
    ("kind", "budget", "words"),
    [
        pytest.param("cuda", 2.9, "GB of memory for models: the picture is decoded in tiles.", id="tiles fit"),
        pytest.param(
            "cuda",
            1.2,
            "the autoencoder's weights go to the GPU layer by layer, which takes far longer, and the picture is decoded in tiles.",
            id="the weights do not fit beside a tile",
        ),
        pytest.param("mps", 1.2, "the picture is decoded in tiles, and memory may run out.", id="nor on Metal"),
        pytest.param("cpu", 1.2, "3 GB: memory may run out.", id="on a CPU nothing is done beforehand"),
    ],
)
def test_an_autoencoder_that_does_not_fit_is_foretold_as_it_will_run(kind: DeviceKind, budget: float, words: str) -> None:
    """Four tiles: 2 GB of activations at once, half a one by one; they are in float32 beside float16 parts."""
    turns = (
        Turn("text encoders", ("text",), 0),
        Turn(
            "autoencoder",
            ("vae",),
            0,
            2 * GB // (4 * 4 * TILE_PX**2) + 1,
            in_float32=True,
            measures=frozenset({Measure.STREAMED, Measure.TILED}),
        ),
    )
    needs = Needs(turns, {"text": 0, "vae": GB // 4}, "float16", 4 * TILE_PX**2)
    assert plan_memory(needs, memory(kind, budget)).words.endswith(words)


def test_parts_of_one_turn_may_have_to_take_turns_too() -> None:
    turns = (Turn("prior", ("text", "prior"), GB), Turn("decoder", ("movq", "prior"), 0))
    plan = plan_memory(Needs(turns, SIZES, "float16"), memory("cuda", 4))
    assert plan.peak == 3 * GB and "one by one" in plan.words
