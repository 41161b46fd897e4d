"""A picture in Kandinsky's latents, and the small previews of what it is becoming."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from inpaint.engines.base import Pixels
from inpaint.engines.runtime.preview import LatentColours, PreviewTimer
from inpaint.engines.runtime.tensors import to_array

Clock = Callable[[], float]
"""Returns seconds, never going back."""


@dataclass(frozen=True, eq=False)
class Scene:
    """The picture in latents. latents: [1, 4, h, w]. keep: [1, 1, h, w], 1 = stays, 0 = is repainted. colours: of its previews."""

    latents: torch.Tensor
    keep: torch.Tensor
    colours: LatentColours

    def put_back(self, repainted: torch.Tensor, original: torch.Tensor) -> torch.Tensor:
        """The repainted latents with the original ones where the picture stays."""
        return self.keep * original + (1 - self.keep) * repainted


class ScenePreview:
    """Small pictures of what the decoder is heading for, a few a second."""

    def __init__(self, scene: Scene, clock: Clock) -> None:
        self._scene = scene
        self._timer = PreviewTimer(clock)

    def of(self, predicted: torch.Tensor) -> Pixels | None:
        """uint8 [h, w, 3], one pixel a latent cell; None while the last one is recent. predicted: x0 [1, 4, h, w]."""
        if not self._timer.is_due():
            return None
        return self._scene.colours.picture(to_array(self._scene.put_back(predicted, self._scene.latents)))
