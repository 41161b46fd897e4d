"""What holds for every scheduler."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDPMScheduler

from inpaint.engines.runtime.schedulers import make_scheduler, predicted_original
from inpaint.engines.runtime.tensors import seeded


@pytest.mark.parametrize("name", ["ddpm", "ddim", "dpm++"])
def test_the_preview_sees_the_same_original_in_every_scheduler(name) -> None:
    """x0 = (x - sqrt(1 - a) e) / sqrt(a), whichever scheduler computes it (DDIM, arXiv 2010.02502, formula 12)."""
    own = DDPMScheduler(beta_start=0.00085, beta_end=0.012, clip_sample=False)
    scheduler = make_scheduler(own, name)
    scheduler.set_timesteps(5)
    noise, sample = (torch.randn(1, 4, 8, 8, generator=seeded(seed)) for seed in (1, 2))
    timestep = scheduler.timesteps[0]
    step = scheduler.step(noise, timestep, sample, generator=seeded(0))
    alpha = own.alphas_cumprod[timestep]
    torch.testing.assert_close(
        predicted_original(scheduler, step), (sample - (1 - alpha) ** 0.5 * noise) / alpha**0.5, rtol=1e-3, atol=1e-3
    )
