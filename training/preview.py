"""Draws a grid of edits, to be looked at: `python -m training.preview OUT.png --things strawberry,dog`.

Must not know how the model was trained: the stock pipelines make the pictures."""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from training import judge, loop
from training.things import THINGS, plain_prompt

_ACROSS = 7


def _labelled(picture: np.ndarray, words: str) -> np.ndarray:
    tile = Image.new("RGB", (picture.shape[1], picture.shape[0] + 14), "white")
    tile.paste(Image.fromarray(picture), (0, 14))
    ImageDraw.Draw(tile).text((2, 1), words, fill="black")
    return np.asarray(tile)


def grid(tiles: list[np.ndarray]) -> Image.Image:
    """Rows of seven; the last is filled with white."""
    missing = -len(tiles) % _ACROSS
    tiles = tiles + [np.full_like(tiles[0], 255)] * missing
    rows = [np.concatenate(tiles[start : start + _ACROSS], 1) for start in range(0, len(tiles), _ACROSS)]
    return Image.fromarray(np.concatenate(rows))


def named(words: str) -> list[int]:
    """Their places in THINGS; every sixth thing when none is named."""
    names = [thing.name for thing in THINGS]
    return [names.index(word) for word in words.split(",")] if words else list(range(0, len(THINGS), 6))


def tiles(pipes: judge.Pipes, things: list[int], settings: judge.Settings, seed: int) -> list[np.ndarray]:
    """One row of pictures a photograph; the first tile of each row shows the painted spot."""
    made = []
    for start in range(0, len(things), _ACROSS - 1):
        part = things[start : start + _ACROSS - 1]
        place = judge.scene(seed + start, settings.size)
        painted = np.where(place.mask[..., None] > 0, place.photo // 2 + 127, place.photo).astype(np.uint8)
        pictures = judge.edit(pipes, [plain_prompt(THINGS[index]) for index in part], place, seed + start, settings)
        made += [_labelled(painted, "painted")]
        made += [_labelled(picture, plain_prompt(THINGS[i])) for picture, i in zip(pictures, part, strict=True)]
    return made


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--folder", type=Path, default=loop.MODEL)
    arguments.add_argument("--things", default="")
    arguments.add_argument("--size", type=int, default=192)
    arguments.add_argument("--steps", type=int, default=20)
    arguments.add_argument("--guidance", type=float, default=4.0)
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    torch.set_num_threads(2)
    settings = judge.Settings(options.size, options.steps, options.guidance)
    made = tiles(judge.load_pipes(options.folder), named(options.things), settings, options.seed)
    grid(made).save(options.out)


if __name__ == "__main__":
    main()
