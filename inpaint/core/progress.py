"""What an engine reports while it works. The callback that receives it lets the engine go on by returning, or ends the work by raising."""

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
    """Where a job is: step `step` of `total` within a stage, in candidate `candidate` of `candidates`.

    Steps and candidates count from 1. Step 0 means that the first step has begun; total 0 means that the stage is not
    counted. preview: uint8 [h, w, 3] RGB of the work area at any small size, or None. notice: a sentence about what has been
    done differently from the request since the job began, as after a shortage of memory.
    """

    stage: Stage
    step: int = 0
    total: int = 0
    preview: Pixels | None = None
    candidate: int = 1
    candidates: int = 1
    notice: str = ""


ProgressCallback = Callable[[Progress], None]
"""Called by an engine between two steps of its work. It may raise EditCancelled to cancel the job, or UseAsIs to end it early and keep
the picture."""


class UseAsIs(EditCancelled):
    """Raised from a progress callback after a denoising step: the engine then finishes with the picture predicted so far.

    An engine that cannot do so lets the error pass. The job then counts as cancelled, unless other candidates are finished.
    """
