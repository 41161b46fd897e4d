"""Kandinsky 2.2's decoder for inpainting: repaints inside a mask. source: KandinskyV22InpaintPipeline."""

from __future__ import annotations

from typing import Any

import torch
from diffusers.utils.torch_utils import randn_tensor

from inpaint.core.progress import Progress, ProgressCallback, UseAsIs
from inpaint.core.request import SamplingParams
from inpaint.engines.base import EngineInput, EngineOutput
from inpaint.engines.kandinsky.decoder import Decoder
from inpaint.engines.kandinsky.latents import batch, guided_noise, spread, to_model_range
from inpaint.engines.kandinsky.prior import Guidance
from inpaint.engines.kandinsky.scene import Scene, ScenePreview
from inpaint.engines.runtime.preview import LatentColours
from inpaint.engines.runtime.schedulers import has_learned_variance, predicted_original
from inpaint.engines.runtime.tensors import max_pool_to_cells, require_finite, seeded, to_array


class InpaintDecoder(Decoder):
    """Repaints inside a mask."""

    channels = 9
    """4 latents + 4 latents of the kept picture + 1 mask."""

    purpose = "inpainting"

    def paint(self, inputs: EngineInput, guidance: Guidance, report: ProgressCallback) -> EngineOutput:
        """Repaints the masked part. Raises EditCancelled, BadOutput, InvalidRequest."""
        scheduler = self._scheduler_for(inputs.sampling)
        scene = self._scene(lambda: self._read(inputs, report), inputs.picture, inputs.mask)
        preview = ScenePreview(scene, self._clock)
        latents = self._denoise(scheduler, scene, guidance, inputs.sampling, preview, report)
        require_finite(latents, "decoder")
        return EngineOutput(self._decode(scene.put_back(latents, scene.latents), report), self._notices)

    def _read(self, inputs: EngineInput, report: ProgressCallback) -> Scene:
        latents = self._encode(to_model_range(inputs.picture), report)
        cells = max_pool_to_cells(inputs.mask, self.cell)[:: self.cell, :: self.cell] > 0
        keep = torch.from_numpy(~spread(cells)).to(torch.float32)[None, None]
        return Scene(latents, self._on_device(keep), LatentColours.fit(to_array(latents), inputs.picture))

    def _denoise(
        self, scheduler: Any, scene: Scene, guidance: Guidance, sampling: SamplingParams, preview: ScenePreview, report: ProgressCallback
    ) -> torch.Tensor:
        """Latents [1, 4, h, w] of the repainted picture; stopped early, the predicted x0."""
        halves, embeds, scale = batch(guidance, sampling)
        generator = seeded(sampling.seed)
        noise = randn_tensor(scene.latents.shape, generator=generator, device=torch.device(self._residency.device), dtype=embeds.dtype)
        noise = noise * scheduler.init_noise_sigma
        context = torch.cat([scene.latents * scene.keep, scene.keep], dim=1).repeat(halves, 1, 1, 1)
        latents = noise
        with self._using_unet(latents, report) as unet:
            report(Progress("denoising", 0, len(scheduler.timesteps)))
            for number, timestep in enumerate(scheduler.timesteps, start=1):
                sample = torch.cat([torch.cat([latents] * halves), context], dim=1)
                predicted = guided_noise(self._predict(unet, sample, timestep, embeds), scale, has_learned_variance(scheduler))
                step = scheduler.step(predicted, timestep, latents, generator=generator)
                original = scene.latents
                if number < len(scheduler.timesteps):
                    original = scheduler.add_noise(original, noise, scheduler.timesteps[number].cpu().reshape(1))
                latents = scene.put_back(step.prev_sample, original)
                predicted = predicted_original(scheduler, step)
                try:
                    report(Progress("denoising", number, len(scheduler.timesteps), preview.of(predicted)))
                except UseAsIs:
                    return predicted
        return latents
