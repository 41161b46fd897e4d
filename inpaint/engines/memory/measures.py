"""The measures that one engine takes when memory is short, and how its parts are brought accordingly.

A measure is taken for all parts after memory ran out, and for a single part where the budget does not hold it (rule.py).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

from inpaint.core.progress import ProgressCallback
from inpaint.engines.memory.activations import TILE_PX
from inpaint.engines.memory.out_of_memory import guard_memory
from inpaint.engines.memory.residency import Part, Residency
from inpaint.engines.memory.rule import Fit, Measure, PartNeeds, fit_part, notice_of, within_budget
from inpaint.errors import OutOfMemory

Result = TypeVar("Result")


OTHER_MODELS = "other models"


class Measures:
    """What one engine does to need less memory, until `restore`. Not for two threads at once."""

    def __init__(self, residency: Residency) -> None:
        self._residency = residency
        self._taken: set[Measure] = set()
        self._notices: list[str] = []

    @property
    def is_any_taken(self) -> bool:
        """Whether memory ran out since the last `restore`."""
        return bool(self._taken)

    @property
    def notices(self) -> tuple[str, ...]:
        """What was done for the budget since `begin_run`, a sentence each. What `take` returned is not said again."""
        return tuple(dict.fromkeys(self._notices))

    def begin_run(self) -> None:
        """Empties the notices."""
        self._notices.clear()

    def restore(self) -> None:
        """Ends all measures, so that the next run computes what a fresh engine would."""
        self._taken.clear()
        self._residency.restore()

    def guard(self, work: Callable[[], Result], task: str) -> Result:
        """Does the work as guard_memory does it, and remembers whether it was RAM that ran out. Raises OutOfMemory."""
        try:
            return guard_memory(work, task)
        except OutOfMemory as error:
            self._residency.ram_is_short |= error.of_ram
            raise

    def has(self, measure: Measure) -> bool:
        """Whether the measure was taken after memory ran out."""
        return measure in self._taken

    def take(self, measure: Measure) -> str | None:
        """Takes a measure and returns what was done; None where it was taken before, or cannot be taken on this device."""
        if measure in self._taken or (measure is Measure.STREAMED and not self._residency.memory.is_own):
            return None
        self._taken |= {measure, Measure.ALONE} if measure is Measure.STREAMED else {measure}
        return notice_of({measure}, is_own=self._residency.memory.is_own)

    def release_others(self, *staying: Part[Any]) -> list[Part[Any]]:
        """Takes all other parts off the device and returns them; where RAM is short, those that are parked there too."""
        parked = self._residency.drop_parked(*staying) if self._residency.ram_is_short else []
        return [*parked, *self._residency.evict_all_except(*staying)]

    def released_words(self, titles: list[str]) -> str | None:
        """What was done with the parts of these titles, for a notice; None where there are none."""
        if not titles:
            return None
        how = "moved off the GPU" if self._residency.parks and not self._residency.ram_is_short else "let go"
        return f"{' and '.join(titles)} {'were' if OTHER_MODELS in titles else 'was'} {how}"

    @contextmanager
    def using(
        self, report: ProgressCallback, part: Part[Any], needs: PartNeeds, *, also: frozenset[Measure] = frozenset(), owner: str = ""
    ) -> Generator[tuple[Any, frozenset[Measure]]]:
        """A part on the device while the block runs, and the measures that are in force for it.

        also: the measures that apply to this part once they were taken for all parts. needs.measures: those that the
        budget may bring. owner: whose weights a notice names; the part's own where it is empty. Raises OutOfMemory,
        ModelUnavailable, EditCancelled (from report).
        """
        asked = also & self._taken
        fit = self._fit(needs, asked)
        if by_budget := fit.measures - asked:
            self._notices.append(within_budget(self._residency.budget, notice_of(by_budget, owner or part.title)))
        measures = asked | fit.measures
        with self._held(report, part, fit, measures) as (value,), lightened(value, measures):
            yield value, measures

    def _fit(self, needs: PartNeeds, asked: frozenset[Measure]) -> Fit:
        """How the part fits, beside what was asked for already."""
        if Measure.TILED in asked:
            needs = PartNeeds(needs.weights, needs.tiled_activations, measures=needs.measures - {Measure.TILED})
        return fit_part(needs, self._residency.memory)

    def _held(self, report: ProgressCallback, part: Part[Any], fit: Fit, measures: frozenset[Measure]) -> Any:
        if Measure.STREAMED in measures:
            return self._residency.streaming(report, part)
        return self._residency.using(report, part, working=fit.activations, alone=Measure.ALONE in measures)


@contextmanager
def lightened(model: Any, measures: frozenset[Measure]) -> Generator[None]:
    """While open, a model computes its attention in slices, or works in tiles, as far as the measures say so."""
    with in_slices(model) if Measure.SLICED in measures else nullcontext(), in_tiles(model) if Measure.TILED in measures else nullcontext():
        yield


@contextmanager
def in_slices(unet: Any) -> Generator[None]:
    """While open, attention is computed one head at a time, by diffusers' own processors."""
    own = unet.attn_processors
    unet.set_attention_slice("max")
    try:
        yield
    finally:
        unet.set_attn_processor(own)


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
