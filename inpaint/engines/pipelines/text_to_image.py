"""Text-to-image by the architecture of SDXL, which several models have.

Runs diffusers' own pipeline; knows no model by name, no hub and no files beyond the checkpoint's folder.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from diffusers import StableDiffusionXLPipeline

from inpaint.core.geometry import Extent
from inpaint.core.progress import Progress, ProgressCallback
from inpaint.core.request import SamplingParams
from inpaint.engines.base import EngineOutput, Pixels
from inpaint.engines.memory.residency import Residency
from inpaint.engines.pipelines.autoencoder import standing_in, unscaled
from inpaint.engines.pipelines.folder import open_pipeline
from inpaint.engines.pipelines.parts import EngineOfParts, PipelineParts
from inpaint.engines.runtime.cancel import cancel_points
from inpaint.engines.runtime.checkpoint import open_checkpoint
from inpaint.engines.runtime.prompt_length import cut_notices
from inpaint.engines.runtime.schedulers import make_scheduler
from inpaint.engines.runtime.tensors import require_finite, seeded, to_pixels
from inpaint.errors import InvalidRequest

DEFAULT_STEPS = 50
"""The pipeline's own number of steps, for a request that names none."""


class SdxlTextToImage(EngineOfParts):
    """A Generator. Not for two threads at once."""

    def __init__(self, pipeline: Any, parts: PipelineParts) -> None:
        super().__init__(parts)
        self._pipeline = pipeline
        self._scheduler = pipeline.scheduler
        # All candidates of a job, and the next job with the same words, read them once.
        self._encode_prompt = lru_cache(1)(pipeline.encode_prompt)
        pipeline.set_progress_bar_config(disable=True)

    @classmethod
    def load(
        cls,
        source: str,
        *,
        device: str,
        dtype: str,
        report: ProgressCallback,
        variant: str | None = None,
        model: str = "this model",
        how_to_get: str = "",
        residency: Residency | None = None,
    ) -> SdxlTextToImage:
        """Opens a checkpoint on disk, safetensors only and without a watermark; each part's weights are read when it is first needed.

        source: a folder. device, dtype: as choose_device and choose_dtype return them. model, how_to_get: the model's name and
        how to get it, for messages. residency: shared by all engines of a process; None = the engine has its own. Raises
        ModelUnavailable, EditCancelled (from report).
        """
        report(Progress("loading"))
        checkpoint = open_checkpoint(source, model=model, variant=variant, how_to_get=how_to_get)
        return cls(*open_pipeline(checkpoint, StableDiffusionXLPipeline, dtype, residency or Residency(device)))

    def bring(self, report: ProgressCallback) -> None:
        """Loads now what a run needs, as far as it fits."""
        self._parts.bring(report)

    def generate(self, sampling: SamplingParams, report: ProgressCallback) -> EngineOutput:
        """Makes a picture from text; without width and height, of the checkpoint's own size.

        No guidance_scale means none: then a negative prompt has no effect and is not even read. Raises EditCancelled (from
        report), OutOfMemory, BadOutput, InvalidRequest, ModelUnavailable; the engine stays usable.
        """
        for field, side in (("width", sampling.width), ("height", sampling.height)):
            if side is not None and side % self._pipeline.vae_scale_factor:
                raise InvalidRequest(field, f"The {field} must be a multiple of {self._pipeline.vae_scale_factor}.")
        own_px = self._pipeline.default_sample_size * self._pipeline.vae_scale_factor
        extent = Extent(sampling.width or own_px, sampling.height or own_px)
        with self._parts.run(extent, report, lambda: self._pipeline.num_timesteps):
            picture = self._parts.guard(lambda: self._decode(self._sample(sampling, report), report), "a picture of this size")
        return EngineOutput(picture, (*cut_notices(self._pipeline.tokenizer, sampling), *self._parts.notices))

    def _sample(self, sampling: SamplingParams, report: ProgressCallback) -> torch.Tensor:
        """Latents [1, 4, h / 8, w / 8]."""

        def on_step_end(pipeline: Any, step: int, _timestep: Any, _tensors: dict[str, Any]) -> dict[str, Any]:
            report(Progress("denoising", step + 1, pipeline.num_timesteps))
            return {}

        self._pipeline.scheduler = make_scheduler(self._scheduler, None)
        with standing_in(self._pipeline, encode_prompt=self._encode_prompt):
            return self._pipeline(
                sampling.prompt,
                negative_prompt=sampling.negative_prompt or None,
                width=sampling.width,
                height=sampling.height,
                num_inference_steps=sampling.num_inference_steps or DEFAULT_STEPS,
                guidance_scale=sampling.guidance_scale or 0.0,
                generator=seeded(sampling.seed),
                callback_on_step_end=on_step_end,
                output_type="latent",
            ).images

    @torch.no_grad()
    def _decode(self, latents: torch.Tensor, report: ProgressCallback) -> Pixels:
        require_finite(latents, "UNet")
        vae = self._parts.take("vae")
        with cancel_points([vae.decoder.mid_block, *vae.decoder.up_blocks], "decoding", report):
            picture = vae.decode(unscaled(latents.to(vae.dtype), vae.config)).sample
        require_finite(picture, "picture decoder")
        return to_pixels((picture * 0.5 + 0.5).clamp(0, 1))
