"""Kandinsky 2.2: the prior turns words into an image embedding, a decoder paints it, into a mask or over a whole picture.

The engines put the parts together; the arithmetic is in prior.py and the decoders. They know no pipeline, no hub and no picture
beyond the working extent.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import torch

from inpaint.core.progress import Progress, ProgressCallback
from inpaint.core.request import SamplingParams
from inpaint.engines.base import EngineInput, EngineOutput, FreeMemory, Pixels
from inpaint.engines.kandinsky.decoder import Decoder
from inpaint.engines.kandinsky.image_decoder import ImageDecoder
from inpaint.engines.kandinsky.inpaint_decoder import InpaintDecoder
from inpaint.engines.kandinsky.prior import Conditioner, Guidance, Prior, ZeroEmbedding
from inpaint.engines.kandinsky.scene import Clock
from inpaint.engines.memory.budget import free_bytes
from inpaint.engines.memory.measures import OTHER_MODELS, Measures
from inpaint.engines.memory.residency import Residency
from inpaint.engines.memory.rule import Measure
from inpaint.engines.runtime.checkpoint import open_checkpoint
from inpaint.engines.runtime.compilation import Compiler
from inpaint.engines.runtime.lru import Recent
from inpaint.engines.runtime.torch_device import DTYPES

Kind = TypeVar("Kind", bound=Decoder)


class KandinskyEngine(Generic[Kind]):
    """The words, the decoder and the memory measures of one task. Not for two threads at once."""

    decoder_kind: ClassVar[Any]

    def __init__(self, conditioner: Conditioner, decoder: Kind, residency: Residency, measures: Measures) -> None:
        self._conditioner = conditioner
        self._decoder = decoder
        self._residency, self._measures = residency, measures
        self._prior_stays_off = False

    @classmethod
    def load(
        cls,
        prior: str,
        decoder: str,
        *,
        device: str,
        dtype: str,
        cache_dir: Path,
        report: ProgressCallback,
        prior_variant: str | None = None,
        decoder_variant: str | None = None,
        model: str = "this model",
        how_to_get: str = "",
        clock: Clock = time.monotonic,
        residency: Residency | None = None,
        recent: Recent[Any, Any] | None = None,
        compiler: Compiler | None = None,
    ) -> Self:
        """Opens both checkpoints on disk; each part's weights are read when it is first needed.

        prior, decoder: folders. device, dtype: as choose_device and choose_dtype return them. cache_dir: for files that can
        be computed again. model, how_to_get: the model's name and how to get it, for messages. residency, recent: shared by
        all engines of a process; None = the engine has its own. compiler: of the decoder's UNet; None = it is not compiled.
        Raises ModelUnavailable, EditCancelled (from report).
        """
        report(Progress("loading"))
        numbers, residency = DTYPES[dtype], residency or Residency(device)
        measures = Measures(residency)
        prior_checkpoint = open_checkpoint(prior, model=model, variant=prior_variant, how_to_get=how_to_get)
        decoder_checkpoint = open_checkpoint(decoder, model=model, variant=decoder_variant, how_to_get=how_to_get)
        zero = ZeroEmbedding(prior_checkpoint, residency, numbers, cache_dir)
        conditioner = Conditioner(Prior.load(prior_checkpoint, residency, numbers), zero, recent or Recent())
        return cls(
            conditioner, cls.decoder_kind.load(decoder_checkpoint, residency, numbers, clock, compiler, measures), residency, measures
        )

    @property
    def size_multiple(self) -> int:
        """Both sides of a working extent are multiples of it."""
        return self._decoder.cell**2

    def bring(self, report: ProgressCallback) -> None:
        """Loads now what a run from words needs, as far as it fits."""
        self._residency.bring_ahead(report, *self._conditioner.parts, *self._decoder.parts)

    def reduce_memory(self) -> str | None:
        """Takes one more measure: what is not needed at once leaves, then attention is sliced, then parts are alone."""
        return self._release_others() or self._measures.take(Measure.SLICED) or self._measures.take(Measure.ALONE)

    def reduce_memory_slowly(self) -> str | None:
        """Streams the UNet's weights layer by layer, where the device has memory of its own."""
        return self._measures.take(Measure.STREAMED)

    def free_memory(self) -> FreeMemory:
        """What is free on the engine's device now."""
        return FreeMemory(free_bytes(self._residency.device), self._residency.device)

    def restore(self) -> None:
        """Ends all measures, so that the next run computes what a fresh engine would. Moves nothing now."""
        self._prior_stays_off = False
        self._measures.restore()

    def _run(
        self, height: int, width: int, sampling: SamplingParams, report: ProgressCallback, paint: Callable[[Guidance], EngineOutput]
    ) -> EngineOutput:
        """Reads the words, then has `paint` decode. Raises EditCancelled, OutOfMemory, BadOutput, InvalidRequest, ModelUnavailable."""
        if height % self.size_multiple or width % self.size_multiple:
            raise ValueError(f"{width} x {height} must be multiples of {self.size_multiple}")

        @torch.no_grad()
        def work() -> EngineOutput:
            self._measures.begin_run()
            self._conditioner.prepare(sampling, report)
            self._bring_ahead(height, width, sampling, report)
            return paint(self._read(sampling, report))

        painted = self._measures.guard(work, f"an edit of {width} x {height} px")
        return EngineOutput(painted.picture, (*self._conditioner.notices(sampling), *painted.notices))

    def _bring_ahead(self, height: int, width: int, sampling: SamplingParams, report: ProgressCallback) -> None:
        needed = (*self._conditioner.parts_for(sampling), *self._decoder.parts)
        if not (self._prior_stays_off or self._decoder.is_reduced):
            self._residency.bring_ahead(report, *needed, working=self._decoder.working_bytes(height, width))

    def _read(self, sampling: SamplingParams, report: ProgressCallback) -> Guidance:
        guidance = self._conditioner.read(sampling, report)
        if self._prior_stays_off:
            self._residency.evict(*self._conditioner.parts)
        return guidance

    def _release_others(self) -> str | None:
        """Takes the prior and other models off the device. The prior then leaves after each use, so that other candidates
        need not fail first."""
        self._prior_stays_off = True
        gone, priors = self._measures.release_others(*self._decoder.parts), self._conditioner.parts
        titles = ["the prior"] if any(part in priors for part in gone) else []
        return self._measures.released_words([*titles, *([OTHER_MODELS] if any(part not in priors for part in gone) else [])])


class Kandinsky22(KandinskyEngine[InpaintDecoder]):
    """An Inpainter."""

    decoder_kind = InpaintDecoder

    def inpaint(self, inputs: EngineInput, report: ProgressCallback) -> EngineOutput:
        """Repaints the masked part, at a working extent whose sides are multiples of size_multiple.

        Raises EditCancelled (from report), OutOfMemory, BadOutput, InvalidRequest, ModelUnavailable; the engine stays usable.
        """
        height, width = inputs.picture.shape[:2]
        if inputs.mask.shape != (height, width):
            raise ValueError(f"picture {inputs.picture.shape} and mask {inputs.mask.shape} must agree")
        return self._run(height, width, inputs.sampling, report, lambda guidance: self._decoder.paint(inputs, guidance, report))


class Kandinsky22ImageToImage(KandinskyEngine[ImageDecoder]):
    """A Reimaginer."""

    decoder_kind = ImageDecoder

    def reimagine(self, picture: Pixels, sampling: SamplingParams, report: ProgressCallback) -> EngineOutput:
        """Makes a picture anew from the picture and the words. sampling.strength: 0 .. 1, the share of the steps that are done.

        Raises EditCancelled (from report), OutOfMemory, BadOutput, InvalidRequest, ModelUnavailable; the engine stays usable.
        """
        height, width = picture.shape[:2]
        return self._run(height, width, sampling, report, lambda guidance: self._decoder.paint(picture, sampling, guidance, report))
