"""Latents in bulk: each background with and without a thing, so that the UNet trains without decoding a pixel.

Must not know about the UNet. `python -m training.pairs`: writes pairs-SIZE.pt, several hundred MB at most."""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import VQModel
from torch import Tensor

from training import clip, data, loop
from training.movq import to_model
from training.things import THINGS

CELL = 8
COUNTS = {96: 14_000, 128: 4_000, 192: 3_000}
# The thing's share of the side: 58 to 138 px. Tight pictures come first, since cells that stay cost as much as others.
_SHARES = {96: (0.6, 0.92), 128: (0.5, 0.85), 192: (0.4, 0.72)}
_PER_BACKGROUND = 4  # a background is encoded once for so many things
_VIEWS = 48  # image embeddings of each thing


@dataclass(frozen=True)
class Pairs:
    """float16 latents [N, 4, h, w] of the picture with the thing; `bare` [N // 4, ...] are the backgrounds alone."""

    with_thing: Tensor
    bare: Tensor
    thing: Tensor  # int64 [N], index into THINGS
    box: Tensor  # float32 [N, 3]: x, y, longer side in cells


def place(rng: np.random.Generator, size: int) -> data.Box:
    """Whole inside the picture."""
    side = size * rng.uniform(*_SHARES[size])
    x, y = rng.uniform(side / 2, size - side / 2, 2)
    return data.Box(x, y, side)


@torch.no_grad()
def encode(movq: VQModel, pictures: np.ndarray) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return movq.encode(to_model(pictures)).latents.half()


def make_pairs(movq: VQModel, size: int, count: int, seed: int) -> Pairs:
    rng = np.random.default_rng(seed)
    order = np.concatenate([rng.permutation(len(THINGS)) for _ in range(count // len(THINGS) + 1)])[:count]
    bare, with_thing, boxes = [], [], []
    for start in range(0, count, _PER_BACKGROUND):
        plain = data.background(rng, size)
        places = [place(rng, size) for _ in range(_PER_BACKGROUND)]
        filled = [data.paste(plain, int(t), box) for t, box in zip(order[start : start + _PER_BACKGROUND], places, strict=True)]
        latents = encode(movq, np.stack([plain, *filled]))
        bare.append(latents[:1])
        with_thing.append(latents[1:])
        boxes += [(box.x / CELL, box.y / CELL, box.side / CELL) for box in places]
    return Pairs(torch.cat(with_thing), torch.cat(bare), torch.from_numpy(order), torch.tensor(boxes))


@torch.no_grad()
def embed_views(image_encoder: torch.nn.Module) -> dict[str, Tensor]:
    """Image embeddings, float32: `things` [T, 48, E], `plain` [600, E] (no thing), `zero` [E] (stock zero picture)."""
    rng = np.random.default_rng(5)

    def embed(things: list[int | None]) -> Tensor:
        views = np.stack([data.close_up(rng, thing) for thing in things])
        return image_encoder(clip.to_encoder(views)).image_embeds

    rows = [embed([thing] * _VIEWS) for thing in range(len(THINGS))]
    plain = torch.cat([embed([None] * 100) for _ in range(6)])
    zero = image_encoder(torch.zeros(1, 3, clip.VIEW, clip.VIEW)).image_embeds[0]
    return {"things": torch.stack(rows), "plain": plain, "zero": zero}


def pairs_path(size: int) -> Path:
    return loop.RUNS / f"pairs-{size}.pt"


def load_pairs(size: int) -> Pairs:
    return Pairs(**torch.load(pairs_path(size), weights_only=True))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seed", type=int, default=11)
    arguments.add_argument("--scale", type=float, default=1.0, help="fewer pairs for a short run")
    options = arguments.parse_args()
    loop.prepare_process()
    _, _, image_encoder = clip.load(loop.RUNS / "clip")
    torch.save(embed_views(image_encoder), loop.RUNS / "views.pt")
    movq = VQModel.from_pretrained(loop.RUNS / "movq").eval()
    for size, full in COUNTS.items():
        count = int(full * options.scale) // _PER_BACKGROUND * _PER_BACKGROUND
        torch.save(vars(make_pairs(movq, size, count, options.seed + size)), pairs_path(size))
        print(f"{count} pairs of {size} px", flush=True)


if __name__ == "__main__":
    main()
