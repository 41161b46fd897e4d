"""How long Kandinsky Mini takes to load, and for an edit, beside the stock pipelines on the same weights.

    python bench/mini.py [--side 256] [--steps 20] [--runs 5]

Targets: loads in under 2 s; an edit at 256 px with 20 steps in under 8 s, both on two cores. Imports are not counted.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
from diffusers import KandinskyV22InpaintPipeline, KandinskyV22PriorPipeline
from PIL import Image

from inpaint.config.load import load_config
from inpaint.core.request import SamplingParams
from inpaint.engines.base import EngineInput
from inpaint.models.catalog import Models

FOLDER = Path(__file__).resolve().parent.parent / "models" / "kandinsky-mini"
PROMPT, PRIOR_STEPS, GUIDANCE = "a strawberry", 10, 4.0


def scene(side: int) -> tuple[np.ndarray, np.ndarray]:
    """A slope of grey with a square to repaint."""
    picture = np.repeat(np.linspace(60, 200, side).astype(np.uint8)[None, :, None], 3, axis=2).repeat(side, axis=0)
    mask = np.zeros((side, side), np.uint8)
    mask[side // 4 : side * 3 // 4, side // 4 : side * 3 // 4] = 255
    return picture, mask


def ours(side: int, steps: int, data_dir: str) -> tuple[Callable[[], Any], Callable[[Any, int], object]]:
    """(load, edit with a seed). A new seed each time, so that no prior embedding is kept."""
    picture, mask = scene(side)

    def load() -> Any:
        models = Models(load_config(None, {"device": "cpu", "data_dir": data_dir}))
        engine = models.engine(models.spec("kandinsky-mini", "inpaint"), "inpaint", lambda progress: None)
        edit(engine, 0, 2)  # parts may be loaded on first use
        return engine

    def edit(engine: Any, seed: int, steps: int = steps) -> object:
        sampling = SamplingParams(PROMPT, None, seed, steps, GUIDANCE, prior_num_inference_steps=PRIOR_STEPS, prior_guidance_scale=GUIDANCE)
        return engine.inpaint(EngineInput(picture, mask, sampling), lambda progress: None)

    return load, edit


def stock(side: int, steps: int) -> tuple[Callable[[], Any], Callable[[Any, int], object]]:
    picture, mask = scene(side)

    def load() -> Any:
        pipes = [
            kind.from_pretrained(FOLDER / part, torch_dtype=torch.float32)
            for kind, part in ((KandinskyV22PriorPipeline, "prior"), (KandinskyV22InpaintPipeline, "decoder"))
        ]
        for pipe in pipes:
            pipe.set_progress_bar_config(disable=True)
        edit(pipes, 0, 2)
        return pipes

    def edit(pipes: Any, seed: int, steps: int = steps) -> object:
        words = pipes[0](PROMPT, num_inference_steps=PRIOR_STEPS, guidance_scale=GUIDANCE, generator=torch.Generator().manual_seed(seed))
        return pipes[1](
            words.image_embeds,
            Image.fromarray(picture),
            Image.fromarray(mask),
            words.negative_image_embeds,
            height=side,
            width=side,
            num_inference_steps=steps,
            guidance_scale=GUIDANCE,
            generator=torch.Generator().manual_seed(seed),
        )

    return load, edit


def seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def load_seconds(load: Callable[[], Any], runs: int) -> float:
    """The median of `runs` after one that does not count: the first load imports."""
    load()
    return statistics.median(seconds(load) for _ in range(runs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    print(f"| {options.side} px, {options.steps} steps | load and 2 steps s | edit s, median | worst |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as data_dir:
        makers = {"stock pipelines": stock(options.side, options.steps), "ours": ours(options.side, options.steps, data_dir)}
        loading = {name: load_seconds(load, options.runs) for name, (load, _) in makers.items()}
        loaded = {name: load() for name, (load, _) in makers.items()}
        times: dict[str, list[float]] = {name: [] for name in makers}
        for seed in range(1, options.runs + 1):  # in turns: what else the machine does falls on both
            for name, (_, edit) in makers.items():
                times[name].append(seconds(lambda edit=edit, name=name, seed=seed: edit(loaded[name], seed)))
    for name, taken in times.items():
        print(f"| {name} | {loading[name]:.2f} | {statistics.median(taken):.2f} | {max(taken):.2f} |")
    print(f"\nOurs / stock, median of the pairs: {statistics.median(o / s for s, o in zip(*times.values(), strict=True)):.2f}")


if __name__ == "__main__":
    main()
