"""Whose turn it is, and how long it takes: a round-robin queue over people, and a pace learned from past jobs.

Pure data structures without locks, threads or clocks: jobs.py guards the queue. The pace may be asked while it learns.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Generic, TypeVar

from inpaint.core.geometry import Extent

Item = TypeVar("Item")

NEW_SHARE = 0.4
"""How much the newest job counts in the learned pace: three jobs are enough to follow a machine that became busy."""

KINDS_KEPT = 256


class FairQueue(Generic[Item]):
    """First come first served within a person, in turn between people: one who queues many does not hold up the rest."""

    def __init__(self) -> None:
        self._lines: OrderedDict[str, deque[Item]] = OrderedDict()

    def push(self, person: str, item: Item) -> None:
        self._lines.setdefault(person, deque()).append(item)

    def pop(self) -> Item:
        """The next item; its person goes to the end of the round. Raises IndexError where nothing waits."""
        if not self._lines:
            raise IndexError("nothing waits")
        person, line = self._lines.popitem(last=False)
        item = line.popleft()
        if line:
            self._lines[person] = line
        return item

    def remove(self, person: str, item: Item) -> None:
        """Take an item out of the middle; one that is not there is no error."""
        line = self._lines.get(person)
        if line is None or item not in line:
            return
        line.remove(item)
        if not line:
            del self._lines[person]

    def in_order(self) -> list[Item]:
        """All that wait, in the order in which they would be served if nobody else came."""
        lines = [list(line) for line in self._lines.values()]
        longest = max(map(len, lines), default=0)
        return [line[turn] for turn in range(longest) for line in lines if turn < len(line)]

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))


@dataclass(frozen=True)
class Cost:
    """What a job's time depends on. model: "" for work that teaches nothing. extent: what the model sees or makes.

    steps: of all candidates together, more than 0.
    """

    model: str = ""
    task: str = ""
    extent: Extent = Extent(1, 1)
    steps: float = 1.0

    @property
    def kind(self) -> str:
        """Model, task and about how many pixels, to the nearest power of the square root of 2: crops are hardly ever equal."""
        return f"{self.model} {self.task} {round(2 * math.log2(self.extent.area))}"

    @property
    def units(self) -> float:
        """Within a kind, time grows with this."""
        return self.steps * self.extent.area


class Pace:
    """Seconds a unit of work takes, by kind, as an exponential average of past jobs. The kinds used last are kept."""

    def __init__(self) -> None:
        self._seconds_per_unit: OrderedDict[str, float] = OrderedDict()

    def learn(self, cost: Cost, seconds: float) -> None:
        """seconds: what such a job took, without the loading of its model."""
        new = seconds / cost.units
        old = self._seconds_per_unit.get(cost.kind, new)
        self._seconds_per_unit[cost.kind] = old + NEW_SHARE * (new - old)
        self._seconds_per_unit.move_to_end(cost.kind)
        while len(self._seconds_per_unit) > KINDS_KEPT:
            self._seconds_per_unit.popitem(last=False)

    def estimate(self, cost: Cost) -> float | None:
        """Seconds, or None for a kind that never ran here: what is unknown stays unknown."""
        pace = self._seconds_per_unit.get(cost.kind)
        return None if pace is None else pace * cost.units
