"""A queue that takes turns between people. A pure data structure without locks, threads or clocks: the worker guards it."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """Serves each person's items in the order they came, and people in turn, so that one who queues many does not hold up the rest.

    Example: Ann pushes a1, a2, a3, then Ben pushes b1. The order is a1, b1, a2, a3.
    """

    def __init__(self) -> None:
        self._lines: OrderedDict[str, deque[Item]] = OrderedDict()

    def push(self, person: str, item: Item) -> None:
        self._lines.setdefault(person, deque()).append(item)

    def pop(self) -> Item:
        """Removes and returns the next item; its person goes to the end of the round. Raises IndexError when the queue is empty."""
        if not self._lines:
            raise IndexError("the queue is empty")
        person, line = self._lines.popitem(last=False)
        item = line.popleft()
        if line:
            self._lines[person] = line
        return item

    def remove(self, person: str, item: Item) -> None:
        """Removes an item from anywhere in the queue; does nothing when it is not there."""
        line = self._lines.get(person)
        if line is None or item not in line:
            return
        line.remove(item)
        if not line:
            del self._lines[person]

    def in_order(self) -> list[Item]:
        """Returns all items, in the order in which they would be served if nobody else came."""
        lines = [list(line) for line in self._lines.values()]
        longest = max(map(len, lines), default=0)
        return [line[turn] for turn in range(longest) for line in lines if turn < len(line)]

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))
