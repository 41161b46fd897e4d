"""Inpainting with whatever diffusers' own pipelines can: Stable Diffusion 1.5, SDXL, FLUX and others.

Runs diffusers' pipeline unchanged and adds cancelling, checks and previews. Knows no model by name and no hub.
"""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from PIL import Image

from inpaint.core.geometry import Extent
from inpaint.core.progress import Progress, ProgressCallback, UseAsIs
from inpaint.core.request import SamplingParams
from inpaint.engines.base import EngineInput, EngineOutput, Pixels
from inpaint.engines.memory.residency import Residency
from inpaint.engines.pipelines.autoencoder import AutoencoderGate, Encoded, standing_in, unscaled
from inpaint.engines.pipelines.estimate import Estimate
from inpaint.engines.pipelines.folder import open_inpaint_pipeline
from inpaint.engines.pipelines.parts import EngineOfParts, PipelineParts
from inpaint.engines.runtime.checkpoint import open_checkpoint
from inpaint.engines.runtime.preview import LatentColours, PreviewTimer
from inpaint.engines.runtime.prompt_length import cut_notices
from inpaint.engines.runtime.schedulers import SCHEDULERS, make_scheduler
from inpaint.engines.runtime.tensors import max_pool_to_cells, seeded, to_array, to_pixels
from inpaint.errors import InvalidRequest

Clock = Callable[[], float]

NO_STEPS_LEFT = "After adjusting the num_inference_steps by strength"
"""How every pipeline's refusal of too low a strength begins. They differ in how they turn strength and steps into a number of
steps; in all of them a strength of 1 / steps is one step."""

CONTROLS = ("num_inference_steps", "guidance_scale", "strength", "negative_prompt")
PACKED = 3
"""Dimensions of latents where 2 x 2 cells are one token, as in FLUX."""

PROMPTS_KEPT = 2
"""FLUX's pipeline reads prompt and negative prompt one after the other."""


class DiffusersInpaint(EngineOfParts):
    """An Inpainter. Not for two threads at once."""

    def __init__(self, pipeline: Any, parts: PipelineParts, clock: Clock = time.monotonic) -> None:
        super().__init__(parts)
        self._pipeline = pipeline
        self._scheduler = pipeline.scheduler
        self._clock = clock
        self._gate = AutoencoderGate(pipeline.vae, lambda: parts.take("vae"))
        # All candidates of a job, and the next job with the same words, read them once.
        self._encode_prompt = lru_cache(PROMPTS_KEPT)(pipeline.encode_prompt)
        pipeline.set_progress_bar_config(disable=True)

    @classmethod
    def load(
        cls,
        source: str,
        *,
        device: str,
        dtype: str,
        report: ProgressCallback,
        model: str,
        variant: str | None = None,
        how_to_get: str = "",
        residency: Residency | None = None,
        clock: Clock = time.monotonic,
    ) -> DiffusersInpaint:
        """Opens a checkpoint in diffusers' layout on disk, safetensors only; each part's weights are read when it is first needed.

        source: a folder. device, dtype: as choose_device and choose_dtype return them. model, how_to_get: the model's name and
        how to get it, for messages. residency: shared by all engines of a process; None = the engine has its own. Raises
        ModelUnavailable, EditCancelled (from report).
        """
        report(Progress("loading"))
        checkpoint = open_checkpoint(source, model=model, variant=variant, how_to_get=how_to_get)
        return cls(*open_inpaint_pipeline(checkpoint, dtype, residency or Residency(device)), clock)

    def bring(self, report: ProgressCallback) -> None:
        """Loads now what a run needs, as far as it fits."""
        self._parts.bring(report)

    @property
    def pipeline(self) -> str:
        """The name of diffusers' class."""
        return type(self._pipeline).__name__

    @property
    def size_multiple(self) -> int:
        """Both sides of a working extent are multiples of it."""
        return self._pipeline.image_processor.config.vae_scale_factor

    @property
    def _takes(self) -> Mapping[str, inspect.Parameter]:
        return inspect.signature(type(self._pipeline).__call__).parameters

    def lacks(self, controls: Iterable[str]) -> list[str]:
        """Those of the controls that the pipeline does not take, or takes without effect."""
        takes = self._takes
        other_guidance = takes.get("true_cfg_scale")
        without_effect = {"negative_prompt"} if other_guidance is not None and other_guidance.default <= 1 else set[str]()
        return sorted(name for name in controls if name not in {*takes, "scheduler"} - without_effect)

    def inpaint(self, inputs: EngineInput, report: ProgressCallback) -> EngineOutput:
        """Repaints the masked part, at a working extent whose sides are multiples of size_multiple.

        A value that the request leaves out is the pipeline's own default. The mask is widened to whole latent cells: a cell of which
        only a part is to be repainted would be shown to the model grey, but kept. Raises EditCancelled (from report),
        OutOfMemory, BadOutput, InvalidRequest, ModelUnavailable; the engine stays usable.
        """
        height, width = inputs.picture.shape[:2]
        if inputs.mask.shape != (height, width) or height % self.size_multiple or width % self.size_multiple:
            raise ValueError(
                f"picture {inputs.picture.shape} and mask {inputs.mask.shape} must agree, in multiples of {self.size_multiple}"
            )
        with self._parts.run(Extent(width, height), report, lambda: self._pipeline.num_timesteps):
            painted = self._parts.guard(lambda: self._paint(inputs, report), f"an edit of {width} x {height} px")
        return EngineOutput(painted.picture, (*cut_notices(self._reader, inputs.sampling), *self._parts.notices, *painted.notices))

    @property
    def _reader(self) -> Any:
        """The tokenizer that reads farthest: a second one that stops earlier loses no words."""
        parts = self._pipeline.components
        return max(
            (part for name, part in parts.items() if name.startswith("tokenizer") and part is not None),
            key=lambda tokenizer: tokenizer.model_max_length,
        )

    def _paint(self, inputs: EngineInput, report: ProgressCallback) -> EngineOutput:
        scheduler = self._pipeline.scheduler = self._fresh_scheduler(inputs.sampling)
        cell: int = self._pipeline.vae_scale_factor
        mask = max_pool_to_cells(inputs.mask, cell)
        run = _Run(self._pipeline, MaskedPreview(inputs.picture, mask, cell, self._clock), self._gate, report)
        with self._gate.open(report), run.estimate.watching(scheduler), standing_in(self._pipeline, encode_prompt=self._encode_prompt):
            pictures = self._call(inputs.picture, mask, inputs.sampling, run)
        return EngineOutput((pictures[0] * 255).round().astype(np.uint8), run.notices)

    def _call(self, picture: Pixels, mask: Pixels, sampling: SamplingParams, run: _Run) -> Any:
        """float32 [1, h, w, 3] in 0 .. 1, as diffusers makes PIL pictures of; at least one step is done."""
        wanted = {name: getattr(sampling, name) for name in CONTROLS}
        given = {name: value for name, value in wanted.items() if value not in (None, "")}
        height, width = mask.shape

        def paint() -> Any:
            return self._pipeline(
                prompt=sampling.prompt,
                image=Image.fromarray(picture),
                mask_image=Image.fromarray(mask),
                height=height,
                width=width,
                generator=seeded(sampling.seed),
                output_type="np",
                callback_on_step_end=run.on_step_end,
                **given,
            ).images

        try:
            return paint()
        except ValueError as error:
            if not str(error).startswith(NO_STEPS_LEFT):
                raise
        steps: int = given.get("num_inference_steps") or self._takes["num_inference_steps"].default
        strength: float = given.get("strength", self._takes["strength"].default)
        run.notices = (f"A strength of {strength:g} is less than one of {steps} steps: one step was done.",)
        given["strength"] = next(strength for strength in (1 / steps, math.nextafter(1 / steps, 1)) if int(steps * strength) == 1)
        return paint()

    def _fresh_scheduler(self, sampling: SamplingParams) -> Any:
        own, name = self._scheduler, sampling.scheduler
        if name is not None and name in SCHEDULERS and SCHEDULERS[name] not in {*own.compatibles, type(own)}:
            raise InvalidRequest("scheduler", f"This checkpoint cannot be sampled with {name}.", "Leave the scheduler out.")
        return make_scheduler(own, name)


class _Run:
    """What happens between the steps of one run."""

    def __init__(self, pipeline: Any, preview: MaskedPreview, gate: AutoencoderGate, report: ProgressCallback) -> None:
        self._pipeline = pipeline
        self._preview = preview
        self._gate = gate
        self._report = report
        self.estimate = Estimate()
        self.notices: tuple[str, ...] = ()

    def on_step_end(self, pipeline: Any, step: int, _timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        """Reports a step. Where UseAsIs is raised, the pipeline skips its other steps and decodes x0."""
        total = pipeline.num_timesteps
        try:
            self._report(Progress("denoising", step + 1, total, self._preview_now()))
        except UseAsIs:
            if self.estimate.latest is None:
                raise
            pipeline._interrupt = True  # diffusers' documented way; its public side only reads
            return {"latents": self.estimate.latest.to(tensors["latents"].dtype)}
        return {}

    def _preview_now(self) -> Pixels | None:
        encoded, latents = self._gate.first, self.estimate.latest
        if encoded is None or latents is None or not self._preview.is_due():
            return None
        if latents.ndim == PACKED:
            height, width = encoded.picture.shape[-2:]
            latents = self._pipeline._unpack_latents(latents, height, width, self._pipeline.vae_scale_factor)
        return self._preview.of(encoded, unscaled(latents, self._pipeline.vae.config))


class MaskedPreview:
    """Small pictures of what a run is heading for, with the original outside the mask. mask: uint8 [h, w], of whole cells."""

    def __init__(self, picture: Pixels, mask: Pixels, cell: int, clock: Clock) -> None:
        height, width = mask.shape
        cells = picture.reshape(height // cell, cell, width // cell, cell, 3)
        self._original = cells.mean(axis=(1, 3)).round().astype(np.uint8)
        self._repainted = mask[::cell, ::cell, None] > 0
        self._colours: LatentColours | None = None
        self._timer = PreviewTimer(clock)

    def is_due(self) -> bool:
        """Whether a preview is due; asking counts as showing it."""
        return self._timer.is_due()

    def of(self, encoded: Encoded, latents: torch.Tensor) -> Pixels:
        """uint8 [h / cell, w / cell, 3]. latents: x0 as the autoencoder would have made it, [1, c, h / cell, w / cell]."""
        if self._colours is None:
            given = to_pixels((encoded.picture.float() * 0.5 + 0.5).clamp(0, 1))
            self._colours = LatentColours.fit(to_array(encoded.latents), given)
        return np.where(self._repainted, self._colours.picture(to_array(latents)), self._original)
