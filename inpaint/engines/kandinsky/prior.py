"""Kandinsky 2.2's prior: words to an image embedding, and the constant embedding that guides where no negative prompt does.

Our own loop over diffusers' parts, bit for bit what KandinskyV22PriorPipeline gives (diffusers 0.42, pipelines/kandinsky2_2/):
nothing here may change the order of the arithmetic. Knows no picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import PriorTransformer, UnCLIPScheduler
from diffusers.utils.torch_utils import randn_tensor
from transformers import CLIPTextModelWithProjection, CLIPVisionModelWithProjection

from inpaint.core.progress import Progress, ProgressCallback
from inpaint.core.request import SamplingParams
from inpaint.engines.kandinsky.embeddings import EmbeddingFile, PriorEmbeddings, PriorRequest
from inpaint.engines.memory.activations import WORDS_BYTES
from inpaint.engines.memory.measures import Measures
from inpaint.engines.memory.residency import Part, Residency
from inpaint.engines.memory.rule import Measure, PartNeeds
from inpaint.engines.runtime.checkpoint import Checkpoint
from inpaint.engines.runtime.lru import Recent
from inpaint.engines.runtime.prompt_length import cut_notices
from inpaint.engines.runtime.schedulers import make_scheduler
from inpaint.engines.runtime.tensors import require_finite, seeded
from inpaint.engines.runtime.weights_identity import weights_identity
from inpaint.errors import InvalidRequest

MIN_PRIOR_STEPS = 2
"""UnCLIPScheduler divides by the number of steps less one."""

DEFAULT_PRIOR_STEPS, DEFAULT_GUIDANCE = 25, 4.0
"""Where the request leaves a number out: the published examples' values."""


@dataclass(frozen=True, eq=False)
class Condition:
    """What the prior reads, a row for each text: embeds [n, d], states [n, 77, d], mask bool [n, 77]."""

    embeds: torch.Tensor
    states: torch.Tensor
    mask: torch.Tensor

    def after(self, other: Condition) -> Condition:
        """Both in one batch, with the other's rows first: the prior expects the unguided rows before the guided ones."""
        return Condition(*(torch.cat([getattr(other, name), getattr(self, name)]) for name in ("embeds", "states", "mask")))


class Prior:
    """Words to image embedding (unCLIP's diffusion prior, arXiv 2204.06125). source: KandinskyV22PriorPipeline.

    measures: what is done where the budget does not hold a part of it.
    """

    def __init__(self, residency: Residency, transformer: Part[Any], text_encoder: Part[Any], tokenizer: Any, scheduler: Any) -> None:
        self._residency = residency
        self._transformer, self._text_encoder = transformer, text_encoder
        self._scheduler = scheduler
        self._conditions: Recent[object, Condition] = Recent(1)
        self.tokenizer = tokenizer
        self.measures = Measures(residency)

    @classmethod
    def load(cls, checkpoint: Checkpoint, residency: Residency, dtype: torch.dtype) -> Prior:
        """Opens everything except the weights, which are brought when they are needed. Raises ModelUnavailable."""
        return cls(
            residency,
            checkpoint.part(residency, PriorTransformer, "prior", dtype),
            checkpoint.part(residency, CLIPTextModelWithProjection, "text_encoder", dtype),
            checkpoint.load_tokenizer(),
            checkpoint.load_scheduler((UnCLIPScheduler,)),
        )

    @property
    def parts(self) -> tuple[Part[Any], ...]:
        """The parts, in the order of their use."""
        return self._text_encoder, self._transformer

    @property
    def identity(self) -> str:
        """A name for all that decides its embeddings, except the request."""
        return f"{self._text_encoder.key} {self._transformer.key} {arithmetic(self._residency.device)}"

    def embed(self, asked: PriorRequest, report: ProgressCallback) -> PriorEmbeddings:
        """Samples the embeddings. With a negative prompt both are sampled side by side, so they share one stream of noise.

        Raises EditCancelled (from report), BadOutput, ModelUnavailable, OutOfMemory.
        """
        generator = seeded(asked.seed)
        scheduler = make_scheduler(self._scheduler, None)
        scheduler.set_timesteps(asked.steps, device=self._residency.device)
        condition = self._condition(asked, report)
        with self.measures.using(report, self._transformer, words_needs(self._transformer)) as (transformer, _):
            report(Progress("prior", 0, asked.steps))
            latents = self._sample(transformer, scheduler, condition, asked.guidance_scale, generator, report)
        embeddings = transformer.post_process_latents(latents)  # streamed, it has its own two parameters only now
        require_finite(embeddings, "prior")
        negative = None if asked.negative_prompt is None else embeddings[1:]
        return PriorEmbeddings(embeddings[:1], negative)

    def _sample(
        self,
        transformer: Any,
        scheduler: Any,
        condition: Condition,
        guidance_scale: float,
        generator: torch.Generator,
        report: ProgressCallback,
    ) -> torch.Tensor:
        guided = guidance_scale > 1
        rows = condition.embeds.shape[0] // (2 if guided else 1)
        shape = (rows, transformer.config.embedding_dim)
        latents = randn_tensor(shape, generator=generator, device=torch.device(self._residency.device), dtype=condition.embeds.dtype)
        latents = latents * scheduler.init_noise_sigma
        for step, timestep in enumerate(scheduler.timesteps, start=1):
            predicted = transformer(
                torch.cat([latents] * 2) if guided else latents,
                timestep=timestep,
                proj_embedding=condition.embeds,
                encoder_hidden_states=condition.states,
                attention_mask=condition.mask,
            ).predicted_image_embedding
            if guided:
                predicted = guide(predicted, guidance_scale)
            following = scheduler.timesteps[step] if step < len(scheduler.timesteps) else None
            latents = scheduler.step(predicted, timestep=timestep, sample=latents, generator=generator, prev_timestep=following).prev_sample
            report(Progress("prior", step, len(scheduler.timesteps)))
        return latents

    def _condition(self, asked: PriorRequest, report: ProgressCallback) -> Condition:
        """What the prior reads of the words. Kept for the next candidate, which has the same words and another seed."""
        key = (asked.prompt, asked.negative_prompt, asked.guidance_scale > 1, arithmetic(self._residency.device))
        known = self._conditions.get(key)
        if known is None:
            with self.measures.using(report, self._text_encoder, words_needs(self._text_encoder)) as (text_encoder, _):
                report(Progress("prior", 0, asked.steps))
                known = self._read_all(text_encoder, asked)
            self._conditions.keep(key, known)
        return known

    def _read_all(self, text_encoder: Any, asked: PriorRequest) -> Condition:
        texts = [asked.prompt] if asked.negative_prompt is None else [asked.prompt, asked.negative_prompt]
        guided = self._read(text_encoder, texts)
        if asked.guidance_scale <= 1:
            return guided
        return guided.after(self._read(text_encoder, [asked.negative_prompt or ""] * len(texts)))

    def _read(self, text_encoder: Any, texts: list[str]) -> Condition:
        tokens = self.tokenizer(
            texts, padding="max_length", max_length=self.tokenizer.model_max_length, truncation=True, return_tensors="pt"
        )
        device = self._residency.device
        output = text_encoder(tokens.input_ids.to(device))
        return Condition(output.text_embeds, output.last_hidden_state, tokens.attention_mask.bool().to(device))


class ZeroEmbedding:
    """The embedding of an empty picture, a constant of the checkpoint, which guides where there is no negative prompt.

    Its image encoder is the largest part of the model (1.8 billion parameters of 4.9) and is needed for nothing else, so
    it is loaded once for this, and dropped. measures: what is done where the budget does not hold the image encoder.
    """

    def __init__(self, checkpoint: Checkpoint, residency: Residency, dtype: torch.dtype, folder: Path) -> None:
        self._residency = residency
        self._dtype = dtype
        self._file = EmbeddingFile(folder, zero_identity(checkpoint, residency.device, dtype))
        self._encoder = checkpoint.part(residency, CLIPVisionModelWithProjection, "image_encoder", dtype)
        self._known: torch.Tensor | None = None
        self.measures = Measures(residency)

    def get(self, report: ProgressCallback) -> torch.Tensor:
        """[1, d] on the device. Raises ModelUnavailable, OutOfMemory, BadOutput, EditCancelled."""
        if self._known is None:
            stored = self._file.read()
            self._known = self._compute(report) if stored is None else stored.to(self._residency.device)
        return self._known

    def _compute(self, report: ProgressCallback) -> torch.Tensor:
        try:
            with self.measures.using(report, self._encoder, words_needs(self._encoder)) as (encoder, _):
                side = encoder.config.image_size
                empty = torch.zeros(1, 3, side, side).to(device=self._residency.device, dtype=self._dtype)
                embedding = encoder(empty).image_embeds
                del encoder
        finally:
            self._residency.drop(self._encoder)
        require_finite(embedding, "image encoder")
        self._file.write(embedding)
        return embedding


@dataclass(frozen=True, eq=False)
class Guidance:
    """What a decoder paints after: positive [1, d]; negative [1, d], or None where it paints unguided."""

    positive: torch.Tensor
    negative: torch.Tensor | None


class Conditioner:
    """Turns a request's words into what a decoder needs, and keeps the embeddings that were computed before.

    recent: the kept embeddings. All engines of a process share them, since the key names the weights.
    """

    def __init__(self, prior: Prior, zero: ZeroEmbedding, recent: Recent[Any, PriorEmbeddings]) -> None:
        self._prior = prior
        self._zero = zero
        self._recent = recent

    @property
    def parts(self) -> tuple[Part[Any], ...]:
        return self._prior.parts

    def parts_for(self, sampling: SamplingParams) -> tuple[Part[Any], ...]:
        """The parts that this request still needs; none where its embeddings are known."""
        return self.parts if self._recent.get(self._key(prior_request(sampling))) is None else ()

    def prepare(self, sampling: SamplingParams, report: ProgressCallback) -> None:
        """Begins a run: computes the constant embedding where it is needed and not known, before anything else takes the
        room of its image encoder."""
        self._prior.measures.begin_run()
        self._zero.measures.begin_run()
        if decoder_guidance(sampling) > 1 and prior_request(sampling).negative_prompt is None:
            self._zero.get(report)

    def read(self, sampling: SamplingParams, report: ProgressCallback) -> Guidance:
        """Raises EditCancelled (from report), BadOutput, InvalidRequest, ModelUnavailable, OutOfMemory."""
        known = self._embed(prior_request(sampling), report)
        if decoder_guidance(sampling) <= 1:
            return Guidance(known.positive, None)
        return Guidance(known.positive, self._zero.get(report) if known.negative is None else known.negative)

    def notices(self, sampling: SamplingParams) -> tuple[str, ...]:
        """A sentence for each text of the latest run that was too long, and for what was done for the budget."""
        return (*cut_notices(self._prior.tokenizer, sampling), *self._zero.measures.notices, *self._prior.measures.notices)

    def _embed(self, asked: PriorRequest, report: ProgressCallback) -> PriorEmbeddings:
        known = self._recent.get(self._key(asked))
        if known is None:
            known = self._prior.embed(asked, report)
            self._recent.keep(self._key(asked), known)
        return known

    def _key(self, asked: PriorRequest) -> tuple[str, PriorRequest]:
        return self._prior.identity, asked


def words_needs(part: Part[Any]) -> PartNeeds:
    """What a part that reads words, or one small picture, needs; its weights can be streamed."""
    return PartNeeds(part.nbytes, WORDS_BYTES, measures=frozenset({Measure.STREAMED}))


def prior_request(sampling: SamplingParams) -> PriorRequest:
    """The part of a request that the prior sees; an empty negative prompt is none. Raises InvalidRequest."""
    steps = sampling.prior_num_inference_steps or DEFAULT_PRIOR_STEPS
    if steps < MIN_PRIOR_STEPS:
        raise InvalidRequest("prior_num_inference_steps", f"The prior needs at least {MIN_PRIOR_STEPS} steps.")
    guidance_scale = DEFAULT_GUIDANCE if sampling.prior_guidance_scale is None else sampling.prior_guidance_scale
    return PriorRequest(sampling.prompt, sampling.negative_prompt or None, steps, guidance_scale, sampling.seed)


def decoder_guidance(sampling: SamplingParams) -> float:
    """The decoder's guidance scale; up to 1 there is no guidance."""
    return DEFAULT_GUIDANCE if sampling.guidance_scale is None else sampling.guidance_scale


def arithmetic(device: str) -> str:
    """A name for what does the arithmetic, apart from the weights and their number format: another may round otherwise."""
    kind = torch.device(device).type
    return f"{kind} {torch.get_num_threads() if kind == 'cpu' else 0} {torch.__version__}"


def zero_identity(checkpoint: Checkpoint, device: str, dtype: torch.dtype) -> str:
    """All that decides the bits of a zero embedding: the weights, the number format, and what does the arithmetic.

    Raises ModelUnavailable where the image encoder is not there.
    """
    try:
        weights = weights_identity(checkpoint.folder / "image_encoder")
    except (OSError, ValueError):
        raise checkpoint.unavailable(f"The image encoder of {checkpoint.model} is missing.") from None
    return f"{weights} {dtype} {arithmetic(device)}"


def guide(predicted: torch.Tensor, guidance_scale: float) -> torch.Tensor:
    """Classifier-free guidance (arXiv 2207.12598). predicted: [2n, ...], the unguided half first -> [n, ...]."""
    unguided, guided = predicted.chunk(2)
    return unguided + guidance_scale * (guided - unguided)
