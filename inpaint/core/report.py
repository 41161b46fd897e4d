"""What a finished run reports about itself: the JSON report of the HTTP contract and of --json, as a type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from inpaint.core.geometry import Extent
from inpaint.core.region import Region
from inpaint.core.request import SAMPLING_FIELDS, SamplingParams
from inpaint.core.result import EditResult, StoppedAt

REPORTED_SETTINGS = ("prompt", "negative_prompt", "scheduler", *SAMPLING_FIELDS)


@dataclass(frozen=True)
class PromiseCheck:
    """Proof that an edit changed nothing but the masked part.

    changed_outside: pixels beyond the blend band that differ; the highest count of any candidate. region: the crop of the
    picture that the model saw, and the extent at which it saw it. blend_band_px: width of the soft seam.
    """

    changed_outside: int
    blend_band_px: int
    region: Region | None

    @property
    def sentence(self) -> str:
        """The sentence with which every edit states how many pixels changed beyond the blend band."""
        return f"{self.changed_outside} px changed beyond the {self.blend_band_px} px blend band."


@dataclass(frozen=True)
class RunReport:
    """The report of a finished run.

    outputs: paths of its files, or their names alone if the disk did not take them. seconds: time spent in each stage. check:
    None for a run without a mask. downloads: addresses of results that are only in memory, relative to the page's address.
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
        """Builds the report of a result. notices: made after the run; the run's own notices come first, and no sentence appears twice."""
        seeds = tuple(candidate.seed for candidate in result.candidates)
        every = tuple(dict.fromkeys((*result.notices, *notices)))
        return cls(outputs, result.model, result.sampling, seeds, result.seconds, result.stopped_at, every, check)

    def noted(self, notice: str) -> RunReport:
        """Returns the same report with one more notice."""
        return replace(self, notices=(*self.notices, notice))

    def to_json(self) -> dict[str, object]:
        """Returns the report as plain data, with the keys that docs/api.md lists."""
        settings = {name: getattr(self.sampling, name) for name in REPORTED_SETTINGS}
        facts: dict[str, object] = {
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
            facts |= {
                "region": _as_json(self.check.region),
                "changed_outside": self.check.changed_outside,
                "blend_band_px": self.check.blend_band_px,
            }
        return facts | ({"downloads": list(self.downloads)} if self.downloads else {})


def _as_json(region: Region | None) -> dict[str, object] | None:
    if region is None:
        return None
    working: Extent = region.working
    return {"crop": region.crop.as_list(), "working": [working.width, working.height]}
