"""What to give up, one thing after another, when a device's memory runs out. Knows no device: the engine gives up its part first.

Never another device silently, and never for good: the next job starts with everything again.
"""

from __future__ import annotations

from collections.abc import Callable

from inpaint.editing.model_view import Sight
from inpaint.engines.base import Engine, EngineOutput
from inpaint.engines.runtime.device import free_bytes
from inpaint.errors import OutOfMemory

GB = 10**9
NOTHING_LEFT = "Nothing more can be given up; choose a smaller size or model, or close other programs."
NOT_EVEN_SMALL = "Nothing more can be given up; close other programs, or choose a smaller model."


class MemoryLadder:
    """Tries again with less. The order: what the engine gives up, smaller extents, what the engine gives up last.

    say: hears a sentence at each rung. given_up: all of them, for the result.
    """

    def __init__(self, engine: Engine, sight: Sight, say: Callable[[str], None]) -> None:
        self._engine, self._sight, self._say = engine, sight, say
        self._asked = sight.extent
        self.given_up: list[str] = []

    def climb(self, attempt: Callable[[], EngineOutput], candidate: int = 1) -> EngineOutput:
        """attempt: looks at the sight anew each time. candidate: those before it were made with more, and the sentence says so.
        Raises OutOfMemory after the last rung."""
        while True:
            try:
                return attempt()
            except OutOfMemory:
                pass
            # Left the except block: its traceback would keep the failed try's memory from being given back.
            self._step_down(candidate)

    def _step_down(self, candidate: int) -> None:
        relief = self._engine.relieve() or self._shrink() or self._engine.relieve_last()
        if relief is None:
            raise self._too_little()
        before = f"From candidate {candidate} on: memory" if candidate > 1 else "Memory"
        self.given_up.append(f"{before} ran out, so {relief}.")
        self._say(self.given_up[-1])

    def _too_little(self) -> OutOfMemory:
        """Names the size that was asked for: the last one tried is nobody's choice."""
        is_same = self._sight.extent == self._asked
        tried = f"{self._asked} pixels" if is_same else f"{self._asked} pixels, and for any size down to {self._sight.extent}"
        return OutOfMemory(f"There is too little memory for {tried}: {free_bytes() / GB:.1f} GB are free.",
                           NOTHING_LEFT if is_same else NOT_EVEN_SMALL)

    def _shrink(self) -> str | None:
        before = self._sight.extent
        return f"the model saw {self._sight.extent} instead of {before} pixels" if self._sight.shrink() else None
