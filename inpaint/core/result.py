"""The finished edit: its candidates and what its report tells. Knows no files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from inpaint.core.picture import Picture
from inpaint.core.region import Region
from inpaint.core.request import SamplingParams


@dataclass(frozen=True, eq=False)
class Candidate:
    """One of several results: the full picture in upload space and the seed that made it."""

    picture: Picture
    seed: int
    changed_outside: int


@dataclass(frozen=True)
class StoppedAt:
    """Where a candidate was ended early and used as it was: after step of total."""

    candidate: int
    step: int
    total: int


@dataclass(frozen=True, eq=False)
class EditResult:
    """A finished edit. region is None for text-to-image. seconds: by stage. stopped_at: of the last candidate; None = it ran to its end."""

    candidates: tuple[Candidate, ...]
    model: str
    sampling: SamplingParams
    region: Region | None
    blend_band_px: int
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    notices: tuple[str, ...] = ()
    stopped_at: StoppedAt | None = None
