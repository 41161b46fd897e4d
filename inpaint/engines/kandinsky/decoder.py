"""Kandinsky 2.2's decoders: an image embedding to a picture, inside a mask or from another picture.

Our own loops over diffusers' parts, bit for bit what KandinskyV22InpaintPipeline and KandinskyV22Img2ImgPipeline give
(diffusers 0.42, pipelines/kandinsky2_2/), so nothing here may change the order of the arithmetic: guided and unguided halves
stay in one batch, and tensors keep their memory layout. They know no words.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from diffusers import UNet2DConditionModel, VQModel
from diffusers.utils.torch_utils import randn_tensor
from numpy.typing import NDArray

from inpaint.core.progress import Progress, ProgressCallback, UseAsIs
from inpaint.core.request import SamplingParams
from inpaint.engines.base import EngineInput, EngineOutput, Pixels
from inpaint.engines.kandinsky.prior import Guidance, arithmetic, decoder_guidance, guide
from inpaint.engines.runtime.budget import MOVQ_PIXEL_BYTES
from inpaint.engines.runtime.checkpoint import Checkpoint
from inpaint.engines.runtime.compilation import Compiler
from inpaint.engines.runtime.diffusion import (
    SCHEDULERS,
    cancel_points,
    has_learned_variance,
    in_slices,
    is_finite,
    make_scheduler,
    predicted_original,
    require_finite,
    seeded,
    to_pixels,
)
from inpaint.engines.runtime.lru import Recent
from inpaint.engines.runtime.preview import LatentColours, PreviewTimer
from inpaint.engines.runtime.residency import Part, Residency
from inpaint.errors import InvalidRequest

Clock = Callable[[], float]

DEFAULT_STEPS = 50
"""Where the request leaves it out: the published example's value."""

SLICED = "attention was computed in slices"
STREAMED = "the model's weights went to the GPU layer by layer, which takes far longer"

DEFAULT_STRENGTH = 0.3
"""Where the request leaves it out: the stock pipeline's own."""


@dataclass(frozen=True, eq=False)
class Scene:
    """The picture in latents. latents: [1, 4, h, w], keep: [1, 1, h, w] with 1 = stays, 0 = is repainted. colours: of its previews."""

    latents: torch.Tensor
    keep: torch.Tensor
    colours: LatentColours

    def put_back(self, repainted: torch.Tensor, original: torch.Tensor) -> torch.Tensor:
        return self.keep * original + (1 - self.keep) * repainted


class Decoder:
    """What both decoders share: the parts, the way into latents and back, and what can be given up for memory.

    cell: px a latent cell's side. compiler: of the UNet; None = it is not compiled.
    """

    channels: ClassVar[int]
    """What tells a UNet of this task from others."""

    purpose: ClassVar[str]

    def __init__(self, residency: Residency, unet: Part[Any], movq: Part[Any], scheduler: Any, dtype: torch.dtype, cell: int,
                 clock: Clock, compiler: Compiler | None) -> None:
        self._residency = residency
        self._unet, self._movq = unet, movq
        self._scheduler = scheduler
        self._dtype = dtype
        self._clock = clock
        self._compiler = compiler
        self._scenes: Recent[bytes, Scene] = Recent(1)
        self._is_sliced = self._is_alone = self._is_streamed = False
        self.cell = cell

    @classmethod
    def load(cls, checkpoint: Checkpoint, residency: Residency, dtype: torch.dtype, clock: Clock, compiler: Compiler | None) -> Self:
        """Everything but the weights, which are brought when they are needed. Raises ModelUnavailable."""
        channels, blocks = checkpoint.read_config("unet").get("in_channels"), checkpoint.read_config("movq").get("block_out_channels")
        if channels != cls.channels:
            raise checkpoint.unavailable(f"The decoder of {checkpoint.model} is no {cls.purpose} model: its UNet takes "
                                         f"{channels} channels, not {cls.channels}.")
        return cls(residency, checkpoint.part(residency, UNet2DConditionModel, "unet", dtype),
                   checkpoint.part(residency, VQModel, "movq", dtype), checkpoint.load_scheduler(tuple(SCHEDULERS.values())),
                   dtype, 2 ** (len(blocks or ()) - 1), clock, compiler)

    @property
    def parts(self) -> tuple[Part[Any], ...]:
        """In the order of their use."""
        return self._movq, self._unet

    @property
    def is_relieved(self) -> bool:
        return self._is_sliced or self._is_alone or self._is_streamed

    def working_bytes(self, height: int, width: int) -> int:
        """Of activations, at most; a measured estimate."""
        return MOVQ_PIXEL_BYTES * height * width * self._dtype.itemsize

    def attend_in_slices(self) -> str | None:
        """One head at a time, by diffusers' own processors; None where it is so already."""
        if self._is_sliced:
            return None
        self._is_sliced = True
        return SLICED

    def go_alone(self) -> str | None:
        """UNet and MoVQ are on the device one at a time; None where it is so already."""
        if self._is_alone:
            return None
        self._is_alone = True
        return f"one part of the model was {'on the GPU' if self._residency.parks else 'in memory'} at a time"

    def stream(self) -> str | None:
        """The UNet's weights go to the device layer by layer; None where it is so already."""
        if self._is_streamed:
            return None
        self._is_alone = self._is_streamed = True
        return STREAMED

    def restore(self) -> None:
        """Take back all of these."""
        self._is_sliced = self._is_alone = self._is_streamed = False

    def _scheduler_for(self, sampling: SamplingParams) -> Any:
        """Fresh for one run, with its timesteps. Raises InvalidRequest."""
        scheduler = make_scheduler(self._scheduler, sampling.scheduler)
        steps, most = sampling.num_inference_steps or DEFAULT_STEPS, int(scheduler.config.num_train_timesteps)
        if steps > most:
            raise InvalidRequest("num_inference_steps", f"This checkpoint was trained with {most} steps and takes no more.")
        scheduler.set_timesteps(steps, device=self._residency.device)
        return scheduler

    def _scene(self, make: Callable[[], Scene], *arrays: Pixels) -> Scene:
        """What the arrays were made into lately: other candidates of one job, and a next edit of the same picture, encode nothing."""
        digest = hashlib.sha256(arithmetic(self._residency.device).encode())
        for array in arrays:
            digest.update(str(array.shape).encode())
            digest.update(np.ascontiguousarray(array).data)
        known = self._scenes.get(digest.digest())
        if known is None:
            known = make()
            self._scenes.keep(digest.digest(), known)
        return known

    def _encode(self, pixels: torch.Tensor, report: ProgressCallback) -> torch.Tensor:
        """[1, 3, h, w] in -1 .. 1 -> [1, 4, h / 8, w / 8]."""
        with self._using_movq(pixels, 1, report) as (movq,), \
                cancel_points([*movq.encoder.down_blocks, movq.encoder.mid_block], "encoding", report):
            report(Progress("encoding"))
            latents = movq.encode(self._on_device(pixels))["latents"]
        require_finite(latents, "encoder")
        return latents

    def _decode(self, latents: torch.Tensor, report: ProgressCallback) -> Pixels:
        with self._using_movq(latents, self.cell, report) as (movq,), \
                cancel_points([movq.decoder.mid_block, *movq.decoder.up_blocks], "decoding", report):
            report(Progress("decoding"))
            picture = movq.decode(latents, force_not_quantize=True)["sample"]
            if latents.dtype is torch.float16 and not is_finite(picture):
                picture = decode_in_float32(movq, latents)
        require_finite(picture, "picture decoder")
        return to_pixels((picture * 0.5 + 0.5).clamp(0, 1))

    def _using_movq(self, numbers: torch.Tensor, scale: int, report: ProgressCallback) -> AbstractContextManager[tuple[Any, ...]]:
        working = self.working_bytes(*(side * scale for side in numbers.shape[2:]))
        return self._residency.using(report, self._movq, working=working, alone=self._is_alone)

    @contextmanager
    def _using_unet(self, latents: torch.Tensor, report: ProgressCallback) -> Generator[Any]:
        """Where it is beyond the budget, what memory running out would bring is done at once; _budget_notices says so."""
        is_beyond = self._is_beyond_budget(latents)
        if self._is_streamed or (self._residency.parks and is_beyond):
            held = self._residency.streaming(report, self._unet)
        else:
            held = self._residency.using(report, self._unet, working=self._working_beside(latents), alone=self._is_alone)
        with held as (unet,), in_slices(unet) if self._is_sliced or is_beyond else nullcontext():
            if self._residency.device == "cpu" and self._dtype is torch.bfloat16:
                lay_channels_last(unet)
            yield self._runner(unet, report, is_plain=not (is_beyond or self._is_sliced or self._is_streamed))

    def _working_beside(self, latents: torch.Tensor) -> int:
        return self.working_bytes(*(side * self.cell for side in latents.shape[2:]))

    def _is_beyond_budget(self, latents: torch.Tensor) -> bool:
        """Whether the UNet would not fit even by itself, where that counts before it is tried."""
        return self._residency.binds and not self._residency.fits(self._unet, working=self._working_beside(latents))

    def _budget_notices(self, latents: torch.Tensor) -> tuple[str, ...]:
        """What was done otherwise for the budget, but for what memory running out had brought before."""
        if not self._is_beyond_budget(latents):
            return ()
        streamed = [STREAMED] if self._residency.parks and not self._is_streamed else []
        done = [*streamed, *([] if self._is_sliced else [SLICED])]
        return (self._residency.in_words(", and ".join(done)),) if done else ()

    def _runner(self, unet: Any, report: ProgressCallback, is_plain: bool) -> Any:
        """What is called as the UNet. is_plain: its layers are those that would be compiled."""
        if self._compiler is None:
            return unet
        return self._compiler.of(unet, report) if is_plain else self._compiler.stand_aside(unet)

    @property
    def _compiler_notices(self) -> tuple[str, ...]:
        return self._compiler.notices if self._compiler else ()

    def _predict(self, unet: Any, sample: torch.Tensor, timestep: torch.Tensor, embeds: torch.Tensor) -> torch.Tensor:
        return unet(sample=sample, timestep=timestep, encoder_hidden_states=None, added_cond_kwargs={"image_embeds": embeds},
                    return_dict=False)[0]

    def _on_device(self, numbers: torch.Tensor) -> torch.Tensor:
        return numbers.to(dtype=self._dtype, device=self._residency.device)


class InpaintDecoder(Decoder):
    """Repaints inside a mask. source: KandinskyV22InpaintPipeline."""

    channels = 9
    """4 latents + 4 latents of the kept picture + 1 mask."""

    purpose = "inpainting"

    def paint(self, work: EngineInput, guidance: Guidance, report: ProgressCallback) -> EngineOutput:
        """Repaint the masked part. Raises EditCancelled, BadOutput, InvalidRequest."""
        scheduler = self._scheduler_for(work.sampling)
        scene = self._scene(lambda: self._read(work, report), work.picture, work.mask)
        preview = LivePreview(scene, self._clock)
        latents = self._denoise(scheduler, scene, guidance, work.sampling, preview, report)
        require_finite(latents, "decoder")
        return EngineOutput(self._decode(scene.put_back(latents, scene.latents), report),
                            (*self._compiler_notices, *self._budget_notices(latents)))

    def _read(self, work: EngineInput, report: ProgressCallback) -> Scene:
        latents = self._encode(to_model_range(work.picture), report)
        cells = max_pool_to_cells(work.mask, self.cell)[::self.cell, ::self.cell] > 0
        keep = torch.from_numpy(~spread(cells)).to(torch.float32)[None, None]
        return Scene(latents, self._on_device(keep), LatentColours.fit(on_cpu(latents), work.picture))

    def _denoise(self, scheduler: Any, scene: Scene, guidance: Guidance, sampling: SamplingParams, preview: LivePreview,
                 report: ProgressCallback) -> torch.Tensor:
        """Latents [1, 4, h, w] of the repainted picture; stopped early, the predicted x0."""
        halves, embeds, scale = batch(guidance, sampling)
        generator = seeded(sampling.seed)
        noise = randn_tensor(scene.latents.shape, generator=generator, device=torch.device(self._residency.device),
                             dtype=embeds.dtype)
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


class ImageDecoder(Decoder):
    """Makes a picture anew from a picture. source: KandinskyV22Img2ImgPipeline."""

    channels = 4
    purpose = "image-to-image"

    def paint(self, picture: Pixels, sampling: SamplingParams, guidance: Guidance, report: ProgressCallback) -> EngineOutput:
        """Noise the picture as far as the strength says, and denoise it. Raises EditCancelled, BadOutput, InvalidRequest."""
        scheduler = self._scheduler_for(sampling)
        scene = self._scene(lambda: self._read(picture, report), picture)
        timesteps, notices = self._timesteps(scheduler, sampling)
        latents = self._denoise(scheduler, timesteps, scene, guidance, sampling, report)
        require_finite(latents, "decoder")
        return EngineOutput(self._decode(latents, report), (*self._compiler_notices, *self._budget_notices(latents), *notices))

    def _read(self, picture: Pixels, report: ProgressCallback) -> Scene:
        latents = self._encode(to_processor_range(picture), report).contiguous()  # as upstream's repeat_interleave leaves them
        return Scene(latents, torch.zeros_like(latents[:, :1]), LatentColours.fit(on_cpu(latents), picture))

    def _timesteps(self, scheduler: Any, sampling: SamplingParams) -> tuple[torch.Tensor, tuple[str, ...]]:
        """The last steps of the schedule, their share being the strength; at least one, which the stock pipeline may leave out."""
        steps = len(scheduler.timesteps)
        strength = DEFAULT_STRENGTH if sampling.strength is None else sampling.strength
        wanted = min(int(steps * strength), steps)
        if wanted < 1:
            return scheduler.timesteps[-1:], (f"A strength of {strength:g} is less than one of {steps} steps: one step was done.",)
        return scheduler.timesteps[steps - wanted:], ()

    def _denoise(self, scheduler: Any, timesteps: torch.Tensor, scene: Scene, guidance: Guidance, sampling: SamplingParams,
                 report: ProgressCallback) -> torch.Tensor:
        """Latents [1, 4, h, w] of the repainted picture; stopped early, the predicted x0."""
        halves, embeds, scale = batch(guidance, sampling)
        generator, preview = seeded(sampling.seed), LivePreview(scene, self._clock)
        noise = randn_tensor(scene.latents.shape, generator=generator, device=torch.device(self._residency.device),
                             dtype=embeds.dtype)
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


class LivePreview:
    """Small pictures of what the decoder is heading for, now and then."""

    def __init__(self, scene: Scene, clock: Clock) -> None:
        self._scene = scene
        self._timer = PreviewTimer(clock)

    def of(self, predicted: torch.Tensor) -> Pixels | None:
        """uint8 [h, w, 3], one pixel a latent cell, or None while the last one is fresh. predicted: x0 [1, 4, h, w]."""
        if not self._timer.is_due():
            return None
        return self._scene.colours.picture(on_cpu(self._scene.put_back(predicted, self._scene.latents)))


def lay_channels_last(unet: Any) -> None:
    """A channel's neighbours in memory are the other channels: a third faster in bfloat16 on a CPU (bench/speed.py), but other last bits.

    All weights are copied, also those that have no such layout: one that stays would keep its whole file mapped.
    """
    if unet.conv_in.weight.is_contiguous(memory_format=torch.channels_last):
        return
    for parameter in unet.parameters():
        layout = torch.channels_last if parameter.dim() == 4 else torch.preserve_format
        parameter.data = parameter.data.clone(memory_format=layout)


def batch(guidance: Guidance, sampling: SamplingParams) -> tuple[int, torch.Tensor, float | None]:
    """Rows of the UNet's batch, their embeddings, and the guidance scale (None = unguided, one row)."""
    if guidance.negative is None:
        return 1, guidance.positive, None
    return 2, torch.cat([guidance.negative, guidance.positive]), decoder_guidance(sampling)


def decode_in_float32(movq: Any, latents: torch.Tensor) -> torch.Tensor:
    """float16 ends at 65504, which a decoder's activations can pass; the same latents in float32 cost little."""
    try:
        movq.to(torch.float32)
        return movq.decode(latents.float(), force_not_quantize=True)["sample"]
    finally:
        movq.to(latents.dtype)


def guided_noise(predicted: torch.Tensor, guidance_scale: float | None, learned_variance: bool) -> torch.Tensor:
    """The UNet's output as the scheduler wants it.

    predicted: [n, 8, h, w], 4 channels noise and 4 variance; n = 2 with guidance, else 1. Returns [1, 8 or 4, h, w]. The
    variance is never guided: that of the guided half counts.
    """
    noise, variance = predicted.chunk(2, dim=1)
    if guidance_scale is not None:
        noise, variance = guide(noise, guidance_scale), variance.chunk(2)[1]
    return torch.cat([noise, variance], dim=1) if learned_variance else noise


def max_pool_to_cells(mask: Pixels, cell: int) -> Pixels:
    """A latent cell that holds any part of the mask belongs to it whole: thin strokes survive the way into latents.

    mask: uint8 [h, w], sides multiples of cell. Returns the same size, constant over each cell x cell square.
    """
    height, width = mask.shape
    largest = mask.reshape(height // cell, cell, width // cell, cell).max(axis=(1, 3))
    return np.repeat(np.repeat(largest, cell, axis=0), cell, axis=1)


def spread(cells: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Grow the repainted cells (bool [h, w]) as the decoder was trained: to six neighbours, two corners of four.

    The same result as diffusers' prepare_mask, which walks cell by cell: the maximum over seven shifted copies.
    """
    height, width = cells.shape
    padded = np.pad(cells, 1)
    shifts = [(0, 0), (-1, 0), (0, -1), (-1, -1), (1, 0), (0, 1), (1, 1)]
    return np.logical_or.reduce([padded[1 + y:1 + y + height, 1 + x:1 + x + width] for y, x in shifts])


def to_model_range(picture: Pixels) -> torch.Tensor:
    """uint8 [h, w, 3] -> float32 [1, 3, h, w] in -1 .. 1.

    The colours of a pixel stay side by side in memory, as upstream leaves them: in another layout the convolutions add in
    another order, and the last bits differ.
    """
    pixels = torch.from_numpy(np.array(picture, order="C")[None]).permute(0, 3, 1, 2)
    return pixels.to(torch.float32) / 127.5 - 1.0


def to_processor_range(picture: Pixels) -> torch.Tensor:
    """uint8 [h, w, 3] -> float32 [1, 3, h, w] in -1 .. 1, by the operations of diffusers' VaeImageProcessor: other ones round otherwise."""
    pixels = np.array(picture, order="C")[None].astype(np.float32) / 255.0
    return 2.0 * torch.from_numpy(pixels.transpose(0, 3, 1, 2)) - 1.0


def on_cpu(latents: torch.Tensor) -> NDArray[np.float32]:
    """[1, c, h, w] on any device -> float32 [c, h, w]."""
    return latents[0].float().cpu().numpy()
