"""The protocols of engines, and the plain data at the working extent that they take and return. Imports no torch.

An engine reports its progress through a ProgressCallback. It lets every EditCancelled that the callback raises pass; only
UseAsIs asks it to finish early with the picture it has (inpaint/core/progress.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from inpaint.core.progress import ProgressCallback
from inpaint.core.request import SamplingParams

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class FreeMemory:
    """What is free where an engine computes. device: "cpu", "cuda", "cuda:1" or "mps"."""

    nbytes: int
    device: str


@dataclass(frozen=True, eq=False)
class EngineInput:
    """The work for one candidate, at the working extent.

    picture: uint8 [h, w, 3] RGB. mask: uint8 [h, w], only 0 and 255; 255 = repaint.
    """

    picture: Pixels
    mask: Pixels
    sampling: SamplingParams


@dataclass(frozen=True, eq=False)
class EngineOutput:
    """One candidate. picture: uint8 [h, w, 3] RGB at the working extent. notices: what was done otherwise than asked, as sentences."""

    picture: Pixels
    notices: tuple[str, ...] = ()


class Engine(Protocol):
    """What an engine of every task offers to whoever reacts to memory running out."""

    def reduce_memory(self) -> str | None:
        """Takes one more measure so that the next try needs less memory, and returns what was done.

        The sentence completes "Memory ran out, so ...". None = no measure is left.
        """
        ...

    def reduce_memory_slowly(self) -> str | None:
        """Takes a measure that is too slow to come before the smallest working extent; returns as `reduce_memory` does."""
        ...

    def restore(self) -> None:
        """Ends all measures, so that the next job starts as with a fresh engine."""
        ...

    def free_memory(self) -> FreeMemory:
        """What is free now where the engine computes."""
        ...


class Inpainter(Engine, Protocol):
    """Repaints the masked part of a picture."""

    def inpaint(self, inputs: EngineInput, report: ProgressCallback) -> EngineOutput:
        """One candidate. Raises EditCancelled (from report), OutOfMemory, BadOutput; the engine stays usable after each."""
        ...


class Reimaginer(Engine, Protocol):
    """Makes a picture anew from a picture and words."""

    def reimagine(self, picture: Pixels, sampling: SamplingParams, report: ProgressCallback) -> EngineOutput:
        """One candidate, in the extent of the picture.

        picture: uint8 [h, w, 3] RGB at the working extent. sampling.strength: 0 .. 1, how far the candidate may differ from
        it. Raises EditCancelled (from report), OutOfMemory, BadOutput; the engine stays usable after each.
        """
        ...


class Generator(Engine, Protocol):
    """Makes a picture from text."""

    def generate(self, sampling: SamplingParams, report: ProgressCallback) -> EngineOutput:
        """One candidate. Raises EditCancelled (from report), OutOfMemory, BadOutput; the engine stays usable after each."""
        ...
