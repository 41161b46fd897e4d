"""A picture as the app keeps it: 8-bit pixels after EXIF rotation, with the metadata that the result must carry unchanged.

This module knows no file format.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inpaint.core.geometry import Extent

Pixels = NDArray[np.uint8]

BACKDROP = 255
"""The grey level that a model sees behind transparent pixels: white, as most viewers show them."""


@dataclass(frozen=True, eq=False)
class Picture:
    """uint8 [H, W, 3] RGB or [H, W, 4] RGBA (not premultiplied), upload space. The array is made read-only.

    name: the file's own name, for naming results. icc_profile: embedded unchanged in results. taken: EXIF date "YYYY:MM:DD
    HH:MM:SS". notices: sentences about what was read differently from how the file stores it (first frame only, 16 bits,
    CMYK).
    """

    pixels: Pixels
    name: str = "picture"
    icc_profile: bytes | None = None
    taken: str | None = None
    notices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.shape[2] not in (3, 4) or self.pixels.dtype != np.uint8:
            raise ValueError(f"a picture is uint8 [H, W, 3 or 4], not {self.pixels.dtype} {self.pixels.shape}")
        self.pixels.flags.writeable = False

    @property
    def extent(self) -> Extent:
        return Extent.of(self.pixels)

    @property
    def alpha(self) -> Pixels | None:
        """The alpha channel as uint8 [H, W], or None for an opaque picture."""
        return self.pixels[..., 3] if self.pixels.shape[2] == 4 else None
