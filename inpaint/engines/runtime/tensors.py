"""What every diffusion engine does with tensors: generators by a seed, checks, and conversions to arrays and pixels."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from inpaint.engines.base import Pixels
from inpaint.errors import BadOutput


def seeded(seed: int) -> torch.Generator:
    """A new generator with this seed. It is on the CPU, so that every device starts from the same noise."""
    return torch.Generator("cpu").manual_seed(seed)


def is_finite(numbers: torch.Tensor) -> bool:
    """Whether all numbers are finite. Conversion to pixels would silently turn NaN into black."""
    return bool(torch.isfinite(numbers).all())


def require_finite(numbers: torch.Tensor, part: str) -> None:
    """Raises BadOutput for numbers that are not all finite. part: of the model, for the message."""
    if not is_finite(numbers):
        raise BadOutput(
            f"The model returned invalid numbers ({part}), so there is no picture.",
            "Try another seed or a lower guidance; if that does not help, download the model anew or run it with --dtype float32.",
        )


def to_pixels(picture: torch.Tensor) -> Pixels:
    """Finite numbers [1, 3, h, w] in 0 .. 1 -> uint8 [h, w, 3], rounded as diffusers rounds (image_processor.py)."""
    return (picture.cpu().permute(0, 2, 3, 1).float().numpy()[0] * 255).round().astype(np.uint8)


def to_array(latents: torch.Tensor) -> NDArray[np.float32]:
    """Latents [1, c, h, w] on any device -> an array, float32 [c, h, w]."""
    return latents[0].float().cpu().numpy()


def max_pool_to_cells(mask: Pixels, cell: int) -> Pixels:
    """The mask, widened to every latent cell that it touches, so that thin strokes survive the way into latents.

    mask: uint8 [h, w], sides multiples of cell. Returns the same size, constant over each cell x cell square.
    """
    height, width = mask.shape
    largest = mask.reshape(height // cell, cell, width // cell, cell).max(axis=(1, 3))
    return np.repeat(np.repeat(largest, cell, axis=0), cell, axis=1)
