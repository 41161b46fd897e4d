"""What an engine reports while it works, and how whoever watches answers: by returning, or by raising."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from inpaint.errors import EditCancelled

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


ProgressCallback = Callable[[Progress], None]
"""Called by an engine between two pieces of its work. It may raise EditCancelled to end the job, or UseAsIs to end it early."""


class UseAsIs(EditCancelled):
    """Raised from a progress callback after a step of denoising: the engine then finishes with the picture predicted so far.

    An engine that cannot do so lets the error pass. The job then counts as cancelled, unless other candidates are finished.
    """
