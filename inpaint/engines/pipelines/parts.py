"""The parts of one of diffusers' pipelines: in memory while the pipeline calls them, and what of them is given up for memory.

The pipeline itself holds only their shapes, without weights. Knows no single model and no file.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

from accelerate.hooks import AlignDevicesHook

from inpaint.core.geometry import Extent
from inpaint.core.progress import Progress, ProgressCallback
from inpaint.engines.runtime.budget import DENOISER_PIXEL_BYTES, TILE_PX, VAE_PIXEL_BYTES, WORDS_BYTES
from inpaint.engines.runtime.diffusion import in_slices
from inpaint.engines.runtime.residency import Part, Residency

DENOISERS = ("unet", "transformer")
LAYERS = "weights went to the GPU layer by layer, which takes far longer"
TILED = "the picture was decoded in tiles"


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
        self._beyond_budget: list[str] = []
        self._is_sliced = self._is_tiled = self._is_alone = self._is_streamed = False

    def add(self, name: str, part: Part[Any], shape: Any) -> Any:
        """The shape (the part's class without weights), made to pass each call on to the part itself."""
        def forward(*args: Any, **options: Any) -> Any:
            return self.take(name)(*args, **options)

        self._parts[name], self._shapes[name] = part, shape
        shape.forward = forward
        # Where pipelines look for the device to compute on, as accelerate's offloading leaves it.
        shape._hf_hook = AlignDevicesHook(self._residency.device)
        return shape

    def bring(self, report: ProgressCallback) -> None:
        """Load now what a run needs, as far as it fits. Raises as `take` does."""
        self._residency.bring_ahead(report, *self._parts.values(), working=self._most_working)

    @contextmanager
    def run(self, extent: Extent, report: ProgressCallback, steps: Callable[[], int]) -> Generator[None]:
        """For one run of the pipeline; extent: of its picture; steps: how many it does, once it knows. Raises as `take` does."""
        self._report, self._extent, self._steps, self._beyond_budget = report, extent, steps, []
        try:
            if not self._is_relieved and self._residency.fits(*self._parts.values(), working=self._most_working):
                self.bring(report)
            yield
        finally:
            self._report = _nobody_listens
            self._leave()

    def take(self, name: str) -> Any:
        """The part itself, on the device until another is taken or the run ends. From then on its work is reported, not its loading;
        that of the autoencoder by whoever knows the direction.

        Raises OutOfMemory, ModelUnavailable, EditCancelled (from the run's report).
        """
        if self._taken is None or self._taken[0] != name:
            self._leave()
            self._taken = (name, self._in_use.enter_context(self._using(name)))
            if name == self._denoiser:
                self._report(Progress("denoising", 0, self._steps()))
            elif name != "vae":
                self._report(Progress("prior"))
        return self._taken[1]

    def relieve(self) -> str | None:
        """Other models go; each part is in memory only while it works; attention in slices, decoding in tiles. As Engine.relieve."""
        return self._release_others() or self._go_alone() or self._attend_in_slices() or self._decode_in_tiles()

    def relieve_last(self) -> str | None:
        """Every layer of the denoiser on the GPU only while it works. As Engine.relieve_last."""
        if self._is_streamed or not self._residency.parks:
            return None
        self._is_alone = self._is_streamed = True
        return f"the model's {LAYERS}"

    def restore(self) -> None:
        """Take back everything."""
        self._is_sliced = self._is_tiled = self._is_alone = self._is_streamed = False

    @property
    def notices(self) -> tuple[str, ...]:
        """What the latest run did otherwise for the budget, but for what memory running out had brought before."""
        return tuple(map(self._residency.in_words, dict.fromkeys(self._beyond_budget)))

    @property
    def _is_relieved(self) -> bool:
        return self._is_sliced or self._is_tiled or self._is_alone or self._is_streamed

    @property
    def _denoiser(self) -> str:
        return next(name for name in DENOISERS if name in self._parts)

    def _attend_in_slices(self) -> str | None:
        """Transformers like FLUX's have no such processors."""
        if self._is_sliced or not hasattr(self._shapes[self._denoiser], "set_attention_slice"):
            return None
        self._is_sliced = True
        return "attention was computed in slices"

    def _decode_in_tiles(self) -> str | None:
        """Slices of the batch would give nothing: there is one picture at a time."""
        if self._is_tiled or self._extent.long_side <= TILE_PX:
            return None
        self._is_tiled = True
        return TILED

    def _release_others(self) -> str | None:
        if not self._residency.let_go_all_but(*self._parts.values()):
            return None
        return f"other models were {'moved off the GPU' if self._residency.parks else 'let go'}"

    def _go_alone(self) -> str | None:
        if self._is_alone:
            return None
        self._is_alone = True
        return f"one part of the model was {'on the GPU' if self._residency.parks else 'in memory'} at a time"

    @contextmanager
    def _using(self, name: str) -> Generator[Any]:
        """Where a part does not fit into the budget even by itself, what memory running out would bring is done at once: most of what
        the autoencoder takes is its activations, of any other part its weights."""
        part, residency = self._parts[name], self._residency
        is_tiled = name == "vae" and (self._is_tiled or self._needs_tiles(part))
        working = self._working(name, is_tiled)
        is_streamed = self._is_streamed and name == self._denoiser
        is_beyond = residency.parks and not residency.fits(part, working=working)
        if is_tiled and not self._is_tiled:
            self._beyond_budget.append(TILED)
        if is_beyond and not is_streamed:
            self._beyond_budget.append(f"the {part.title}'s {LAYERS}")
        if is_streamed or is_beyond:
            held = residency.streaming(self._report, part)
        else:
            held = residency.using(self._report, part, working=working, alone=self._is_alone)
        with held as (value,), in_tiles(value) if is_tiled else self._lightened(name, value):
            yield value

    def _needs_tiles(self, vae: Part[Any]) -> bool:
        is_beyond = self._residency.binds and not self._residency.fits(vae, working=self._working("vae"))
        return is_beyond and self._extent.long_side > TILE_PX

    def _working(self, name: str, is_tiled: bool = False) -> int:
        """Bytes of activations of a part, at most."""
        pixel_bytes = {"vae": VAE_PIXEL_BYTES, self._denoiser: DENOISER_PIXEL_BYTES}.get(name)
        if pixel_bytes is None:
            return WORDS_BYTES
        pixels = min(self._extent.area, TILE_PX**2) if is_tiled else self._extent.area
        return pixel_bytes * pixels * self._shapes[name].dtype.itemsize

    @property
    def _most_working(self) -> int:
        return max(map(self._working, self._parts))

    def _lightened(self, name: str, value: Any) -> Any:
        return in_slices(value) if name == self._denoiser and self._is_sliced else nullcontext()

    def _leave(self) -> None:
        self._taken = None
        self._in_use.close()


@contextmanager
def in_tiles(vae: Any) -> Generator[None]:
    """While open, the autoencoder works on squares of TILE_PX."""
    own = vae.tile_sample_min_size, vae.tile_latent_min_size
    vae.tile_sample_min_size = TILE_PX
    vae.tile_latent_min_size = TILE_PX // 2 ** (len(vae.config.block_out_channels) - 1)
    vae.enable_tiling()
    try:
        yield
    finally:
        vae.disable_tiling()
        vae.tile_sample_min_size, vae.tile_latent_min_size = own


def _nobody_listens(_progress: Progress) -> None:
    """Between runs."""


class EngineOfParts:
    """What every engine over one of diffusers' pipelines gives up when memory runs out."""

    def __init__(self, parts: PipelineParts) -> None:
        self._parts = parts

    def relieve(self) -> str | None:
        """Other models go; each part is in memory only while it works; attention in slices, decoding in tiles."""
        return self._parts.relieve()

    def relieve_last(self) -> str | None:
        """Every layer of the denoiser on the GPU only while it works."""
        return self._parts.relieve_last()

    def restore(self) -> None:
        """What the next run computes is what a fresh engine would."""
        self._parts.restore()
