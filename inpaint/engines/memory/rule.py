"""The rule for memory that is short: which measures let a part run that does not fit, and which parts leave first.

The engines act by it, the forecast predicts by it, and both notices and forecasts take their sentences from it. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeVar

GB = 10**9


class Measure(Enum):
    """Something that is done so that a model needs less memory."""

    STREAMED = "streamed"
    """A part's weights stay in RAM, and each layer's go to the GPU only while it computes."""

    SLICED = "sliced"
    """Attention is computed one head at a time."""

    TILED = "tiled"
    """The autoencoder works on one square of the picture after another."""

    ALONE = "alone"
    """One part of the model is on the device at a time."""


@dataclass(frozen=True)
class DeviceMemory:
    """The memory that models compute in. budget: bytes that they may take.

    is_own: whether it is apart from RAM, as a CUDA card's is. is_strict: whether a part that is beyond the budget is not
    even tried as it is. On a CPU it is tried: a guess of the free memory must not decide the last bits of a picture.
    """

    budget: int
    is_own: bool
    is_strict: bool


@dataclass(frozen=True)
class PartNeeds:
    """What one part needs while it works: bytes of weights and of activations.

    tiled_activations: bytes of activations where it works in tiles. measures: those that this part can run with.
    """

    weights: int
    activations: int
    tiled_activations: int = 0
    measures: frozenset[Measure] = frozenset()


@dataclass(frozen=True)
class Fit:
    """How a part runs within a budget. fits: whether it is expected to. activations: bytes that it then needs."""

    measures: frozenset[Measure]
    fits: bool
    activations: int


def fit_part(needs: PartNeeds, memory: DeviceMemory) -> Fit:
    """The measures with which a part runs. Without any where it fits, and where the budget is only a guess.

    Tiles come first, since most of an autoencoder's memory is activations. Where that is not enough, the weights are
    streamed, which needs memory of the device's own, and attention is sliced.
    """
    fits = needs.weights + needs.activations <= memory.budget
    if fits or not memory.is_strict:
        return Fit(frozenset(), fits, needs.activations)
    is_tiled = Measure.TILED in needs.measures
    activations = needs.tiled_activations if is_tiled else needs.activations
    taken = {Measure.TILED} if is_tiled else set[Measure]()
    fits = needs.weights + activations <= memory.budget
    if not fits:
        taken |= needs.measures & ({Measure.STREAMED, Measure.SLICED} if memory.is_own else {Measure.SLICED})
    return Fit(frozenset(taken), fits or Measure.STREAMED in taken, activations)


class Evictable(Protocol):
    """A part that takes memory now."""

    nbytes: int
    last_use: int
    users: int


Part = TypeVar("Part", bound=Evictable)


def first_to_leave(parts: Iterable[Part]) -> Part | None:
    """The least recently used of the parts that nobody uses now; None where all are in use."""
    return min((part for part in parts if not part.users), key=lambda part: part.last_use, default=None)


WILL_BE = {
    Measure.STREAMED: "{owner} weights go to the GPU layer by layer, which takes far longer",
    Measure.SLICED: "attention is computed in slices",
    Measure.TILED: "the picture is decoded in tiles",
}
WAS = {
    Measure.STREAMED: "{owner} weights went to the GPU layer by layer, which takes far longer",
    Measure.SLICED: "attention was computed in slices",
    Measure.TILED: "the picture was decoded in tiles",
    Measure.ALONE: "one part of the model was {place} at a time",
}
"""The sentences of a forecast and of a notice."""


def forecast_of(measures: Collection[Measure], streamed: Sequence[str] = ()) -> str:
    """What will be done, without a full stop. streamed: the titles of the parts whose weights are streamed."""
    owners = [f"the {title}'s" for title in streamed]
    owner = " and ".join([*([", ".join(owners[:-1])] if owners[1:] else []), *owners[-1:]])
    return ", and ".join(WILL_BE[measure].format(owner=owner) for measure in WILL_BE if measure in measures)


def notice_of(measures: Collection[Measure], owner: str = "model", is_own: bool = True) -> str:
    """What was done, without a full stop. owner: the title of the part, or of the whole, whose weights were streamed."""
    place = "on the GPU" if is_own else "in memory"
    return ", and ".join(WAS[measure].format(owner=f"the {owner}'s", place=place) for measure in WAS if measure in measures)


def within_budget(budget: int, sentence: str) -> str:
    """A sentence about what a budget restricts, as the page shows it beforehand and a notice afterwards."""
    return f"{budget / GB:.3g} GB of memory for models: {sentence}."
