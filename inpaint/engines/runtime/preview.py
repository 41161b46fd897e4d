"""A picture of unfinished latents that costs microseconds: an affine map from latent channels to colours.

Knows no torch: arrays in, arrays out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inpaint.engines.base import Pixels

Floats = NDArray[np.float32]

MIN_INTERVAL_S = 0.25
"""Seconds between two previews: more than four a second help nobody, and on a GPU each waits for the running step."""


@dataclass(frozen=True, eq=False)
class LatentColours:
    """An affine map from latents to colours. weights: float32 [c + 1, 3], from channels and a constant to RGB in 0 .. 255."""

    weights: Floats

    @classmethod
    def fit(cls, latents: Floats, picture: Pixels) -> LatentColours:
        """Least squares between latents (float32 [c, h, w], finite) and their picture (uint8 [h * cell, w * cell, 3]).

        Latents of such autoencoders are nearly a linear picture (the "latent RGB" previews of many programs); here each
        edit fits its own map to the original that it has encoded anyway, so no checkpoint needs a table.
        """
        height, width = latents.shape[1:]
        cells = picture.reshape(height, picture.shape[0] // height, width, picture.shape[1] // width, 3)
        colours = cells.mean(axis=(1, 3), dtype=np.float32).reshape(-1, 3)
        weights = np.linalg.lstsq(_rows(latents), colours, rcond=None)[0]
        return cls(weights.astype(np.float32))

    def picture(self, latents: Floats) -> Pixels:
        """uint8 [h, w, 3] RGB of latents float32 [c, h, w]. Invalid numbers become black: a preview is no result."""
        colours = np.nan_to_num(_rows(latents) @ self.weights, nan=0.0)
        return np.clip(np.rint(colours), 0, 255).astype(np.uint8).reshape(*latents.shape[1:], 3)


class PreviewTimer:
    """Decides when the next preview is due. clock: returns seconds, never going back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last = -np.inf

    def is_due(self) -> bool:
        """True at first, then once each MIN_INTERVAL_S."""
        now = self._clock()
        if now - self._last < MIN_INTERVAL_S:
            return False
        self._last = now
        return True


def _rows(latents: Floats) -> Floats:
    """[c, h, w] -> [h * w, c + 1], the last column a constant."""
    channels = latents.reshape(latents.shape[0], -1).T
    return np.concatenate([channels, np.ones((channels.shape[0], 1), np.float32)], axis=1)
