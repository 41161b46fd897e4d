"""`spaces.GPU` as it is on a ZeroGPU Space, without the Space: the package's own fork, queues, pickling and stop.

Only the three calls to the Space's scheduler, and the moving of tensors (there is no GPU), are left out.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest


class LentGpu:
    """Call it as `spaces.GPU`. A process is kept for the next call, as on a Space.

    asked: of each call, the request it was lent to and the seconds. released: whether each ended well.

    refuses: raised by the next call instead of lending.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.MonkeyPatch.context() as without_torch:
            without_torch.setitem(sys.modules, "torch", None)
            self._wrappers = importlib.import_module("spaces.zero.wrappers")
        self.asked: list[tuple[Any, int]] = []
        self.released: list[bool] = []
        self.refuses: Exception | None = None
        for name, stand_in in (("schedule", self._schedule), ("release", self._release), ("allow", lambda token: None)):
            monkeypatch.setattr(self._wrappers.client, name, stand_in)
        self._processes: list[Any] = []
        start = self._wrappers.Worker.__init__
        monkeypatch.setattr(
            self._wrappers.Worker, "__init__", lambda process, *given: (start(process, *given), self._processes.append(process))[0]
        )

    @property
    def is_told_to_stop(self) -> bool:
        """Whether the newest process was."""
        return self._processes[-1].stop_event.is_set()

    def __call__(self, duration: Callable[..., int]) -> Callable[..., Any]:
        return lambda task: self._wrappers.generator_function_wrapper(task, duration, None)

    def _schedule(self, task_id: int, request: Any, duration: Any, gpu_size: Any) -> SimpleNamespace:
        if self.refuses is not None:
            raise self.refuses
        self.asked.append((request, round(duration.total_seconds())))
        return SimpleNamespace(allowToken="token", nvidiaIndex=0, nvidiaUUID="none", idle=True)

    def _release(self, token: str, *, fail: bool = False, allow_404: bool = False) -> None:
        self.released.append(not fail)
