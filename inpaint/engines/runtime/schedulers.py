"""The schedulers of diffusion: a new one for each run, by name or as the checkpoint names it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler

from inpaint.errors import InvalidRequest

SCHEDULERS: Mapping[str, Any] = MappingProxyType({"ddpm": DDPMScheduler, "ddim": DDIMScheduler, "dpm++": DPMSolverMultistepScheduler})
"""The schedulers of decoders, by their name in SamplingParams. Euler types need scale_model_input, which the loop never calls."""


def make_scheduler(own: Any, name: str | None) -> Any:
    """A new scheduler for one run, so that a cancelled run leaves no state. name: another type than the checkpoint's own.

    Another type has no learned variance, so that setting is left out: the scheduler would fail on the channel count.
    Raises InvalidRequest.
    """
    if name is not None and name not in SCHEDULERS:
        raise InvalidRequest("scheduler", f"There is no scheduler {name!a}.", f"Choose one of {', '.join(SCHEDULERS)}.")
    kind = type(own) if name is None else SCHEDULERS[name]
    config = dict(own.config)
    if kind is not type(own):
        config.pop("variance_type", None)
    return kind.from_config(config)


def has_learned_variance(scheduler: Any) -> bool:
    """Whether the scheduler wants the variance half of the UNet's output."""
    return scheduler.config.get("variance_type") in ("learned", "learned_range")


def predicted_original(scheduler: Any, step: Any) -> torch.Tensor:
    """The finished latents as they look from this step (x0): [1, c, h, w], in the sample's dtype.

    step: what `scheduler.step` returned. DPM++ does not return x0, but keeps it for its next step.
    """
    original = getattr(step, "pred_original_sample", None)
    return scheduler.model_outputs[-1] if original is None else original
