"""The finished latents as they look from a step (x0), whatever the scheduler: for previews, and to end a run early.

It watches a scheduler's steps from outside and changes nothing. Knows no pipeline.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import torch
from diffusers import DPMSolverMultistepScheduler, FlowMatchEulerDiscreteScheduler, PNDMScheduler

from inpaint.engines.pipelines.autoencoder import standing_in

PREDICTS_ORIGINAL = ("dpmsolver++", "sde-dpmsolver++")


class Estimate:
    """The estimate of the last step. latest: x0 in the latents' own shape; None before the first step, and where the scheduler
    does not allow one."""

    def __init__(self) -> None:
        self.latest: torch.Tensor | None = None

    @contextmanager
    def watching(self, scheduler: Any) -> Generator[None]:
        """While open, every step of the scheduler updates `latest`."""
        own_step = scheduler.step

        @wraps(own_step)  # pipelines ask the signature what a step takes
        def step(output: torch.Tensor, timestep: Any, sample: torch.Tensor, **options: Any) -> tuple[torch.Tensor]:
            done = own_step(output, timestep, sample, **(options | {"return_dict": True}))
            self.latest = _original(scheduler, done, output, timestep, sample)
            return (done.prev_sample,)

        with standing_in(scheduler, step=step):
            yield


def _original(scheduler: Any, done: Any, output: torch.Tensor, timestep: Any, sample: torch.Tensor) -> torch.Tensor | None:
    """x0 by the formulas of the schedulers' own step functions in diffusers; None for a scheduler that is not known here."""
    kind = type(scheduler)
    if getattr(done, "pred_original_sample", None) is not None:
        return done.pred_original_sample
    if issubclass(kind, DPMSolverMultistepScheduler) and scheduler.config.algorithm_type in PREDICTS_ORIGINAL:
        return scheduler.model_outputs[-1]
    if issubclass(kind, FlowMatchEulerDiscreteScheduler):
        return (sample - scheduler.sigmas[scheduler.step_index - 1] * output).to(sample.dtype)
    if issubclass(kind, PNDMScheduler) and scheduler.config.prediction_type == "epsilon":
        share = scheduler.alphas_cumprod[int(timestep)]
        return (sample - (1 - share) ** 0.5 * output) / share**0.5
    return None
