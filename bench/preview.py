"""What a live preview costs beside a denoising step of Kandinsky 2.2's real UNet (random weights, 1.25 billion parameters).

    python bench/preview.py [--side 512] [--dtype bfloat16]       (3 GB of memory in bfloat16)

Prints milliseconds of one guided step, of fitting the map (once an edit) and of one preview frame, and the shares of a step.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
from diffusers import UNet2DConditionModel

from bench.timing import median_ms
from inpaint.engines.runtime.preview import LatentColours

CELL = 8
EMBEDDING = 1280
PUBLISHED: dict[str, Any] = {
    "in_channels": 9,
    "out_channels": 8,
    "act_fn": "silu",
    "addition_embed_type": "image",
    "attention_head_dim": 64,
    "block_out_channels": (384, 768, 1152, 1536),
    "cross_attention_dim": 768,
    "encoder_hid_dim": EMBEDDING,
    "encoder_hid_dim_type": "image_proj",
    "layers_per_block": 3,
    "mid_block_type": "UNetMidBlock2DSimpleCrossAttn",
    "down_block_types": ("ResnetDownsampleBlock2D", *["SimpleCrossAttnDownBlock2D"] * 3),
    "up_block_types": (*["SimpleCrossAttnUpBlock2D"] * 3, "ResnetUpsampleBlock2D"),
    "resnet_time_scale_shift": "scale_shift",
}
"""The published decoder's configuration, as far as it decides the arithmetic."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=512, help="working extent, px")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="bfloat16")
    options = parser.parse_args()
    cells = options.side // CELL
    step = median_ms(guided_step(cells, getattr(torch, options.dtype)), 3)
    random = np.random.default_rng(0)
    latents = random.normal(size=(4, cells, cells)).astype(np.float32)
    picture = random.integers(0, 256, (options.side, options.side, 3), np.uint8)
    colours = LatentColours.fit(latents, picture)
    fit = median_ms(lambda: LatentColours.fit(latents, picture), 5)
    frame = median_ms(lambda: colours.picture(latents), 20)
    print(f"| {options.side} px, {options.dtype} | ms | share of a step |\n|---|---|---|\n| guided step | {step:.0f} | |")
    print(f"| fit, once an edit | {fit:.1f} | {100 * fit / step:.2f} % |\n| one preview | {frame:.2f} | {100 * frame / step:.3f} % |")


def guided_step(cells: int, dtype: torch.dtype) -> Callable[[], object]:
    with torch.device("meta"):
        unet: Any = UNet2DConditionModel(**PUBLISHED)
    unet = unet.to(dtype).to_empty(device="cpu").eval()
    for parameter in unet.parameters():
        torch.nn.init.normal_(parameter, std=0.01)
    sample, embeds = torch.randn(2, 9, cells, cells, dtype=dtype), torch.randn(2, EMBEDDING, dtype=dtype)

    @torch.no_grad()
    def run() -> object:
        return unet(sample=sample, timestep=500, encoder_hidden_states=None, added_cond_kwargs={"image_embeds": embeds})

    return run


if __name__ == "__main__":
    main()
