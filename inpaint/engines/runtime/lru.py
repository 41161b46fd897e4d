"""What was computed lately, for whoever asks for the same again. Knows nothing of what it keeps."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """The last values by all that decides them; the one not used for longest goes first."""

    def __init__(self, capacity: int = 32) -> None:
        self._capacity = capacity
        self._kept: OrderedDict[Key, Value] = OrderedDict()

    def get(self, key: Key) -> Value | None:
        """What was kept for the same key, which then counts as the latest."""
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def keep(self, key: Key, value: Value) -> None:
        """Keep it, and drop the oldest beyond the capacity."""
        self._kept[key] = value
        while len(self._kept) > self._capacity:
            self._kept.popitem(last=False)
