"""What number format, memory layout, attention and torch.compile do to one guided step of Kandinsky's UNet on a CPU.

    python bench/speed.py [--size mini | published] [--side 512] [--rounds 5] [--compile]         (published: 11 GB of memory)

Random weights: they decide no time. Each round times every variant once, so that other programs slow all of them alike; a ratio is the
median over the rounds of a variant's time by float32 eager's of the same round. Below 1 is faster.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnAddedKVProcessor
from diffusers.utils import logging

from bench.preview import PUBLISHED

CELL = 8
MINI = Path(__file__).resolve().parent.parent / "models" / "kandinsky-mini" / "decoder" / "unet" / "config.json"


@dataclass(frozen=True)
class Variant:
    """One way to run the UNet. attention: "sdpa" is what diffusers gives this UNet by itself (AttnAddedKVProcessor2_0)."""

    dtype: str = "float32"
    layout: str = "contiguous"
    attention: str = "sdpa"
    run: str = "eager"


STOCK = Variant()
MINI_VARIANTS = tuple(
    Variant(*choice) for choice in itertools.product(("float32", "bfloat16"), ("contiguous", "channels_last"), ("sdpa", "plain"))
)
PUBLISHED_VARIANTS = (STOCK, Variant("bfloat16"), Variant("bfloat16", "channels_last"))
COMPILED_VARIANTS = (STOCK, Variant(run="torch.compile"), Variant("bfloat16"), Variant("bfloat16", run="torch.compile"))


def guided_step(variant: Variant, config: dict[str, Any], side: int) -> Callable[[], object]:
    dtype = getattr(torch, variant.dtype)
    unet = random_unet(config, dtype)
    if variant.attention == "plain":
        unet.set_attn_processor(AttnAddedKVProcessor())
    if variant.layout == "channels_last":
        unet.to(memory_format=torch.channels_last)
    call = torch.compile(unet) if variant.run == "torch.compile" else unet
    cells, embedding = side // CELL, config["encoder_hid_dim"]
    sample, embeds = torch.randn(2, config["in_channels"], cells, cells, dtype=dtype), torch.randn(2, embedding, dtype=dtype)
    timestep = torch.tensor(500)

    @torch.no_grad()
    def run() -> object:
        return call(
            sample=sample, timestep=timestep, encoder_hidden_states=None, added_cond_kwargs={"image_embeds": embeds}, return_dict=False
        )

    return run


def random_unet(config: dict[str, Any], dtype: torch.dtype) -> Any:
    with torch.device("meta"):
        unet: Any = UNet2DConditionModel.from_config(config)
    unet = unet.to(dtype).to_empty(device="cpu").eval()
    for parameter in unet.parameters():
        torch.nn.init.normal_(parameter, std=0.01)
    return unet


def seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def measure(variants: tuple[Variant, ...], config: dict[str, Any], side: int, rounds: int) -> None:
    """Print a row a variant; the first call of each does not count, but is shown: with torch.compile it compiles."""
    steps, firsts = {}, {}
    for variant in variants:
        try:
            step = guided_step(variant, config, side)
            firsts[variant] = seconds(step)
        except RuntimeError as error:  # no compiler, or it cannot compile this
            print(f"| {row(variant)} | failed: {str(error).splitlines()[0]} |", flush=True)
            continue
        steps[variant] = step
    times = [{variant: seconds(step) for variant, step in steps.items()} for _ in range(rounds)]
    for variant in steps:
        ratio = statistics.median(one[variant] / one[STOCK] for one in times)
        print(f"| {row(variant)} | {firsts[variant]:.1f} | {statistics.median(one[variant] for one in times):.2f} | {ratio:.2f} |")


def row(variant: Variant) -> str:
    return f"{variant.dtype} | {variant.layout} | {variant.attention} | {variant.run}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=("mini", "published"), default="mini")
    parser.add_argument("--side", type=int, default=512, help="working extent, px")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--compile", action="store_true", help="torch.compile beside eager only; needs a C++ compiler, and minutes")
    options = parser.parse_args()
    logging.set_verbosity_error()
    is_mini = options.size == "mini"
    config = json.loads(MINI.read_text(encoding="utf-8")) if is_mini else PUBLISHED
    print(f"| {options.size}, {options.side} px | layout | attention | run | first call s | step s | ratio |\n|{'---|' * 7}", flush=True)
    variants = COMPILED_VARIANTS if options.compile else MINI_VARIANTS if is_mini else PUBLISHED_VARIANTS
    measure(variants, config, options.side, options.rounds)


if __name__ == "__main__":
    main()
