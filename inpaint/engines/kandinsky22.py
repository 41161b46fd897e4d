"""Kandinsky 2.2 inpainting: the prior turns words into an image embedding, the decoder paints it into the mask.

Our own loops over diffusers' parts; they know no pipeline, no hub and no picture beyond the working extent.

Bit for bit what KandinskyV22PriorPipeline followed by KandinskyV22InpaintPipeline gives (diffusers 0.42,
pipelines/kandinsky2_2/), so nothing here may change the order of the arithmetic: guided and unguided halves stay in one
batch, and tensors keep their memory layout.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import PriorTransformer, UnCLIPScheduler, UNet2DConditionModel, VQModel
from diffusers.utils.torch_utils import randn_tensor
from numpy.typing import NDArray
from transformers import CLIPTextModelWithProjection, CLIPVisionModelWithProjection

from inpaint.core.request import SamplingParams
from inpaint.core.result import Progress
from inpaint.engines.base import EngineInput, EngineOutput, Pixels, Report, UseAsIs
from inpaint.engines.checkpoint import Checkpoint, find_checkpoint
from inpaint.engines.diffusion import (
    DTYPES,
    SCHEDULERS,
    cancel_points,
    cut_notices,
    guard_memory,
    has_learned_variance,
    is_finite,
    make_scheduler,
    predicted_original,
    release_memory,
    require_finite,
    seeded,
    to_pixels,
)
from inpaint.engines.embeddings import EmbeddingFile, PriorEmbeddings, PriorRequest, RecentEmbeddings, weights_identity
from inpaint.engines.preview import LatentColours, PreviewTimer
from inpaint.errors import InvalidRequest

Clock = Callable[[], float]

UNET_CHANNELS = 9
"""4 latents + 4 latents of the kept picture + 1 mask: what tells the inpainting decoder from the plain one."""

MIN_PRIOR_STEPS = 2
"""UnCLIPScheduler divides by the number of steps less one."""

DEFAULT_STEPS, DEFAULT_PRIOR_STEPS, DEFAULT_GUIDANCE = 50, 25, 4.0
"""Where the request leaves a number out: the published examples' values."""


@dataclass(frozen=True, eq=False)
class Condition:
    """What the prior reads, one row a text: embeds [n, d], states [n, 77, d], mask bool [n, 77]."""

    embeds: torch.Tensor
    states: torch.Tensor
    mask: torch.Tensor

    def after(self, other: Condition) -> Condition:
        """other's rows first: unguided before guided, in one batch."""
        return Condition(*(torch.cat([getattr(other, name), getattr(self, name)]) for name in ("embeds", "states", "mask")))


@dataclass(frozen=True, eq=False)
class Scene:
    """The picture in latents. latents: [1, 4, h, w], keep: [1, 1, h, w] with 1 = stays, 0 = is repainted."""

    latents: torch.Tensor
    keep: torch.Tensor

    def put_back(self, repainted: torch.Tensor, original: torch.Tensor) -> torch.Tensor:
        return self.keep * original + (1 - self.keep) * repainted


@dataclass(frozen=True, eq=False)
class DenoisingEnd:
    """latents: [1, 4, h, w], of the repainted picture. notices: what was done otherwise than asked at first."""

    latents: torch.Tensor
    notices: tuple[str, ...] = ()


class Prior:
    """Words to image embedding (unCLIP's diffusion prior, arXiv 2204.06125). source: KandinskyV22PriorPipeline."""

    def __init__(self, transformer: Any, text_encoder: Any, tokenizer: Any, scheduler: Any, device: str) -> None:
        self._transformer = transformer
        self._text_encoder = text_encoder
        self._scheduler = scheduler
        self.device = device
        self.tokenizer = tokenizer

    @classmethod
    def load(cls, checkpoint: Checkpoint, device: str, dtype: torch.dtype) -> Prior:
        """Raises ModelUnavailable, OutOfMemory."""
        return cls(checkpoint.load_model(PriorTransformer, "prior", dtype, device),
                   checkpoint.load_model(CLIPTextModelWithProjection, "text_encoder", dtype, device),
                   checkpoint.load_tokenizer(),
                   checkpoint.load_scheduler((UnCLIPScheduler,)), device)

    def place_on(self, device: str) -> bool:
        """Move the weights; whether there was anything to move. A move that fails half-way leaves them on the CPU."""
        if device == self.device:
            return False
        try:
            self._transformer.to(device)
            self._text_encoder.to(device)
            self.device = device
        finally:
            if self.device != device:
                self._transformer.to("cpu")
                self._text_encoder.to("cpu")
                self.device = "cpu"
            release_memory()
        return True

    def embed(self, asked: PriorRequest, report: Report) -> PriorEmbeddings:
        """Sample the embeddings. With a negative prompt both are sampled side by side, so they share one stream of noise.

        Raises EditCancelled (from report), BadOutput.
        """
        report(Progress("prior", 0, asked.steps))
        generator = seeded(asked.seed)
        scheduler = make_scheduler(self._scheduler, None)
        scheduler.set_timesteps(asked.steps, device=self.device)
        latents = self._sample(scheduler, self._condition(asked), asked.guidance_scale, generator, report)
        embeddings = self._transformer.post_process_latents(latents)
        require_finite(embeddings, "prior")
        negative = None if asked.negative_prompt is None else embeddings[1:]
        return PriorEmbeddings(embeddings[:1], negative)

    def _sample(self, scheduler: Any, condition: Condition, guidance_scale: float, generator: torch.Generator,
                report: Report) -> torch.Tensor:
        guided = guidance_scale > 1
        rows = condition.embeds.shape[0] // (2 if guided else 1)
        shape = (rows, self._transformer.config.embedding_dim)
        latents = randn_tensor(shape, generator=generator, device=torch.device(self.device), dtype=condition.embeds.dtype)
        latents = latents * scheduler.init_noise_sigma
        for step, timestep in enumerate(scheduler.timesteps, start=1):
            predicted = self._transformer(
                torch.cat([latents] * 2) if guided else latents, timestep=timestep, proj_embedding=condition.embeds,
                encoder_hidden_states=condition.states, attention_mask=condition.mask).predicted_image_embedding
            if guided:
                predicted = guide(predicted, guidance_scale)
            following = scheduler.timesteps[step] if step < len(scheduler.timesteps) else None
            latents = scheduler.step(predicted, timestep=timestep, sample=latents, generator=generator,
                                     prev_timestep=following).prev_sample
            report(Progress("prior", step, len(scheduler.timesteps)))
        return latents

    def _condition(self, asked: PriorRequest) -> Condition:
        texts = [asked.prompt] if asked.negative_prompt is None else [asked.prompt, asked.negative_prompt]
        guided = self._read(texts)
        if asked.guidance_scale <= 1:
            return guided
        return guided.after(self._read([asked.negative_prompt or ""] * len(texts)))

    def _read(self, texts: list[str]) -> Condition:
        tokens = self.tokenizer(texts, padding="max_length", max_length=self.tokenizer.model_max_length, truncation=True,
                                return_tensors="pt")
        output = self._text_encoder(tokens.input_ids.to(self.device))
        return Condition(output.text_embeds, output.last_hidden_state, tokens.attention_mask.bool().to(self.device))


class ZeroEmbedding:
    """The embedding of an empty picture, that guides where no negative prompt does: a constant of the checkpoint.

    Its image encoder is the largest part of the model (1.8 billion parameters of 4.9) and is needed for nothing else, so
    it is loaded once for this, and let go.
    """

    def __init__(self, checkpoint: Checkpoint, device: str, dtype: torch.dtype, folder: Path) -> None:
        self._checkpoint = checkpoint
        self._device = device
        self._dtype = dtype
        self._file = EmbeddingFile(folder, zero_identity(checkpoint, device, dtype))
        self._known: torch.Tensor | None = None

    def get(self, report: Report) -> torch.Tensor:
        """[1, d] on the device. Raises ModelUnavailable, OutOfMemory, BadOutput, EditCancelled."""
        if self._known is None:
            stored = self._file.read()
            self._known = self._compute(report) if stored is None else stored.to(self._device)
        return self._known

    def _compute(self, report: Report) -> torch.Tensor:
        report(Progress("loading"))
        encoder = self._checkpoint.load_model(CLIPVisionModelWithProjection, "image_encoder", self._dtype, self._device)
        side = encoder.config.image_size
        empty = torch.zeros(1, 3, side, side).to(device=self._device, dtype=self._dtype)
        embedding = encoder(empty).image_embeds
        del encoder
        release_memory()
        require_finite(embedding, "image encoder")
        self._file.write(embedding)
        return embedding


class InpaintDecoder:
    """Image embedding to picture, inside a mask. source: KandinskyV22InpaintPipeline."""

    def __init__(self, unet: Any, movq: Any, scheduler: Any, device: str, clock: Clock) -> None:
        self._unet = unet
        self._movq = movq
        self._scheduler = scheduler
        self._device = device
        self._clock = clock
        self._at_once: Any = None
        self.cell: int = 2 ** (len(movq.config.block_out_channels) - 1)

    @classmethod
    def load(cls, checkpoint: Checkpoint, device: str, dtype: torch.dtype, clock: Clock) -> InpaintDecoder:
        """Raises ModelUnavailable, OutOfMemory."""
        unet = checkpoint.load_model(UNet2DConditionModel, "unet", dtype, device)
        if unet.config.in_channels != UNET_CHANNELS:
            raise checkpoint.unavailable(f"{checkpoint.folder} is no inpainting model: its UNet takes "
                                         f"{unet.config.in_channels} channels, not {UNET_CHANNELS}.")
        return cls(unet, checkpoint.load_model(VQModel, "movq", dtype, device),
                   checkpoint.load_scheduler(tuple(SCHEDULERS.values())), device, clock)

    def attend_in_slices(self) -> str | None:
        """One head at a time, by diffusers' own processors; None where it is so already."""
        if self._at_once is not None:
            return None
        self._at_once = self._unet.attn_processors
        self._unet.set_attention_slice("max")
        return "attention was computed in slices"

    def attend_at_once(self) -> None:
        if self._at_once is not None:
            self._unet.set_attn_processor(self._at_once)
            self._at_once = None

    def paint(self, work: EngineInput, positive: torch.Tensor, negative: torch.Tensor | None, report: Report) -> EngineOutput:
        """Repaint the masked part. negative: None = no guidance. Raises EditCancelled, BadOutput, InvalidRequest."""
        sampling = work.sampling
        scheduler = make_scheduler(self._scheduler, sampling.scheduler)
        steps, most = sampling.num_inference_steps or DEFAULT_STEPS, int(scheduler.config.num_train_timesteps)
        if steps > most:
            raise InvalidRequest("num_inference_steps", f"This checkpoint was trained with {most} steps and takes no more.")
        scheduler.set_timesteps(steps, device=self._device)
        scene = self._encode(work, report)
        embeds = positive if negative is None else torch.cat([negative, positive])
        guidance_scale = None if negative is None else decoder_guidance(sampling)
        preview = LivePreview(scene, work.picture, self._clock)
        end = self._denoise(scheduler, scene, embeds, guidance_scale, seeded(sampling.seed), preview, report)
        require_finite(end.latents, "decoder")
        picture = self._decode(scene.put_back(end.latents, scene.latents), report)
        return EngineOutput(picture, end.notices)

    def _encode(self, work: EngineInput, report: Report) -> Scene:
        report(Progress("encoding"))
        with cancel_points([*self._movq.encoder.down_blocks, self._movq.encoder.mid_block], "encoding", report):
            latents = self._movq.encode(self._on_device(to_model_range(work.picture)))["latents"]
        require_finite(latents, "encoder")
        cells = max_pool_to_cells(work.mask, self.cell)[::self.cell, ::self.cell] > 0
        keep = torch.from_numpy(~spread(cells)).to(torch.float32)[None, None]
        return Scene(latents, self._on_device(keep))

    def _denoise(self, scheduler: Any, scene: Scene, embeds: torch.Tensor, guidance_scale: float | None,
                 generator: torch.Generator, preview: LivePreview, report: Report) -> DenoisingEnd:
        """guidance_scale: None = embeds has one row, and so has the batch. Stopped early, the latents are the predicted x0."""
        halves = 1 if guidance_scale is None else 2
        noise = randn_tensor(scene.latents.shape, generator=generator, device=torch.device(self._device), dtype=embeds.dtype)
        noise = noise * scheduler.init_noise_sigma
        context = torch.cat([scene.latents * scene.keep, scene.keep], dim=1).repeat(halves, 1, 1, 1)
        latents = noise
        for number, timestep in enumerate(scheduler.timesteps, start=1):
            predicted = self._unet(sample=torch.cat([torch.cat([latents] * halves), context], dim=1), timestep=timestep,
                                   encoder_hidden_states=None, added_cond_kwargs={"image_embeds": embeds},
                                   return_dict=False)[0]
            step = scheduler.step(guided_noise(predicted, guidance_scale, has_learned_variance(scheduler)), timestep, latents,
                                  generator=generator)
            original = scene.latents
            if number < len(scheduler.timesteps):
                original = scheduler.add_noise(original, noise, scheduler.timesteps[number].cpu().reshape(1))
            latents = scene.put_back(step.prev_sample, original)
            predicted = predicted_original(scheduler, step)
            try:
                report(Progress("denoising", number, len(scheduler.timesteps), preview.of(predicted)))
            except UseAsIs:
                return DenoisingEnd(predicted, (f"Stopped at step {number} of {len(scheduler.timesteps)}, as asked.",))
        return DenoisingEnd(latents)

    def _decode(self, latents: torch.Tensor, report: Report) -> Pixels:
        report(Progress("decoding"))
        with cancel_points([self._movq.decoder.mid_block, *self._movq.decoder.up_blocks], "decoding", report):
            picture = self._movq.decode(latents, force_not_quantize=True)["sample"]
            if latents.dtype is torch.float16 and not is_finite(picture):
                picture = self._decode_in_float32(latents)
        require_finite(picture, "picture decoder")
        return to_pixels((picture * 0.5 + 0.5).clamp(0, 1))

    def _decode_in_float32(self, latents: torch.Tensor) -> torch.Tensor:
        """float16 ends at 65504, which a decoder's activations can pass; the same latents in float32 cost little."""
        try:
            self._movq.to(torch.float32)
            return self._movq.decode(latents.float(), force_not_quantize=True)["sample"]
        finally:
            self._movq.to(latents.dtype)

    def _on_device(self, numbers: torch.Tensor) -> torch.Tensor:
        return numbers.to(dtype=self._unet.dtype, device=self._device)


class LivePreview:
    """Small pictures of what the decoder is heading for, now and then."""

    def __init__(self, scene: Scene, picture: Pixels, clock: Clock) -> None:
        self._scene = scene
        self._colours = LatentColours.fit(on_cpu(scene.latents), picture)
        self._timer = PreviewTimer(clock)

    def of(self, predicted: torch.Tensor) -> Pixels | None:
        """uint8 [h, w, 3], one pixel a latent cell, or None while the last one is fresh. predicted: x0 [1, 4, h, w]."""
        if not self._timer.is_due():
            return None
        return self._colours.picture(on_cpu(self._scene.put_back(predicted, self._scene.latents)))


class Kandinsky22:
    """The inpainting engine: an Inpainter. Not for two threads at once."""

    def __init__(self, prior: Prior, decoder: InpaintDecoder, zero: ZeroEmbedding) -> None:
        self._prior = prior
        self._decoder = decoder
        self._zero = zero
        self._recent = RecentEmbeddings()
        self._device = prior.device
        self._prior_stays_off = False

    @classmethod
    def load(cls, prior: str, decoder: str, *, device: str, dtype: str, cache_dir: Path, report: Report,
             prior_revision: str | None = None, decoder_revision: str | None = None, prior_variant: str | None = None,
             decoder_variant: str | None = None, model: str = "kandinsky-2.2",
             clock: Clock = time.monotonic) -> Kandinsky22:
        """Load both checkpoints from disk, all parts but the image encoder.

        prior, decoder: a local folder or a hub repository that was downloaded before. device, dtype: as choose_device and
        choose_dtype return them. cache_dir: for things that can be made again. model: the name in the registry, for
        messages. Raises ModelUnavailable, OutOfMemory, EditCancelled (from report); then nothing stays in memory.
        """
        numbers = DTYPES[dtype]
        prior_checkpoint = find_checkpoint(prior, model=model, revision=prior_revision, variant=prior_variant)
        decoder_checkpoint = find_checkpoint(decoder, model=model, revision=decoder_revision, variant=decoder_variant)
        report(Progress("loading", 1, 2))
        zero = ZeroEmbedding(prior_checkpoint, device, numbers, cache_dir)
        loaded_prior = Prior.load(prior_checkpoint, device, numbers)
        report(Progress("loading", 2, 2))
        return cls(loaded_prior, InpaintDecoder.load(decoder_checkpoint, device, numbers, clock), zero)

    @property
    def size_multiple(self) -> int:
        """Both sides of a working extent are multiples of it."""
        return self._decoder.cell ** 2

    def inpaint(self, work: EngineInput, report: Report) -> EngineOutput:
        """Repaint the masked part, at a working extent whose sides are multiples of size_multiple.

        Raises EditCancelled (from report), OutOfMemory, BadOutput, InvalidRequest; the engine stays usable.
        """
        height, width = work.picture.shape[:2]
        if work.mask.shape != (height, width) or height % self.size_multiple or width % self.size_multiple:
            raise ValueError(f"picture {work.picture.shape} and mask {work.mask.shape} must agree, in multiples "
                             f"of {self.size_multiple}")
        painted = guard_memory(lambda: self._paint(work, report), f"an edit of {width} x {height} px")
        return EngineOutput(painted.picture, (*cut_notices(self._prior.tokenizer, work.sampling), *painted.notices))

    def relieve(self) -> str | None:
        """Off the GPU what is not needed at once; then attention in slices, which needs less at a time and takes longer."""
        return self._release_prior() or self._decoder.attend_in_slices()

    def restore(self) -> None:
        """What the next run computes is what a fresh engine would. Moves nothing: the prior is fetched when it is needed."""
        self._prior_stays_off = False
        self._decoder.attend_at_once()

    def _release_prior(self) -> str | None:
        """Also after each use from now on, so that other candidates need not fail first."""
        self._prior_stays_off = True
        return "the prior was moved off the GPU" if self._prior.place_on("cpu") else None

    @torch.no_grad()
    def _paint(self, work: EngineInput, report: Report) -> EngineOutput:
        embeddings = self._embed(prior_request(work.sampling), report)
        negative = embeddings.negative
        if decoder_guidance(work.sampling) <= 1:
            negative = None
        elif negative is None:
            negative = self._zero.get(report)
        return self._decoder.paint(work, embeddings.positive, negative, report)

    def _embed(self, asked: PriorRequest, report: Report) -> PriorEmbeddings:
        known = self._recent.get(asked)
        if known is None:
            self._prior.place_on(self._device)
            known = self._prior.embed(asked, report)
            if self._prior_stays_off:
                self._prior.place_on("cpu")
            self._recent.keep(asked, known)
        return known


def prior_request(sampling: SamplingParams) -> PriorRequest:
    """The part of a request that the prior sees; an empty negative prompt is none. Raises InvalidRequest."""
    steps = sampling.prior_num_inference_steps or DEFAULT_PRIOR_STEPS
    if steps < MIN_PRIOR_STEPS:
        raise InvalidRequest("prior_num_inference_steps", f"The prior needs at least {MIN_PRIOR_STEPS} steps.")
    guidance_scale = DEFAULT_GUIDANCE if sampling.prior_guidance_scale is None else sampling.prior_guidance_scale
    return PriorRequest(sampling.prompt, sampling.negative_prompt or None, steps, guidance_scale, sampling.seed)


def decoder_guidance(sampling: SamplingParams) -> float:
    """The decoder's guidance scale; up to 1 it is off."""
    return DEFAULT_GUIDANCE if sampling.guidance_scale is None else sampling.guidance_scale


def zero_identity(checkpoint: Checkpoint, device: str, dtype: torch.dtype) -> str:
    """All that decides the bits of a zero embedding: the weights, the number format, and what does the arithmetic.

    Raises ModelUnavailable where the image encoder is not there.
    """
    kind = torch.device(device).type
    threads = torch.get_num_threads() if kind == "cpu" else 0
    try:
        weights = weights_identity(checkpoint.folder / "image_encoder")
    except OSError:
        raise checkpoint.unavailable(f"The image encoder of {checkpoint.model} is not in {checkpoint.folder}.") from None
    return f"{weights} {dtype} {kind} {threads} {torch.__version__}"


def guide(predicted: torch.Tensor, guidance_scale: float) -> torch.Tensor:
    """Classifier-free guidance (arXiv 2207.12598). predicted: [2n, ...], the unguided half first -> [n, ...]."""
    unguided, guided = predicted.chunk(2)
    return unguided + guidance_scale * (guided - unguided)


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


def on_cpu(latents: torch.Tensor) -> NDArray[np.float32]:
    """[1, c, h, w] on any device -> float32 [c, h, w]."""
    return latents[0].float().cpu().numpy()
