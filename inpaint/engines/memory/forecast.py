"""What a memory budget will mean for a model, computed from its parameter counts before anything is loaded.

Predicts by the same rule by which the engines act (rule.py). Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inpaint.core.spec import BYTES_PER_PARAMETER
from inpaint.engines.memory.activations import TILE_PX
from inpaint.engines.memory.rule import GB, DeviceMemory, Fit, Measure, PartNeeds, fit_part, forecast_of, within_budget

NO_LIMIT = 1 << 62


@dataclass(frozen=True)
class Turn:
    """Parts of a model that are needed at the same time. parts: their names in the spec's [parameters].

    activations: bytes beside the weights. pixel_bytes: further bytes of activations for each pixel and each byte of the
    number format. in_float32: whether the parts are in float32 where the others are in float16. once: whether they leave
    right after their only use. measures: those that the turn's largest part can run with.
    """

    title: str
    parts: tuple[str, ...]
    activations: int = 0
    pixel_bytes: int = 0
    in_float32: bool = False
    once: bool = False
    measures: frozenset[Measure] = frozenset({Measure.STREAMED})


@dataclass(frozen=True)
class MemoryPlan:
    """peak: bytes on the device at the worst moment. words: the restriction as a sentence; "" where there is none."""

    peak: int
    words: str


@dataclass(frozen=True)
class Needs:
    """What a model's turns need in a number format, at an extent of `pixels`. parameters: the count of each part."""

    turns: Sequence[Turn]
    parameters: Mapping[str, int]
    dtype: str
    pixels: int = 0

    def weights(self, turn: Turn) -> int:
        """Bytes of the weights of all parts of a turn."""
        return sum(self.parameters[name] for name in turn.parts) * self._itemsize(turn)

    def activations(self, turn: Turn, most_pixels: int = NO_LIMIT) -> int:
        """Bytes of activations of a turn, at no more than `most_pixels` at a time."""
        return turn.activations + turn.pixel_bytes * self._itemsize(turn) * min(self.pixels, most_pixels)

    def largest(self, turn: Turn) -> PartNeeds:
        """What the turn's largest part needs by itself."""
        return PartNeeds(
            max(self.parameters[name] for name in turn.parts) * self._itemsize(turn),
            self.activations(turn),
            self.activations(turn, TILE_PX**2),
            turn.measures,
        )

    def peak(self, turn: Turn) -> int:
        """Bytes while all parts of a turn are on the device."""
        return self.weights(turn) + self.activations(turn)

    @property
    def together(self) -> int:
        """Bytes where every part stays, except those that are used once."""
        lasting = [turn for turn in self.turns if not turn.once]
        stay = sum(map(self.weights, lasting)) + max(map(self.activations, lasting))
        return max([stay, *(self.peak(turn) for turn in self.turns if turn.once)])

    def _itemsize(self, turn: Turn) -> int:
        return BYTES_PER_PARAMETER["float32" if turn.in_float32 and self.dtype == "float16" else self.dtype]


def plan_memory(needs: Needs, memory: DeviceMemory) -> MemoryPlan:
    """What the budget means for a model: all parts stay, or turns alternate, or single parts do, or measures are taken."""
    by_turn = max(map(needs.peak, needs.turns))
    by_part = max(part.weights + part.activations for part in map(needs.largest, needs.turns))
    if needs.together <= memory.budget:
        return MemoryPlan(needs.together, "")
    if by_turn <= memory.budget:
        titles = [turn.title for turn in needs.turns if not turn.once]
        return MemoryPlan(by_turn, within_budget(memory.budget, f"{', '.join(titles[:-1])} and {titles[-1]} take turns"))
    if by_part <= memory.budget:
        return MemoryPlan(by_part, within_budget(memory.budget, "its parts take turns one by one, which takes longer"))
    return _with_measures({turn.title: fit_part(needs.largest(turn), memory) for turn in needs.turns}, by_part, memory.budget)


def _with_measures(fits: Mapping[str, Fit], by_part: int, budget: int) -> MemoryPlan:
    """The plan where a single part is beyond the budget. fits: by the title of each turn. by_part: bytes of that part."""
    measures = frozenset[Measure]().union(*(fit.measures for fit in fits.values()))
    if all(fit.fits for fit in fits.values()):
        streamed = [title for title, fit in fits.items() if Measure.STREAMED in fit.measures]
        return MemoryPlan(budget, within_budget(budget, forecast_of(measures, streamed)))
    first = f"{forecast_of(measures)}, and " if measures else ""
    return MemoryPlan(
        by_part, f"{budget / GB:.3g} GB of memory for models, but its largest part needs {by_part / GB:.2g} GB: {first}memory may run out."
    )
