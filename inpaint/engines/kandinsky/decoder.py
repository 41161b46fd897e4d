"""What Kandinsky 2.2's two decoders share: their parts, and the way from pixels into latents and back.

Their loops over diffusers' parts compute bit for bit what KandinskyV22InpaintPipeline and KandinskyV22Img2ImgPipeline compute
(diffusers 0.42, pipelines/kandinsky2_2/). So nothing here may change the order of the arithmetic: guided and unguided halves
stay in one batch, and tensors keep their memory layout. The decoders know no words.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, ClassVar, Self

import numpy as np
import torch
from diffusers import UNet2DConditionModel, VQModel

from inpaint.core.progress import Progress, ProgressCallback
from inpaint.core.request import SamplingParams
from inpaint.engines.base import Pixels
from inpaint.engines.kandinsky.latents import decode_in_float32, lay_channels_last
from inpaint.engines.kandinsky.prior import arithmetic
from inpaint.engines.kandinsky.scene import Clock, Scene
from inpaint.engines.memory.activations import MOVQ_PIXEL_BYTES
from inpaint.engines.memory.measures import Measures
from inpaint.engines.memory.residency import Part, Residency
from inpaint.engines.memory.rule import Measure, PartNeeds
from inpaint.engines.runtime.cancel import cancel_points
from inpaint.engines.runtime.checkpoint import Checkpoint
from inpaint.engines.runtime.compilation import Compiler
from inpaint.engines.runtime.lru import Recent
from inpaint.engines.runtime.schedulers import SCHEDULERS, make_scheduler
from inpaint.engines.runtime.tensors import is_finite, require_finite, to_pixels
from inpaint.errors import InvalidRequest

DEFAULT_STEPS = 50
"""The published example's number of steps, for a request that names none."""

ALONE = frozenset({Measure.ALONE})
UNET_MEASURES = frozenset({Measure.STREAMED, Measure.SLICED})
"""What can be done for the UNet where memory is short."""


class Decoder:
    """A UNet that denoises latents, and a MoVQ that turns pixels into latents and back.

    cell: pixels along the side of a latent cell. compiler: of the UNet; None = it is not compiled. measures: what the
    engine does where memory is short.
    """

    channels: ClassVar[int]
    """The input channels of a UNet for this task, which tell it from others."""

    purpose: ClassVar[str]
    """The task, for messages."""

    def __init__(
        self,
        residency: Residency,
        unet: Part[Any],
        movq: Part[Any],
        scheduler: Any,
        dtype: torch.dtype,
        cell: int,
        clock: Clock,
        compiler: Compiler | None,
        measures: Measures,
    ) -> None:
        self._residency, self._measures = residency, measures
        self._unet, self._movq = unet, movq
        self._scheduler = scheduler
        self._dtype = dtype
        self._clock = clock
        self._compiler = compiler
        self._scenes: Recent[bytes, Scene] = Recent(1)
        self.cell = cell

    @classmethod
    def load(
        cls, checkpoint: Checkpoint, residency: Residency, dtype: torch.dtype, clock: Clock, compiler: Compiler | None, measures: Measures
    ) -> Self:
        """Opens everything except the weights, which are brought when they are needed. Raises ModelUnavailable."""
        channels, blocks = checkpoint.read_config("unet").get("in_channels"), checkpoint.read_config("movq").get("block_out_channels")
        if channels != cls.channels:
            raise checkpoint.unavailable(
                f"The decoder of {checkpoint.model} is no {cls.purpose} model: its UNet takes {channels} channels, not {cls.channels}."
            )
        return cls(
            residency,
            checkpoint.part(residency, UNet2DConditionModel, "unet", dtype),
            checkpoint.part(residency, VQModel, "movq", dtype),
            checkpoint.load_scheduler(tuple(SCHEDULERS.values())),
            dtype,
            2 ** (len(blocks or ()) - 1),
            clock,
            compiler,
            measures,
        )

    @property
    def parts(self) -> tuple[Part[Any], ...]:
        """The parts, in the order of their use."""
        return self._movq, self._unet

    @property
    def is_reduced(self) -> bool:
        """Whether a measure against too little memory was taken since the last `restore`."""
        return self._measures.is_any_taken

    def working_bytes(self, height: int, width: int) -> int:
        """Bytes of activations at an extent, at most; a measured estimate."""
        return MOVQ_PIXEL_BYTES * height * width * self._dtype.itemsize

    def _scheduler_for(self, sampling: SamplingParams) -> Any:
        """A scheduler for one run, with its timesteps. Raises InvalidRequest."""
        scheduler = make_scheduler(self._scheduler, sampling.scheduler)
        steps, most = sampling.num_inference_steps or DEFAULT_STEPS, int(scheduler.config.num_train_timesteps)
        if steps > most:
            raise InvalidRequest("num_inference_steps", f"This checkpoint was trained with {most} steps and takes no more.")
        scheduler.set_timesteps(steps, device=self._residency.device)
        return scheduler

    def _scene(self, make: Callable[[], Scene], *arrays: Pixels) -> Scene:
        """The scene that `make` returns for these arrays; the latest is kept, so that other candidates and a next edit of the same
        picture encode nothing."""
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
        with (
            self._using_movq(pixels, 1, report) as movq,
            cancel_points([*movq.encoder.down_blocks, movq.encoder.mid_block], "encoding", report),
        ):
            report(Progress("encoding"))
            latents = movq.encode(self._on_device(pixels))["latents"]
        require_finite(latents, "encoder")
        return latents

    def _decode(self, latents: torch.Tensor, report: ProgressCallback) -> Pixels:
        with (
            self._using_movq(latents, self.cell, report) as movq,
            cancel_points([movq.decoder.mid_block, *movq.decoder.up_blocks], "decoding", report),
        ):
            report(Progress("decoding"))
            picture = movq.decode(latents, force_not_quantize=True)["sample"]
            if latents.dtype is torch.float16 and not is_finite(picture):
                picture = decode_in_float32(movq, latents)
        require_finite(picture, "picture decoder")
        return to_pixels((picture * 0.5 + 0.5).clamp(0, 1))

    @contextmanager
    def _using_movq(self, numbers: torch.Tensor, scale: int, report: ProgressCallback) -> Generator[Any]:
        """The MoVQ while the block runs. scale: pixels that one of the numbers stands for, a side."""
        needs = PartNeeds(self._movq.nbytes, self._working_beside(numbers, scale))
        with self._measures.using(report, self._movq, needs, also=ALONE) as (movq, _):
            yield movq

    @contextmanager
    def _using_unet(self, latents: torch.Tensor, report: ProgressCallback) -> Generator[Any]:
        """What is called as the UNet while the block runs."""
        needs = PartNeeds(self._unet.nbytes, self._working_beside(latents, self.cell), measures=UNET_MEASURES)
        with self._measures.using(report, self._unet, needs, also=ALONE | UNET_MEASURES, owner="model") as (unet, measures):
            if self._residency.device == "cpu" and self._dtype is torch.bfloat16:
                lay_channels_last(unet)
            yield self._runner(unet, report, is_plain=not measures & UNET_MEASURES)

    def _working_beside(self, numbers: torch.Tensor, scale: int) -> int:
        return self.working_bytes(*(side * scale for side in numbers.shape[2:]))

    def _runner(self, unet: Any, report: ProgressCallback, is_plain: bool) -> Any:
        """The UNet, compiled where that was asked for. is_plain: whether its layers are those that would be compiled."""
        if self._compiler is None:
            return unet
        return self._compiler.of(unet, report) if is_plain else self._compiler.uncompiled(unet)

    @property
    def _notices(self) -> tuple[str, ...]:
        """What the compiler and the budget changed in this run."""
        return (*(self._compiler.notices if self._compiler else ()), *self._measures.notices)

    def _predict(self, unet: Any, sample: torch.Tensor, timestep: torch.Tensor, embeds: torch.Tensor) -> torch.Tensor:
        return unet(
            sample=sample, timestep=timestep, encoder_hidden_states=None, added_cond_kwargs={"image_embeds": embeds}, return_dict=False
        )[0]

    def _on_device(self, numbers: torch.Tensor) -> torch.Tensor:
        return numbers.to(dtype=self._dtype, device=self._residency.device)
