"""Whose turn it is, and how long it takes: a round-robin queue over people, and a pace learned from past jobs.

Pure data structures without locks, threads or clocks; jobs.py guards them.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Generic, TypeVar

Item = TypeVar("Item")

NEW_SHARE = 0.4
"""How much the newest job counts in the learned pace: three jobs are enough to follow a machine that became busy."""


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


class Pace:
    """Seconds a unit of work takes, by kind (a model at a working extent), as an exponential average of past jobs."""

    def __init__(self) -> None:
        self._seconds_per_unit: dict[str, float] = {}

    def learn(self, kind: str, units: float, seconds: float) -> None:
        """units: > 0, what a job of this kind consists of (steps times candidates)."""
        new = seconds / units
        old = self._seconds_per_unit.get(kind, new)
        self._seconds_per_unit[kind] = old + NEW_SHARE * (new - old)

    def estimate(self, kind: str, units: float) -> float | None:
        """Seconds, or None for a kind that never ran here: what is unknown stays unknown."""
        pace = self._seconds_per_unit.get(kind)
        return None if pace is None else pace * units
