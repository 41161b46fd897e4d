"""Kandinsky 2.2: the prior turns words into an image embedding, a decoder paints it, into a mask or over a whole picture.

The engines put the parts together; the arithmetic is in kandinsky_prior and kandinsky_decoder. They know no pipeline, no hub and
no picture beyond the working extent.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import torch

from inpaint.core.progress import Progress, ProgressCallback
from inpaint.core.request import SamplingParams
from inpaint.engines.base import EngineInput, EngineOutput, Pixels
from inpaint.engines.kandinsky.decoder import Clock, Decoder, ImageDecoder, InpaintDecoder
from inpaint.engines.kandinsky.prior import Conditioner, Guidance, Prior, ZeroEmbedding
from inpaint.engines.runtime.checkpoint import open_checkpoint
from inpaint.engines.runtime.compilation import Compiler
from inpaint.engines.runtime.diffusion import DTYPES, guard_memory
from inpaint.engines.runtime.lru import Recent
from inpaint.engines.runtime.residency import Residency

Kind = TypeVar("Kind", bound=Decoder)


class KandinskyEngine(Generic[Kind]):
    """What both engines share: words, memory, and how they are put together. Not for two threads at once."""

    decoder_kind: ClassVar[Any]

    def __init__(self, conditioner: Conditioner, decoder: Kind, residency: Residency) -> None:
        self._conditioner = conditioner
        self._decoder = decoder
        self._residency = residency
        self._prior_stays_off = False

    @classmethod
    def load(cls, prior: str, decoder: str, *, device: str, dtype: str, cache_dir: Path, report: ProgressCallback,
             prior_variant: str | None = None, decoder_variant: str | None = None, model: str = "kandinsky-2.2", way: str = "",
             clock: Clock = time.monotonic, residency: Residency | None = None, recent: Recent[Any, Any] | None = None,
             compiler: Compiler | None = None) -> Self:
        """Open both checkpoints on disk; each part's weights are read when it is first needed.

        prior, decoder: folders. device, dtype: as choose_device and choose_dtype return them. cache_dir: for things that can
        be made again. model, way: the name in the registry and how to get it, for messages. residency, recent: shared by all
        engines of a process; by itself an engine has its own.
        compiler: of the decoder's UNet; None = it is not compiled. Raises ModelUnavailable, EditCancelled (from report).
        """
        report(Progress("loading"))
        numbers, residency = DTYPES[dtype], residency or Residency(device)
        prior_checkpoint = open_checkpoint(prior, model=model, variant=prior_variant, way=way)
        decoder_checkpoint = open_checkpoint(decoder, model=model, variant=decoder_variant, way=way)
        zero = ZeroEmbedding(prior_checkpoint, residency, numbers, cache_dir)
        conditioner = Conditioner(Prior.load(prior_checkpoint, residency, numbers), zero, recent or Recent())
        return cls(conditioner, cls.decoder_kind.load(decoder_checkpoint, residency, numbers, clock, compiler), residency)

    @property
    def size_multiple(self) -> int:
        """Both sides of a working extent are multiples of it."""
        return self._decoder.cell ** 2

    def bring(self, report: ProgressCallback) -> None:
        """Load now what a run from words needs, as far as it fits."""
        self._residency.bring_ahead(report, *self._conditioner.parts, *self._decoder.parts)

    def relieve(self) -> str | None:
        """Let go what is not needed at once; attention in slices, which needs less at a time and takes longer; then the decoder's
        own parts one at a time."""
        return self._release_others() or self._decoder.attend_in_slices() or self._decoder.go_alone()

    def relieve_last(self) -> str | None:
        """The UNet's weights layer by layer."""
        return self._decoder.stream() if self._residency.parks else None

    def restore(self) -> None:
        """What the next run computes is what a fresh engine would. Moves nothing: the prior is brought when it is needed."""
        self._prior_stays_off = False
        self._decoder.restore()

    def _run(self, height: int, width: int, sampling: SamplingParams, report: ProgressCallback,
             paint: Callable[[Guidance], EngineOutput]) -> EngineOutput:
        """Words first, then the decoder. Raises EditCancelled, OutOfMemory, BadOutput, InvalidRequest, ModelUnavailable."""
        if height % self.size_multiple or width % self.size_multiple:
            raise ValueError(f"{width} x {height} must be multiples of {self.size_multiple}")

        @torch.no_grad()
        def work() -> EngineOutput:
            self._conditioner.prepare(sampling, report)
            self._bring_ahead(height, width, sampling, report)
            return paint(self._read(sampling, report))

        painted = guard_memory(work, f"an edit of {width} x {height} px")
        return EngineOutput(painted.picture, (*self._conditioner.notices(sampling), *painted.notices))

    def _bring_ahead(self, height: int, width: int, sampling: SamplingParams, report: ProgressCallback) -> None:
        needed = (*self._conditioner.parts_for(sampling), *self._decoder.parts)
        if not (self._prior_stays_off or self._decoder.is_relieved):
            self._residency.bring_ahead(report, *needed, working=self._decoder.working_bytes(height, width))

    def _read(self, sampling: SamplingParams, report: ProgressCallback) -> Guidance:
        guidance = self._conditioner.read(sampling, report)
        if self._prior_stays_off:
            self._residency.let_go(*self._conditioner.parts)
        return guidance

    def _release_others(self) -> str | None:
        """Also after each use from now on, so that other candidates need not fail first."""
        self._prior_stays_off = True
        gone, priors = self._residency.let_go_all_but(*self._decoder.parts), self._conditioner.parts
        others = ["other models"] if any(part not in priors for part in gone) else []
        titles = [*(["the prior"] if any(part in priors for part in gone) else []), *others]
        how = "moved off the GPU" if self._residency.parks else "let go"
        return f"{' and '.join(titles)} {'were' if others else 'was'} {how}" if titles else None


class Kandinsky22(KandinskyEngine[InpaintDecoder]):
    """An Inpainter."""

    decoder_kind = InpaintDecoder

    def inpaint(self, work: EngineInput, report: ProgressCallback) -> EngineOutput:
        """Repaint the masked part, at a working extent whose sides are multiples of size_multiple.

        Raises EditCancelled (from report), OutOfMemory, BadOutput, InvalidRequest, ModelUnavailable; the engine stays usable.
        """
        height, width = work.picture.shape[:2]
        if work.mask.shape != (height, width):
            raise ValueError(f"picture {work.picture.shape} and mask {work.mask.shape} must agree")
        return self._run(height, width, work.sampling, report, lambda guidance: self._decoder.paint(work, guidance, report))


class Kandinsky22ImageToImage(KandinskyEngine[ImageDecoder]):
    """A Reimaginer."""

    decoder_kind = ImageDecoder

    def reimagine(self, picture: Pixels, sampling: SamplingParams, report: ProgressCallback) -> EngineOutput:
        """Anew from the picture and the words; sampling.strength: 0 .. 1, the share of the steps that are done, at least one.

        Raises EditCancelled (from report), OutOfMemory, BadOutput, InvalidRequest, ModelUnavailable; the engine stays usable.
        """
        height, width = picture.shape[:2]
        return self._run(height, width, sampling, report,
                         lambda guidance: self._decoder.paint(picture, sampling, guidance, report))
