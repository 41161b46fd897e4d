"""Engines and files that do what a test tells them. Knows no torch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inpaint.core.progress import Progress, ProgressCallback, Stage
from inpaint.core.spec import WorkingLimits
from inpaint.engines.base import EngineInput, EngineOutput, FreeMemory

Pixels = NDArray[np.uint8]
Result = TypeVar("Result")

ANY_EXTENT = WorkingLimits(multiple=1, max_pixels=1 << 30, context=0.5, max_upscale=1.0)
"""Limits under which nothing is ever scaled."""

MULTIPLES_OF_64 = WorkingLimits(multiple=64, max_pixels=256 * 256, native_pixels=192 * 192, context=0.5, max_upscale=3.0)


def returns_its_input(work: EngineInput) -> Pixels:
    return work.picture


def paints(*colour: int) -> Callable[[EngineInput], Pixels]:
    """An engine that repaints everything it sees, far beyond the mask, as a careless model would."""
    return lambda work: np.full_like(work.picture, colour)


@dataclass
class FakeEngine:
    """An inpainter that reports `stages` and answers with `paint`; `fails` is raised when its stage begins."""

    paint: Callable[[EngineInput], Pixels] = returns_its_input
    stages: tuple[Stage, ...] = ("prior", "denoising", "decoding")
    fails: dict[Stage, BaseException] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    seen: list[EngineInput] = field(default_factory=list)

    def inpaint(self, work: EngineInput, report: ProgressCallback) -> EngineOutput:
        self.seen.append(work)
        for stage in self.stages:
            report(Progress(stage, 1, 1))
            if stage in self.fails:
                raise self.fails[stage]
        return EngineOutput(self.paint(work), self.notices)

    def reduce_memory(self) -> str | None:
        return None

    def reduce_memory_slowly(self) -> str | None:
        return None

    def restore(self) -> None:
        pass

    def free_memory(self) -> FreeMemory:
        return FreeMemory(10**9, "cpu")


class Calls:
    """An executor whose work is a function of `report`."""

    can_end_early = True

    def run(self, work: Callable[[ProgressCallback], Any], report: ProgressCallback) -> Any:
        return work(report)


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> Pixels:
    """uint8 [H, W, C], every pixel another colour: whatever is moved, blended or scaled shows."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def block(height: int, width: int, top: int, left: int, bottom: int, right: int) -> Pixels:
    """uint8 [H, W], 255 in the rectangle."""
    pixels = np.zeros((height, width), np.uint8)
    pixels[top:bottom, left:right] = 255
    return pixels


def save(pixels: Pixels, path: Path) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def run_apart(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run it on a thread of its own: while a browser is open, playwright's loop runs on this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()
