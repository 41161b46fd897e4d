"""Our vectorised mask preparation beside diffusers' loop over latent cells, on the same masks.

    python bench/mask_preparation.py [--runs 5]

Prints median milliseconds and the ratio by working extent; both give the same cells, which is checked.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
from diffusers.pipelines.kandinsky2_2.pipeline_kandinsky2_2_inpainting import prepare_mask

from bench.timing import median_ms
from inpaint.engines.kandinsky.latents import spread

CELL = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    print("| working extent | diffusers ms | ours ms | ratio |\n|---|---|---|---|")
    for side in (512, 768, 1024):
        cells = round_mask(side // CELL)
        keep = torch.from_numpy(~cells).float()[None, None]
        assert np.array_equal(prepare_mask(keep.clone())[0, 0].numpy() == 0, spread(cells))
        stock = median_ms(lambda keep=keep: prepare_mask(keep.clone()), runs)
        ours = median_ms(lambda cells=cells: spread(cells), runs)
        print(f"| {side} x {side} | {stock:.1f} | {ours:.3f} | {stock / ours:.0f} |")


def round_mask(side: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    rows, columns = np.mgrid[0:side, 0:side]
    return (rows - side / 2) ** 2 + (columns - side / 2) ** 2 < (side / 4) ** 2


if __name__ == "__main__":
    main()
