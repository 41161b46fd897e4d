"""Runs a part of a model through torch.compile, where a person asked for that. Knows no model and no setting.

In place (`Module.compile`), so that a part that is moved or let go takes its compiled form along.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch

from inpaint.core.progress import Progress, ProgressCallback
from inpaint.engines.runtime.diffusion import is_out_of_memory

log = logging.getLogger(__name__)

FIRST_RUN = "The first run at a new size may compile the model, which takes a while."
FAILED = "The model could not be compiled here, so it ran without torch.compile; the server's log says why."
STOOD_ASIDE = "Memory was short, so the model ran without torch.compile."


class Compiler:
    """What has been compiled for one engine. notices: of the latest run.

    backend: as torch.compile takes it. A whole graph or nothing: where torch gives up, after too many sizes too, it raises
    instead of running a part as it is.
    """

    def __init__(self, backend: str | Callable[..., Any] = "inductor") -> None:
        self._backend = backend
        self._shapes: WeakKeyDictionary[torch.nn.Module, set[torch.Size]] = WeakKeyDictionary()
        self._has_failed = False
        self.notices: tuple[str, ...] = ()

    def of(self, module: torch.nn.Module, report: ProgressCallback) -> Callable[..., Any]:
        """What a run calls instead of the module, with `sample` among its keywords. It compiles when it is first called."""
        self.notices = (FAILED,) if self._has_failed else ()
        if module not in self._shapes:
            module.compile(backend=self._backend, dynamic=True, fullgraph=True)
            self._shapes[module] = set()
        return partial(self._call, module, report)

    def stand_aside(self, module: torch.nn.Module) -> Callable[..., Any]:
        """The same for a run whose layers are not what was compiled: in slices, or streamed."""
        self.notices = (STOOD_ASIDE,)
        return partial(_eagerly, module)

    def _call(self, module: torch.nn.Module, report: ProgressCallback, *, sample: torch.Tensor, **inputs: Any) -> Any:
        if not self._has_failed and sample.shape not in self._shapes[module]:
            return self._call_first(module, report, sample=sample, **inputs)
        return _eagerly(module, sample=sample, **inputs) if self._has_failed else module(sample=sample, **inputs)

    def _call_first(self, module: torch.nn.Module, report: ProgressCallback, *, sample: torch.Tensor, **inputs: Any) -> Any:
        """Whatever the compiler raises, the module is run as it is; an error of the module itself comes again there."""
        report(Progress("loading", notice=FIRST_RUN))
        self.notices = (FIRST_RUN,)
        try:
            result = module(sample=sample, **inputs)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            log.warning("torch.compile failed", exc_info=True)
        else:
            self._shapes[module].add(sample.shape)
            return result
        self._has_failed, self.notices = True, (FAILED,)
        return _eagerly(module, sample=sample, **inputs)


def _eagerly(module: torch.nn.Module, **inputs: Any) -> Any:
    with torch.compiler.set_stance("force_eager"):
        return module(**inputs)
