"""What comes back: progress while an edit runs, and the finished edit with its report. Knows no files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from inpaint.core.picture import Picture
from inpaint.core.region import Region
from inpaint.core.request import SamplingParams

Pixels = NDArray[np.uint8]
Stage = Literal["loading", "prior", "encoding", "denoising", "decoding", "filling", "compositing", "saving"]


@dataclass(frozen=True, eq=False)
class Progress:
    """Where a job is: step of total within a stage (1-based; 0 = the first has begun; total 0 = not counted), in candidate k of n
    (1-based).

    preview: uint8 [h, w, 3] RGB of the work area at any small size, or None. notice: what is done otherwise than asked since
    it began, as a sentence.
    """

    stage: Stage
    step: int = 0
    total: int = 0
    preview: Pixels | None = None
    candidate: int = 1
    candidates: int = 1
    notice: str = ""


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
