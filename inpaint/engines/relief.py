"""What a diffusers pipeline can do to need less memory, from cheap to dear, and back. Knows no single model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch

Place = Literal["whole", "parts", "layers"]
"""What of a pipeline is on the device at a time: all of it, the part that works, or the layer that works."""

TILE_PX = 512


def choose_place(part_bytes: Sequence[int], working: int, budget: int, device: str) -> Place:
    """As much at a time as the budget takes beside `working` bytes of activations. All numbers in bytes."""
    if not device.startswith("cuda") or sum(part_bytes) + working <= budget:
        return "whole"
    return "parts" if max(part_bytes) + working <= budget else "layers"


class Relief:
    """The rungs of one pipeline, which lies on the device, or for another place than "whole" on the CPU.

    device: where it runs. place: what is there when nothing is given up.
    """

    def __init__(self, pipeline: Any, device: str, place: Place = "whole") -> None:
        self._pipeline = pipeline
        self._device = torch.device(device)
        self._denoiser: Any = getattr(pipeline, "unet", None)
        self._at_once: Any = None
        self._tiles: tuple[int, int] | None = None
        self._usual: Place = place
        self._place: Place = "whole"
        self._put(place)

    def relieve(self, longest_px: int) -> str | None:
        """Give up one more thing. longest_px: the longer side of the picture that did not fit. As Engine.relieve."""
        return self._attend_in_slices() or self._decode_in_tiles(longest_px) or self._offload_parts()

    def relieve_last(self) -> str | None:
        """As Engine.relieve_last."""
        if self._place == "layers" or self._device.type == "cpu":
            return None
        self._put("layers")
        return "each layer of the model was on the GPU only while it worked, which is slow"

    def restore(self) -> None:
        """Take back everything."""
        if self._at_once is not None:
            self._denoiser.set_attn_processor(self._at_once)
            self._at_once = None
        if self._tiles is not None:
            vae = self._pipeline.vae
            vae.disable_tiling()
            vae.tile_sample_min_size, vae.tile_latent_min_size = self._tiles
            self._tiles = None
        self._put(self._usual)

    def settle(self) -> None:
        """After a run that may have ended in the middle: parts that are fetched when needed go back."""
        if self._place == "parts":
            self._pipeline.maybe_free_model_hooks()

    def _attend_in_slices(self) -> str | None:
        """One head at a time, by diffusers' own processors. Transformers like FLUX's have no such processors."""
        if self._at_once is not None or not hasattr(self._denoiser, "set_attention_slice"):
            return None
        self._at_once = self._denoiser.attn_processors
        self._denoiser.set_attention_slice("max")
        return "attention was computed in slices"

    def _decode_in_tiles(self, longest_px: int) -> str | None:
        """Slices of the batch would give nothing: there is one picture at a time."""
        vae = self._pipeline.vae
        if self._tiles is not None or longest_px <= TILE_PX:
            return None
        self._tiles = (vae.tile_sample_min_size, vae.tile_latent_min_size)
        vae.tile_sample_min_size = TILE_PX
        vae.tile_latent_min_size = TILE_PX // self._pipeline.vae_scale_factor
        vae.enable_tiling()
        return "the picture was decoded in tiles"

    def _offload_parts(self) -> str | None:
        if self._place != "whole" or self._device.type == "cpu":
            return None
        self._put("parts")
        return "each part of the model was on the GPU only while it worked"

    def _put(self, place: Place) -> None:
        if place == self._place:
            return
        if place == "whole":
            self._pipeline.remove_all_hooks()
            self._pipeline.to(self._device)
        elif place == "parts":
            self._pipeline.enable_model_cpu_offload(device=self._device)
        else:
            self._pipeline.enable_sequential_cpu_offload(device=self._device)
        self._place = place
