"""Erases without a prompt: PatchMatch on the CPU fills the mask from the picture's own texture.

C. Barnes et al., "PatchMatch: A Randomized Correspondence Algorithm for Structural Image Editing", SIGGRAPH 2009, as the
package pypatchmatch implements it. Where that package has no wheel, OpenCV's inpainting after A. Telea (2004) fills, with a notice.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaint.core.progress import Progress, ProgressCallback
from inpaint.engines.base import EngineInput, EngineOutput, FreeMemory
from inpaint.engines.erase.fill_client import fill
from inpaint.engines.memory.budget import free_ram_bytes

Pixels = NDArray[np.uint8]

PATCH_RADIUS = 5
"""The best of 2, 3, 5, 7 and 9 on 18 holes in 6 photos: 5 continues roofs, petals and fur, 7 and more copy whole objects."""

TELEA_RADIUS = 5
NOTHING_TO_FILL_FROM = "Everything in the work area is painted: there is nothing to fill from, so it stays as it was."
WITHOUT_PATCHMATCH = "PatchMatch is not installed for this machine; OpenCV's simpler fill was used."
BROKEN_PATCHMATCH = "PatchMatch is installed, but its library cannot be loaded, so OpenCV's simpler fill was used. Installing pypatchmatch anew may mend it."


@dataclass(frozen=True)
class Erase:
    """Fills the mask from the rest of the work area. The same seed gives the same fill."""

    has_patchmatch: bool
    why_not: str = WITHOUT_PATCHMATCH

    @classmethod
    def load(cls) -> Erase:
        try:
            from patchmatch import patchmatch_available
        except ImportError:
            return cls(False)
        return cls(patchmatch_available, BROKEN_PATCHMATCH)

    def inpaint(self, inputs: EngineInput, report: ProgressCallback) -> EngineOutput:
        report(Progress("filling"))
        if inputs.mask.all():
            return EngineOutput(inputs.picture, (NOTHING_TO_FILL_FROM,))
        if not self.has_patchmatch:
            return EngineOutput(_telea(inputs.picture, inputs.mask), (self.why_not,))
        return EngineOutput(_patchmatch(inputs, report))

    def reduce_memory(self) -> str | None:
        """None: it takes no measures, and only a smaller work area helps."""
        return None

    def reduce_memory_slowly(self) -> str | None:
        """None: it takes no measures."""
        return None

    def restore(self) -> None:
        """Changes nothing, since no measure was taken."""

    def free_memory(self) -> FreeMemory:
        """What is free of the RAM."""
        return FreeMemory(free_ram_bytes(), "cpu")


def _telea(picture: Pixels, mask: Pixels) -> Pixels:
    return np.asarray(cv2.inpaint(picture, mask, TELEA_RADIUS, cv2.INPAINT_TELEA), np.uint8)


def _patchmatch(inputs: EngineInput, report: ProgressCallback) -> Pixels:
    """Fills by PatchMatch. A work area smaller than one patch is mirrored outward first, since the search needs a whole one."""
    height, width = inputs.mask.shape
    least = 2 * PATCH_RADIUS + 1
    below, right = max(0, least - height), max(0, least - width)
    picture = np.pad(inputs.picture, ((0, below), (0, right), (0, 0)), "symmetric")
    mask = np.pad(inputs.mask, ((0, below), (0, right)), "symmetric")
    return np.ascontiguousarray(fill(picture, mask, inputs.sampling.seed, PATCH_RADIUS, report)[:height, :width])
