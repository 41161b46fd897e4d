"""Kandinsky 2.2 on a CUDA card: seconds of each stage and peak memory, ours with two budgets beside the stock pipelines.

    python bench/gpu_check.py [--prior DIR --decoder DIR] [--side 768] [--steps 25]
    python bench/gpu_check.py --device cpu --tiny          (the same code on tiny weights, to see that it works)

Without folders, weights of the real size with random numbers are made (10 GB on disk). Exits 2 where there is no CUDA.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch

from bench.memory import scene
from inpaint.core.progress import Progress, ProgressCallback
from inpaint.core.request import SamplingParams
from inpaint.editing.run import StageClock
from inpaint.engines.base import EngineInput
from inpaint.engines.kandinsky.engine import Kandinsky22
from inpaint.engines.memory.out_of_memory import release_memory
from inpaint.engines.memory.residency import Residency
from inpaint.engines.runtime.tensors import seeded
from inpaint.engines.runtime.torch_device import DTYPES

STAGES = ("loading", "prior", "encoding", "denoising", "decoding")
PRIOR_STEPS = 25


@dataclass(frozen=True)
class Setup:
    """prior, decoder: folders. dtype: a name in DTYPES."""

    device: str
    dtype: str
    prior: Path
    decoder: Path
    side: int
    steps: int
    made: Path

    @property
    def work(self) -> EngineInput:
        sampling = SamplingParams(
            "a red hat",
            seed=1,
            num_inference_steps=self.steps,
            guidance_scale=4.0,
            prior_num_inference_steps=PRIOR_STEPS,
            prior_guidance_scale=4.0,
        )
        return EngineInput(*scene(self.side), sampling)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prior", type=Path)
    parser.add_argument("--decoder", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--side", type=int, default=768)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        print("This machine has no CUDA; nothing was measured.", file=sys.stderr)
        sys.exit(2)
    refuse_wrong_folders(parser, options)
    with tempfile.TemporaryDirectory() as folder:
        check(setup(options, Path(folder)))


def refuse_wrong_folders(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Before anything is made or loaded. Exits 2."""
    if bool(options.prior) != bool(options.decoder):
        parser.error("--prior and --decoder go together")
    for folder in filter(None, (options.prior, options.decoder)):
        if not (folder / "model_index.json").is_file():
            parser.error(f"{folder} holds no model: it has no model_index.json")


def setup(options: argparse.Namespace, folder: Path) -> Setup:
    if options.tiny:
        from tests.tiny_models import make_kandinsky

        prior, decoder = make_kandinsky(folder, learned_range=True)
    elif options.prior and options.decoder:
        prior, decoder = options.prior, options.decoder
    else:
        from bench.real_size import build

        prior, decoder = build(Path(tempfile.gettempdir()) / "kandinsky-real-size")
    side, steps = (64, 3) if options.tiny else (options.side, options.steps)
    return Setup(options.device, "float32" if options.device == "cpu" else "float16", prior, decoder, side, steps, folder / "made")


def check(setup: Setup) -> None:
    print(
        f"{torch.cuda.get_device_name(setup.device) if setup.device.startswith('cuda') else setup.device}, {setup.side} px, "
        f"{setup.dtype}, {setup.steps} steps, prior {PRIOR_STEPS}\n"
    )
    print("| | loading s | prior s | encoding s | s/step | decoding s | second edit s | peak GB |\n|---|---|---|---|---|---|---|---|")
    for title, budget in (("first start (makes the constant), budget auto", None), ("budget auto", None), ("budget 6 GB", 6 * 10**9)):
        row(title, setup, lambda budget=budget: ours(setup, budget))
    row("stock", setup, lambda: stock(setup))


def row(title: str, setup: Setup, measure: Callable[[], tuple[dict[str, float], float]]) -> None:
    """Memory is empty at the start of each; what fails is told in the table, and the next is measured."""
    release_memory()
    if setup.device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(setup.device)
    try:
        seconds, second = measure()
    except Exception as error:  # whatever the libraries raise for weights that are not theirs
        print(f"| {title} | {type(error).__name__}: {' '.join(str(error).split())} |", flush=True)
        return
    shown = {stage: seconds.get(stage, 0.0) for stage in STAGES} | {"denoising": seconds["denoising"] / setup.steps}
    peak = torch.cuda.max_memory_allocated(setup.device) / 1e9 if setup.device.startswith("cuda") else 0.0
    print(f"| {title} | " + " | ".join(f"{value:.3f}" for value in shown.values()) + f" | {second:.2f} | {peak:.2f} |", flush=True)


def ours(setup: Setup, budget: int | None) -> tuple[dict[str, float], float]:
    residency = Residency(setup.device, budget)
    clock = StageClock(lambda progress: None)
    report = waiting(setup.device, clock)
    engine = Kandinsky22.load(
        str(setup.prior),
        str(setup.decoder),
        device=setup.device,
        dtype=setup.dtype,
        cache_dir=setup.made,
        report=report,
        residency=residency,
    )
    engine.inpaint(setup.work, report)
    synchronize(setup.device)
    clock.stop()
    started = time.perf_counter()
    engine.inpaint(setup.work, lambda progress: None)
    synchronize(setup.device)
    return clock.seconds, time.perf_counter() - started


def stock(setup: Setup) -> tuple[dict[str, float], float]:
    from diffusers import KandinskyV22InpaintPipeline, KandinskyV22PriorPipeline

    clock = StageClock(lambda progress: None)
    report = waiting(setup.device, clock)
    report(Progress("loading"))
    prior: Any = KandinskyV22PriorPipeline.from_pretrained(setup.prior, dtype=DTYPES[setup.dtype]).to(setup.device)
    decoder: Any = KandinskyV22InpaintPipeline.from_pretrained(setup.decoder, dtype=DTYPES[setup.dtype]).to(setup.device)
    for pipeline in (prior, decoder):
        pipeline.set_progress_bar_config(disable=True)
    stock_edit(setup, prior, decoder, report)
    synchronize(setup.device)
    clock.stop()
    started = time.perf_counter()
    stock_edit(setup, prior, decoder, lambda progress: None)
    synchronize(setup.device)
    return clock.seconds, time.perf_counter() - started


def stock_edit(setup: Setup, prior: Any, decoder: Any, report: ProgressCallback) -> np.ndarray:
    """Its stages seen from outside, as ours are told: denoising begins with the UNet's first call."""
    from PIL import Image

    work = setup.work
    report(Progress("prior"))
    embeds = prior(work.sampling.prompt, num_inference_steps=PRIOR_STEPS, guidance_scale=4.0, generator=seeded(1))
    report(Progress("encoding"))
    begun = decoder.unet.register_forward_pre_hook(lambda *_: report(Progress("denoising")))

    def on_step_end(_pipeline: Any, step: int, _timestep: Any, _tensors: Any) -> dict[str, Any]:
        if step + 1 == setup.steps:
            report(Progress("decoding"))
        return {}

    result = decoder(
        image=Image.fromarray(work.picture),
        mask_image=Image.fromarray(work.mask),
        image_embeds=embeds.image_embeds,
        negative_image_embeds=embeds.negative_image_embeds,
        height=setup.side,
        width=setup.side,
        num_inference_steps=setup.steps,
        guidance_scale=4.0,
        generator=seeded(1),
        callback_on_step_end=on_step_end,
    )
    begun.remove()
    return np.asarray(result.images[0])


def waiting(device: str, clock: StageClock) -> ProgressCallback:
    """Waits for the card before the clock hears of the next stage, so that what was asked of it is booked to the stage that asked."""

    def report(progress: Progress) -> None:
        synchronize(device)
        clock(progress)

    return report


def synchronize(device: str) -> None:
    """CUDA computes behind Python's back: a stage has ended when the card says so."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
