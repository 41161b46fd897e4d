"""The autoencoder within a diffusers pipeline: its number format, cancel points inside it, and checks of what it returns.

Knows no pipeline and no file.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.modeling_outputs import AutoencoderKLOutput

from inpaint.core.progress import ProgressCallback
from inpaint.engines.runtime.cancel import cancel_points
from inpaint.engines.runtime.tensors import require_finite
from inpaint.engines.runtime.torch_device import DTYPES


def part_dtype(part: str, dtype: str) -> torch.dtype:
    """The number format of a part. The autoencoder stays in float32 beside float16 parts: in float16 it overflows to black."""
    return torch.float32 if part == "vae" and dtype == "float16" else DTYPES[dtype]


def unscaled(latents: torch.Tensor, config: Any) -> torch.Tensor:
    """Latents as the autoencoder made them. source: the pipelines' own __call__; few checkpoints have a mean or a shift."""
    mean, deviation, shift = (config.get(name) for name in ("latents_mean", "latents_std", "shift_factor"))
    if not mean or not deviation:
        return latents / config.scaling_factor + shift if shift else latents / config.scaling_factor
    mean, deviation = (torch.tensor(value).view(1, -1, 1, 1).to(latents) for value in (mean, deviation))
    return latents * deviation / config.scaling_factor + mean


@contextmanager
def standing_in(owner: Any, **replacements: Any) -> Generator[None]:
    """While open, attributes of one object are replaced."""
    try:
        for name, replacement in replacements.items():
            setattr(owner, name, replacement)
        yield
    finally:
        for name in replacements:
            vars(owner).pop(name, None)


@dataclass(frozen=True, eq=False)
class Encoded:
    """What an autoencoder encoded. picture: [1, 3, h, w] in -1 .. 1. latents: their mean, unscaled, [1, c, h / cell, w / cell]."""

    picture: torch.Tensor
    latents: torch.Tensor


class AutoencoderGate:
    """Replaces an autoencoder's encode and decode while a pipeline runs.

    The pipelines hand it their own number format, cannot be cancelled inside it, and check nothing that it returns. shape:
    what the pipeline holds of the autoencoder. take: returns the autoencoder itself. first: what was encoded first in this
    run, for a preview.
    """

    def __init__(self, shape: Any, take: Callable[[], Any]) -> None:
        self._shape = shape
        self._take = take
        # SDXL's pipeline would ask for another number format before each use.
        shape.register_to_config(force_upcast=False)
        self.first: Encoded | None = None

    @contextmanager
    def open(self, report: ProgressCallback) -> Generator[None]:
        """Replaces both for one run of the pipeline. They may raise BadOutput and EditCancelled (from report)."""
        self.first = None
        with standing_in(self._shape, encode=self._checked_encode(report), decode=self._checked_decode(report)):
            yield

    def _checked_encode(self, report: ProgressCallback) -> Any:
        def checked(picture: torch.Tensor, *more: Any, **options: Any) -> AutoencoderKLOutput:
            vae = self._take()
            with cancel_points([*vae.encoder.down_blocks, vae.encoder.mid_block], "encoding", report):
                distribution = vae.encode(picture.to(vae.dtype), *more, **options).latent_dist
            require_finite(distribution.mean, "encoder")
            self.first = self.first or Encoded(picture, distribution.mean)
            return AutoencoderKLOutput(latent_dist=_Cast(distribution, picture.dtype))  # pyright: ignore[reportArgumentType]

        return checked

    def _checked_decode(self, report: ProgressCallback) -> Any:
        def checked(latents: torch.Tensor, *more: Any, **options: Any) -> tuple[torch.Tensor]:
            require_finite(latents, "denoising")
            vae = self._take()
            with cancel_points([vae.decoder.mid_block, *vae.decoder.up_blocks], "decoding", report):
                picture = vae.decode(latents.to(vae.dtype), *more, **options)[0]
            require_finite(picture, "picture decoder")
            return (picture,)

        return checked


class _Cast:
    """A distribution of latents that is sampled in its own number format and handed on in another."""

    def __init__(self, own: Any, dtype: torch.dtype) -> None:
        self._own = own
        self._dtype = dtype

    def sample(self, generator: torch.Generator | None = None) -> torch.Tensor:
        return self._own.sample(generator).to(self._dtype)

    def mode(self) -> torch.Tensor:
        return self._own.mode().to(self._dtype)
