"""What a finished run tells about itself: the JSON report of the HTTP contract and of --json, as a type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from inpaint.core.geometry import Extent
from inpaint.core.region import Region
from inpaint.core.request import SAMPLING_FIELDS, SamplingParams
from inpaint.core.result import EditResult, StoppedAt

TOLD_SETTINGS = ("prompt", "negative_prompt", "scheduler", *SAMPLING_FIELDS)


@dataclass(frozen=True)
class PromiseCheck:
    """What an edit proves of its result. changed_outside: pixels beyond the blend band that differ, the most of any candidate.

    region: the crop of the picture that the model saw, and the extent at which it saw it. blend_band_px: width of the soft seam.
    """

    changed_outside: int
    blend_band_px: int
    region: Region | None

    @property
    def sentence(self) -> str:
        """What every edit says of itself."""
        return f"{self.changed_outside} px changed beyond the {self.blend_band_px} px blend band."


@dataclass(frozen=True)
class RunReport:
    """A finished run. outputs: where its files lie; their names alone where nothing is on disk. seconds: by stage.

    check: None for a run that has no mask. downloads: addresses of results that are only in memory, relative to the page's.
    """

    outputs: tuple[str, ...]
    model: str
    sampling: SamplingParams
    seeds: tuple[int, ...]
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    stopped_at: StoppedAt | None = None
    notices: tuple[str, ...] = ()
    check: PromiseCheck | None = None
    downloads: tuple[str, ...] = ()

    @classmethod
    def of(cls, result: EditResult, outputs: tuple[str, ...], notices: tuple[str, ...], check: PromiseCheck | None) -> RunReport:
        """notices: those that were made after the run; the run's own come first, and each sentence stands once."""
        seeds = tuple(candidate.seed for candidate in result.candidates)
        every = tuple(dict.fromkeys((*result.notices, *notices)))
        return cls(outputs, result.model, result.sampling, seeds, result.seconds, result.stopped_at, every, check)

    def noted(self, notice: str) -> RunReport:
        """The same report with one more notice."""
        return replace(self, notices=(*self.notices, notice))

    def to_json(self) -> dict[str, object]:
        """The report as plain data, as docs/api.md lists it."""
        settings = {name: getattr(self.sampling, name) for name in TOLD_SETTINGS}
        told: dict[str, object] = {
            "outputs": list(self.outputs),
            "model": self.model,
            "seed": self.sampling.seed,
            "seeds": list(self.seeds),
            "settings": {name: value for name, value in settings.items() if value not in (None, "")},
            "seconds": {stage: round(seconds, 3) for stage, seconds in self.seconds.items()},
            "stopped_at": asdict(self.stopped_at) if self.stopped_at else None,
            "notices": list(self.notices),
        }
        if self.check is not None:
            told |= {
                "region": _as_json(self.check.region),
                "changed_outside": self.check.changed_outside,
                "blend_band_px": self.check.blend_band_px,
            }
        return told | ({"downloads": list(self.downloads)} if self.downloads else {})


def _as_json(region: Region | None) -> dict[str, object] | None:
    if region is None:
        return None
    working: Extent = region.working
    return {"crop": region.crop.as_list(), "working": [working.width, working.height]}
