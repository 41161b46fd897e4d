"""Frees memory step by step when the device's memory runs out during a job. Knows no device and no model.

The job never moves to another device silently. Nothing lasts: the next job starts without any of these measures.
"""

from __future__ import annotations

from collections.abc import Callable

from inpaint.editing.model_view import ModelView
from inpaint.engines.base import Engine, EngineOutput
from inpaint.errors import OutOfMemory

GB = 10**9
NOTHING_LEFT = "Nothing more can be given up; choose a smaller size or model, or close other programs."
NOT_EVEN_SMALL = "Nothing more can be given up; close other programs, or choose a smaller model."


class MemoryFallback:
    """Repeats an attempt with less memory: with the engine's measures, then at smaller extents, then with the engine's slow measures.

    view: what the model sees, which can shrink. notify: called with a sentence for each measure. notices: all these
    sentences, for the result.
    """

    def __init__(self, engine: Engine, view: ModelView, notify: Callable[[str], None]) -> None:
        self._engine, self._view, self._notify = engine, view, notify
        self._asked = view.extent
        self.notices: list[str] = []

    def run(self, attempt: Callable[[], EngineOutput], candidate: int = 1) -> EngineOutput:
        """Returns the output of the first attempt for which the memory is enough. Raises OutOfMemory after the last measure.

        attempt: makes one output; it must read the view each time it is called. candidate: the candidate's number, from 1.
        The notice names it if earlier candidates were made without the measure.
        """
        while True:
            try:
                return attempt()
            except OutOfMemory:
                pass
            # This is outside the except block, because the traceback would keep the failed attempt's memory in use.
            self._take_measure(candidate)

    def _take_measure(self, candidate: int) -> None:
        done = self._engine.reduce_memory() or self._shrink() or self._engine.reduce_memory_slowly()
        if done is None:
            raise self._too_little()
        before = f"From candidate {candidate} on: memory" if candidate > 1 else "Memory"
        self.notices.append(f"{before} ran out, so {done}.")
        self._notify(self.notices[-1])

    def _too_little(self) -> OutOfMemory:
        """Returns the error for when no measure is left. It names the size that was asked for, and not only the last one that was tried."""
        is_same = self._view.extent == self._asked
        tried = f"{self._asked} pixels" if is_same else f"{self._asked} pixels, and for any size down to {self._view.extent}"
        free = self._engine.free_memory()
        place = f" on {free.device}" if ":" in free.device else ""
        return OutOfMemory(
            f"There is too little memory for {tried}: {free.nbytes / GB:.1f} GB are free{place}.",
            NOTHING_LEFT if is_same else NOT_EVEN_SMALL,
        )

    def _shrink(self) -> str | None:
        """Halves the pixels that the model sees and returns a phrase that says so; None if there is no smaller extent."""
        before = self._view.extent
        return f"the model saw {self._view.extent} instead of {before} pixels" if self._view.shrink() else None
