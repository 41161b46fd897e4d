"""Sizes and rectangles in whole pixels. This module never looks at what the pixels contain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Extent:
    """Width and height in pixels, both at least 1."""

    width: int
    height: int

    @classmethod
    def of(cls, pixels: NDArray[Any]) -> Extent:
        """Returns the extent of an array laid out [H, W] or [H, W, C]."""
        return cls(int(pixels.shape[1]), int(pixels.shape[0]))

    @property
    def area(self) -> int:
        return self.width * self.height

    @property
    def long_side(self) -> int:
        return max(self.width, self.height)

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W), the order of numpy arrays."""
        return self.height, self.width

    def __str__(self) -> str:
        return f"{self.width} x {self.height}"


@dataclass(frozen=True)
class Bounds:
    """A rectangle in pixels; right and bottom are exclusive."""

    left: int
    top: int
    width: int
    height: int

    @classmethod
    def whole(cls, extent: Extent) -> Bounds:
        return cls(0, 0, extent.width, extent.height)

    @classmethod
    def around(cls, marked: NDArray[np.bool_]) -> Bounds | None:
        """Returns the smallest bounds that hold every True of a bool [H, W] array, or None if there is no True."""
        rows, columns = np.flatnonzero(marked.any(axis=1)), np.flatnonzero(marked.any(axis=0))
        if not rows.size:
            return None
        left, top = int(columns[0]), int(rows[0])
        return cls(left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top)

    @classmethod
    def middle(cls, of: Extent, shape: Extent) -> Bounds:
        """Returns the largest centred bounds in the extent `of` that have the aspect ratio of `shape`."""
        width = max(1, min(of.width, round(of.height * shape.width / shape.height)))
        height = max(1, min(of.height, round(of.width * shape.height / shape.width)))
        return cls((of.width - width) // 2, (of.height - height) // 2, width, height)

    @property
    def right(self) -> int:
        return self.left + self.width

    @property
    def bottom(self) -> int:
        return self.top + self.height

    @property
    def extent(self) -> Extent:
        return Extent(self.width, self.height)

    @property
    def slices(self) -> tuple[slice, slice]:
        """(rows, columns), to index an array [H, W, ...]."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def contains(self, other: Bounds) -> bool:
        return self.left <= other.left and self.top <= other.top and self.right >= other.right and self.bottom >= other.bottom

    def expand(self, margin: int, within: Extent) -> Bounds:
        """Returns the bounds grown by `margin` px on each side and cut at the edges of `within`."""
        left, top = max(0, self.left - margin), max(0, self.top - margin)
        right, bottom = min(within.width, self.right + margin), min(within.height, self.bottom + margin)
        return Bounds(left, top, right - left, bottom - top)

    def widen(self, to: Extent, within: Extent) -> Bounds:
        """Returns bounds at least as large as `to` and as these bounds, kept centred where `within` leaves room and shifted
        inward elsewhere.
        """
        left, width = _widen_side(self.left, self.width, to.width, within.width)
        top, height = _widen_side(self.top, self.height, to.height, within.height)
        return Bounds(left, top, width, height)

    def as_list(self) -> list[int]:
        return [self.left, self.top, self.width, self.height]


def _widen_side(start: int, length: int, wanted: int, limit: int) -> tuple[int, int]:
    """Widens one side for Bounds.widen and returns (new start, new length)."""
    new = min(max(length, wanted), limit)
    first = start - (new - length) // 2
    return min(max(first, 0), limit - new), new
