"""The result of a finished run: its candidates and the facts that its report states. Knows no files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from inpaint.core.picture import Picture
from inpaint.core.region import Region
from inpaint.core.request import SamplingParams


@dataclass(frozen=True, eq=False)
class Candidate:
    """One of the pictures that a run made.

    picture: the full picture in upload space. seed: the seed that made it. changed_outside: pixels that changed beyond the
    blend band.
    """

    picture: Picture
    seed: int
    changed_outside: int


@dataclass(frozen=True)
class StoppedAt:
    """Where a candidate was ended early and kept: after step `step` of `total`."""

    candidate: int
    step: int
    total: int


@dataclass(frozen=True, eq=False)
class EditResult:
    """A finished run. region: None for text-to-image. seconds: time spent in each stage.

    stopped_at: where the last candidate was ended early; None if it ran to its end.
    """

    candidates: tuple[Candidate, ...]
    model: str
    sampling: SamplingParams
    region: Region | None
    blend_band_px: int
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    notices: tuple[str, ...] = ()
    stopped_at: StoppedAt | None = None
