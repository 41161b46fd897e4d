"""Kandinsky 2.2's decoder for image-to-image: makes a picture anew from a picture. source: KandinskyV22Img2ImgPipeline."""

from __future__ import annotations

from typing import Any

import torch
from diffusers.utils.torch_utils import randn_tensor

from inpaint.core.progress import Progress, ProgressCallback, UseAsIs
from inpaint.core.request import SamplingParams
from inpaint.engines.base import EngineOutput, Pixels
from inpaint.engines.kandinsky.decoder import Decoder
from inpaint.engines.kandinsky.latents import batch, guided_noise, to_processor_range
from inpaint.engines.kandinsky.prior import Guidance
from inpaint.engines.kandinsky.scene import Scene, ScenePreview
from inpaint.engines.runtime.preview import LatentColours
from inpaint.engines.runtime.schedulers import has_learned_variance, predicted_original
from inpaint.engines.runtime.tensors import require_finite, seeded, to_array

DEFAULT_STRENGTH = 0.3
"""The stock pipeline's own strength, for a request that names none."""


class ImageDecoder(Decoder):
    """Makes a picture anew from a picture."""

    channels = 4
    purpose = "image-to-image"

    def paint(self, picture: Pixels, sampling: SamplingParams, guidance: Guidance, report: ProgressCallback) -> EngineOutput:
        """Noises the picture as far as the strength says, and denoises it. Raises EditCancelled, BadOutput, InvalidRequest."""
        scheduler = self._scheduler_for(sampling)
        scene = self._scene(lambda: self._read(picture, report), picture)
        timesteps, notices = self._timesteps(scheduler, sampling)
        latents = self._denoise(scheduler, timesteps, scene, guidance, sampling, report)
        require_finite(latents, "decoder")
        return EngineOutput(self._decode(latents, report), (*self._notices, *notices))

    def _read(self, picture: Pixels, report: ProgressCallback) -> Scene:
        latents = self._encode(to_processor_range(picture), report).contiguous()  # as upstream's repeat_interleave leaves them
        return Scene(latents, torch.zeros_like(latents[:, :1]), LatentColours.fit(to_array(latents), picture))

    def _timesteps(self, scheduler: Any, sampling: SamplingParams) -> tuple[torch.Tensor, tuple[str, ...]]:
        """The last steps of the schedule, as large a share as the strength, and the notices.

        At least one step, which the stock pipeline may leave out.
        """
        steps = len(scheduler.timesteps)
        strength = DEFAULT_STRENGTH if sampling.strength is None else sampling.strength
        wanted = min(int(steps * strength), steps)
        if wanted < 1:
            return scheduler.timesteps[-1:], (f"A strength of {strength:g} is less than one of {steps} steps: one step was done.",)
        return scheduler.timesteps[steps - wanted :], ()

    def _denoise(
        self, scheduler: Any, timesteps: torch.Tensor, scene: Scene, guidance: Guidance, sampling: SamplingParams, report: ProgressCallback
    ) -> torch.Tensor:
        """Latents [1, 4, h, w] of the repainted picture; stopped early, the predicted x0."""
        halves, embeds, scale = batch(guidance, sampling)
        generator, preview = seeded(sampling.seed), ScenePreview(scene, self._clock)
        noise = randn_tensor(scene.latents.shape, generator=generator, device=torch.device(self._residency.device), dtype=embeds.dtype)
        latents = scheduler.add_noise(scene.latents, noise, timesteps[:1])
        with self._using_unet(latents, report) as unet:
            report(Progress("denoising", 0, len(timesteps)))
            for number, timestep in enumerate(timesteps, start=1):
                sample = torch.cat([latents] * halves) if halves > 1 else latents
                predicted = guided_noise(self._predict(unet, sample, timestep, embeds), scale, has_learned_variance(scheduler))
                step = scheduler.step(predicted, timestep, latents, generator=generator)
                latents = step.prev_sample
                predicted = predicted_original(scheduler, step)
                try:
                    report(Progress("denoising", number, len(timesteps), preview.of(predicted)))
                except UseAsIs:
                    return predicted
        return latents
