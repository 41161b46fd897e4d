"""A cache of the values that were used last. Knows nothing of what it keeps."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """The last `capacity` values, by their keys; the least recently used is dropped first."""

    def __init__(self, capacity: int = 32) -> None:
        self._capacity = capacity
        self._kept: OrderedDict[Key, Value] = OrderedDict()

    def get(self, key: Key) -> Value | None:
        """The value that was kept for a key, which then counts as used last; None where there is none."""
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def keep(self, key: Key, value: Value) -> None:
        """Keeps a value, and drops the oldest beyond the capacity."""
        self._kept[key] = value
        while len(self._kept) > self._capacity:
            self._kept.popitem(last=False)
