"""Kandinsky's way into latents and back: number ranges, masks as latent cells, guided noise. Pure functions of tensors and arrays.

What they compute is bit for bit what diffusers' pipelines compute, so nothing here may change the order of the arithmetic.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from inpaint.core.request import SamplingParams
from inpaint.engines.base import Pixels
from inpaint.engines.kandinsky.prior import Guidance, decoder_guidance, guide


def to_model_range(picture: Pixels) -> torch.Tensor:
    """uint8 [h, w, 3] -> float32 [1, 3, h, w] in -1 .. 1.

    The colours of a pixel stay side by side in memory, as upstream leaves them: in another layout the convolutions add in
    another order, and the last bits differ.
    """
    pixels = torch.from_numpy(np.array(picture, order="C")[None]).permute(0, 3, 1, 2)
    return pixels.to(torch.float32) / 127.5 - 1.0


def to_processor_range(picture: Pixels) -> torch.Tensor:
    """uint8 [h, w, 3] -> float32 [1, 3, h, w] in -1 .. 1, by the operations of diffusers' VaeImageProcessor.

    They round otherwise than those of to_model_range.
    """
    pixels = np.array(picture, order="C")[None].astype(np.float32) / 255.0
    return 2.0 * torch.from_numpy(pixels.transpose(0, 3, 1, 2)) - 1.0


def spread(cells: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Grows the repainted cells (bool [h, w]) as the decoder was trained: to six neighbours, of the four corners to two.

    The same result as diffusers' prepare_mask, which walks cell by cell: the maximum over seven shifted copies.
    """
    height, width = cells.shape
    padded = np.pad(cells, 1)
    shifts = [(0, 0), (-1, 0), (0, -1), (-1, -1), (1, 0), (0, 1), (1, 1)]
    return np.logical_or.reduce([padded[1 + y : 1 + y + height, 1 + x : 1 + x + width] for y, x in shifts])


def batch(guidance: Guidance, sampling: SamplingParams) -> tuple[int, torch.Tensor, float | None]:
    """The rows of the UNet's batch, their embeddings, and the guidance scale; unguided, one row and None."""
    if guidance.negative is None:
        return 1, guidance.positive, None
    return 2, torch.cat([guidance.negative, guidance.positive]), decoder_guidance(sampling)


def guided_noise(predicted: torch.Tensor, guidance_scale: float | None, learned_variance: bool) -> torch.Tensor:
    """The UNet's output as the scheduler wants it.

    predicted: [n, 8, h, w], 4 channels noise and 4 variance; n = 2 with guidance, else 1. Returns [1, 8 or 4, h, w]. The
    variance is never guided: that of the guided half counts.
    """
    noise, variance = predicted.chunk(2, dim=1)
    if guidance_scale is not None:
        noise, variance = guide(noise, guidance_scale), variance.chunk(2)[1]
    return torch.cat([noise, variance], dim=1) if learned_variance else noise


def decode_in_float32(movq: Any, latents: torch.Tensor) -> torch.Tensor:
    """The picture of float16 latents, computed in float32: float16 ends at 65504, which the activations can pass."""
    try:
        movq.to(torch.float32)
        return movq.decode(latents.float(), force_not_quantize=True)["sample"]
    finally:
        movq.to(latents.dtype)


def lay_channels_last(unet: Any) -> None:
    """Lays out a UNet's weights so that a channel's neighbours in memory are the other channels.

    A third faster in bfloat16 on a CPU (bench/speed.py), with other last bits. All weights are copied, also those that have
    no such layout: one that stays would keep its whole file mapped.
    """
    if unet.conv_in.weight.is_contiguous(memory_format=torch.channels_last):
        return
    for parameter in unet.parameters():
        layout = torch.channels_last if parameter.dim() == 4 else torch.preserve_format
        parameter.data = parameter.data.clone(memory_format=layout)
