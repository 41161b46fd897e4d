"""An engine that does what a test writes down for it, in whatever process it runs: fail, die or hang at a step. Knows no torch."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inpaint.core.geometry import Extent
from inpaint.core.masks.mask import Mask
from inpaint.core.picture import Picture
from inpaint.core.plan import plan_edit, plan_whole
from inpaint.core.progress import Progress, ProgressCallback, Stage, UseAsIs
from inpaint.core.request import EditRequest, GenerateRequest, ReimagineRequest, SamplingParams
from inpaint.core.spec import Task, WorkingLimits
from inpaint.engines.base import EngineInput, EngineOutput, FreeMemory
from inpaint.jobs.work import EditWork, GenerateWork, ReimagineWork, Work
from tests.fakes import block, noise

At = tuple[Stage, int]
PATIENCE = 60
STAGES: tuple[At, ...] = (
    ("prior", 1),
    ("prior", 2),
    ("encoding", 1),
    ("denoising", 1),
    ("denoising", 2),
    ("denoising", 3),
    ("decoding", 1),
)
LIMITS = WorkingLimits(multiple=8, max_pixels=4096, native_pixels=4096)


@dataclass
class Programmed:
    """does: by stage and step, what is called there, after the report. diary: a file that every step adds a line to.

    The picture depends on the input and the seed, and on nothing that an earlier run left.
    """

    does: Mapping[At, Callable[[], object]] = field(default_factory=dict)
    diary: Path | None = None
    relieved: int = 0

    def inpaint(self, work: EngineInput, report: ProgressCallback) -> EngineOutput:
        return self._run(work.picture, work.sampling, report)

    def reimagine(self, picture: NDArray[np.uint8], sampling: SamplingParams, report: ProgressCallback) -> EngineOutput:
        return self._run(picture, sampling, report)

    def generate(self, sampling: SamplingParams, report: ProgressCallback) -> EngineOutput:
        return self._run(np.zeros((sampling.height or 1, sampling.width or 1, 3), np.uint8), sampling, report)

    def reduce_memory(self) -> str | None:
        self.relieved += 1
        return "one thing was given up" if self.relieved == 1 else None

    def reduce_memory_slowly(self) -> str | None:
        return None

    def restore(self) -> None:
        self.relieved = 0

    def free_memory(self) -> FreeMemory:
        return FreeMemory(10**9, "cpu")

    def _run(self, picture: NDArray[np.uint8], sampling: SamplingParams, report: ProgressCallback) -> EngineOutput:
        for stage, step in STAGES:
            total = sum(other == stage for other, _ in STAGES)
            with contextlib.suppress(UseAsIs):
                report(Progress(stage, step, total, picture[::8, ::8] if stage == "denoising" else None))
            self._step(stage, step)
        made = (picture.astype(int) + sampling.seed + np.arange(picture.shape[1])[:, None]) % 256
        return EngineOutput(made.astype(np.uint8))

    def _step(self, stage: Stage, step: int) -> None:
        if self.diary is not None:
            with self.diary.open("a") as file:
                file.write(f"{os.getpid()} {stage} {step}\n")
        self.does.get((stage, step), lambda: None)()


def raises(*errors: BaseException | None) -> Callable[[], None]:
    """The first time the first one, then the second, and so on; None and what comes after the last = nothing happens."""
    left = list(errors)

    def fail() -> None:
        error = left.pop(0) if left else None
        if error is not None:
            raise error

    return fail


def waits_for(file: Path) -> Callable[[], None]:
    """For a file that the test makes, in whatever process."""

    def wait() -> None:
        last = time.monotonic() + PATIENCE
        while not file.exists():
            assert time.monotonic() < last, "it was never made"
            time.sleep(0.005)

    return wait


@dataclass
class OneEngine:
    """A registry whose every model is this engine. to_load: bytes of weights by whether such a job ran before. weights: whether
    it has any."""

    loaded: Programmed
    to_load: tuple[int, int] = (0, 0)
    weights: bool = True

    def spec(self, name: str, task: Task) -> str:
        return f"{name} {task}"

    def has_weights(self, spec: str, task: Task) -> bool:
        return self.weights

    def bytes_to_load(self, spec: str, task: Task, is_first: bool) -> int:
        return self.to_load[not is_first]

    def engine(self, spec: str, task: Task, report: ProgressCallback) -> Any:
        report(Progress("loading"))
        self.loaded.does.get(("loading", 0), lambda: None)()
        return self.loaded


def edit_work(count: int = 1) -> EditWork:
    request = EditRequest(Picture(noise(64, 64)), Mask(block(64, 64, 20, 20, 40, 40)), "fake", SamplingParams(seed=7), count)
    return EditWork(request, plan_edit(request, LIMITS))


def works() -> dict[str, Work]:
    """One of each kind."""
    reimagine = ReimagineRequest(Picture(noise(48, 64)), "fake", SamplingParams(seed=7), 2)
    return {
        "inpaint": edit_work(2),
        "generate": GenerateWork(GenerateRequest("fake", SamplingParams(seed=7, width=64, height=32))),
        "image-to-image": ReimagineWork(reimagine, plan_whole(Extent(64, 48), LIMITS)),
    }
