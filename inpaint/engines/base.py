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


@dataclass(frozen=True, eq=False)
class EngineInput:
    """One candidate's work, at the working extent.

    picture: uint8 [h, w, 3] RGB. mask: uint8 [h, w], only 0 and 255; 255 = repaint.
    """

    picture: Pixels
    mask: Pixels
    sampling: SamplingParams


@dataclass(frozen=True, eq=False)
class EngineOutput:
    """picture: uint8 [h, w, 3] RGB at the working extent. notices: sentences about what was done otherwise than asked."""

    picture: Pixels
    notices: tuple[str, ...] = ()


class Engine(Protocol):
    """What every engine can, so that memory running out is met in the same way for every task."""

    def relieve(self) -> str | None:
        """Give up one more thing to need less memory; says what, as the rest of "Memory ran out, so ...". None = nothing left."""
        ...

    def relieve_last(self) -> str | None:
        """The rung after the smallest working extent, slow as it may be; said as `relieve` says it. None = nothing left."""
        ...

    def restore(self) -> None:
        """Take back everything that was given up."""
        ...


class Inpainter(Engine, Protocol):
    """Repaints the masked part of a picture."""

    def inpaint(self, work: EngineInput, report: ProgressCallback) -> EngineOutput:
        """Raises EditCancelled (from report), OutOfMemory, BadOutput; stays usable after each."""
        ...


class Reimaginer(Engine, Protocol):
    """Makes a picture anew from a picture and words."""

    def reimagine(self, picture: Pixels, sampling: SamplingParams, report: ProgressCallback) -> EngineOutput:
        """picture: uint8 [h, w, 3] RGB at the working extent; the output has the same. sampling.strength: 0 .. 1, how far
        from it. Raises EditCancelled (from report), OutOfMemory, BadOutput; stays usable after each."""
        ...


class Generator(Engine, Protocol):
    """Makes a picture from text."""

    def generate(self, sampling: SamplingParams, report: ProgressCallback) -> EngineOutput:
        """Raises EditCancelled (from report), OutOfMemory, BadOutput."""
        ...
