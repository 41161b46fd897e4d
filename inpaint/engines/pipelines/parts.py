"""The parts of one of diffusers' pipelines: in memory while the pipeline calls them, with the measures that memory demands.

The pipeline itself holds only their shapes, without weights. Knows no single model and no file.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

from accelerate.hooks import AlignDevicesHook

from inpaint.core.geometry import Extent
from inpaint.core.progress import Progress, ProgressCallback
from inpaint.engines.base import FreeMemory
from inpaint.engines.memory.activations import DENOISER_PIXEL_BYTES, TILE_PX, VAE_PIXEL_BYTES, WORDS_BYTES
from inpaint.engines.memory.budget import free_bytes
from inpaint.engines.memory.measures import OTHER_MODELS, Measures
from inpaint.engines.memory.residency import Part, Residency
from inpaint.engines.memory.rule import Measure, PartNeeds

DENOISERS = ("unet", "transformer")
AUTOENCODER = "vae"
STREAMED, ALONE = frozenset({Measure.STREAMED}), frozenset({Measure.ALONE})

Result = TypeVar("Result")


class PipelineParts:
    """One part is in use at a time; the residency decides which of the others stay. Not for two threads at once."""

    def __init__(self, residency: Residency) -> None:
        self._residency = residency
        self._parts: dict[str, Part[Any]] = {}
        self._shapes: dict[str, Any] = {}
        self._report: ProgressCallback = _nobody_listens
        self._in_use = ExitStack()
        self._taken: tuple[str, Any] | None = None
        self._extent = Extent(1, 1)
        self._steps: Callable[[], int] = int
        self._measures = Measures(residency)

    def add(self, name: str, part: Part[Any], shape: Any) -> Any:
        """Adds a part, and returns its shape (the part's class without weights), made to pass each call on to the part."""

        def forward(*args: Any, **options: Any) -> Any:
            return self.take(name)(*args, **options)

        self._parts[name], self._shapes[name] = part, shape
        shape.forward = forward
        # Where pipelines look for the device to compute on, as accelerate's offloading leaves it.
        shape._hf_hook = AlignDevicesHook(self._residency.device)
        return shape

    def bring(self, report: ProgressCallback) -> None:
        """Loads now what a run needs, as far as it fits. Raises as `take` does."""
        self._residency.bring_ahead(report, *self._parts.values(), working=self._most_working)

    @contextmanager
    def run(self, extent: Extent, report: ProgressCallback, steps: Callable[[], int]) -> Generator[None]:
        """Opens the parts for one run of the pipeline.

        extent: of its picture. steps: returns how many steps it does, once it knows. Raises as `take` does.
        """
        self._report, self._extent, self._steps = report, extent, steps
        self._measures.begin_run()
        try:
            if not self._measures.is_any_taken and self._residency.fits(*self._parts.values(), working=self._most_working):
                self.bring(report)
            yield
        finally:
            self._report = _nobody_listens
            self._leave()

    def take(self, name: str) -> Any:
        """The part itself, on the device until another is taken or the run ends.

        Reports that its work begins; that of the autoencoder is reported by whoever knows its direction. Raises OutOfMemory, ModelUnavailable, EditCancelled (from the run's report).
        """
        if self._taken is None or self._taken[0] != name:
            self._leave()
            self._taken = (name, self._in_use.enter_context(self._using(name)))
            if name == self._denoiser:
                self._report(Progress("denoising", 0, self._steps()))
            elif name != AUTOENCODER:
                self._report(Progress("prior"))
        return self._taken[1]

    def guard(self, work: Callable[[], Result], task: str) -> Result:
        """Does the work. Raises OutOfMemory where memory runs out. task: what the work is, for the message."""
        return self._measures.guard(work, task)

    def reduce_memory(self) -> str | None:
        """Takes one more measure: other models leave, parts are alone, attention is sliced, then decoding is tiled."""
        return self._release_others() or self._measures.take(Measure.ALONE) or self._attend_in_slices() or self._decode_in_tiles()

    def reduce_memory_slowly(self) -> str | None:
        """Streams the denoiser's weights layer by layer, where the device has memory of its own."""
        return self._measures.take(Measure.STREAMED)

    def restore(self) -> None:
        """Ends all measures."""
        self._measures.restore()

    def free_memory(self) -> FreeMemory:
        """What is free now where the parts compute."""
        return FreeMemory(free_bytes(self._residency.device), self._residency.device)

    @property
    def notices(self) -> tuple[str, ...]:
        """What the latest run did for the budget, except the measures that were taken after memory ran out."""
        return self._measures.notices

    @property
    def _denoiser(self) -> str:
        return next(name for name in DENOISERS if name in self._parts)

    def _attend_in_slices(self) -> str | None:
        """Slices attention, where the denoiser has processors for it; transformers such as FLUX's have none."""
        has_slices = hasattr(self._shapes[self._denoiser], "set_attention_slice")
        return self._measures.take(Measure.SLICED) if has_slices else None

    def _decode_in_tiles(self) -> str | None:
        """Tiles the picture, where it is larger than a tile. Slices of the batch would save nothing: there is one picture."""
        return self._measures.take(Measure.TILED) if self._has_tiles else None

    def _release_others(self) -> str | None:
        gone = self._measures.release_others(*self._parts.values())
        return self._measures.released_words([OTHER_MODELS] if gone else [])

    @property
    def _has_tiles(self) -> bool:
        return self._extent.long_side > TILE_PX

    @contextmanager
    def _using(self, name: str) -> Generator[Any]:
        """A part on the device, with the measures that are in force for it."""
        also = {self._denoiser: ALONE | STREAMED | {Measure.SLICED}, AUTOENCODER: ALONE | {Measure.TILED}}.get(name, ALONE)
        with self._measures.using(self._report, self._parts[name], self._needs(name), also=also) as (value, _):
            yield value

    def _needs(self, name: str) -> PartNeeds:
        """Most of what the autoencoder takes is activations, which tiles make fewer; most of any other part is weights."""
        measures = STREAMED | {Measure.TILED} if name == AUTOENCODER and self._has_tiles else STREAMED
        return PartNeeds(
            self._parts[name].nbytes,
            self._activations(name, self._extent.area),
            self._activations(name, min(self._extent.area, TILE_PX**2)),
            measures,
        )

    def _activations(self, name: str, pixels: int) -> int:
        """Bytes of activations of a part, at most, at so many pixels at a time."""
        pixel_bytes = {AUTOENCODER: VAE_PIXEL_BYTES, self._denoiser: DENOISER_PIXEL_BYTES}.get(name)
        return WORDS_BYTES if pixel_bytes is None else pixel_bytes * pixels * self._shapes[name].dtype.itemsize

    @property
    def _most_working(self) -> int:
        return max(self._activations(name, self._extent.area) for name in self._parts)

    def _leave(self) -> None:
        self._taken = None
        self._in_use.close()


def _nobody_listens(_progress: Progress) -> None:
    """The report between runs."""


class EngineOfParts:
    """The memory measures of every engine over one of diffusers' pipelines."""

    def __init__(self, parts: PipelineParts) -> None:
        self._parts = parts

    def reduce_memory(self) -> str | None:
        """Takes one more measure, as the parts order them."""
        return self._parts.reduce_memory()

    def reduce_memory_slowly(self) -> str | None:
        """Streams the denoiser's weights layer by layer, where the device has memory of its own."""
        return self._parts.reduce_memory_slowly()

    def restore(self) -> None:
        """Ends all measures, so that the next run computes what a fresh engine would."""
        self._parts.restore()

    def free_memory(self) -> FreeMemory:
        """What is free now where the engine computes."""
        return self._parts.free_memory()
