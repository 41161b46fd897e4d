"""Runs a part of a model through torch.compile, where a person asked for that. Knows no model and no setting.

The module is compiled in place (`Module.compile`), so that its compiled form leaves with it when it is moved or evicted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch

from inpaint.core.progress import Progress, ProgressCallback
from inpaint.engines.memory.out_of_memory import is_out_of_memory

log = logging.getLogger(__name__)

FIRST_RUN = "The first run at a new size may compile the model, which takes a while."
FAILED = "The model could not be compiled here, so it ran without torch.compile; the server's log says why."
STOOD_ASIDE = "Memory was short, so the model ran without torch.compile."


class Compiler:
    """The compiled modules of one engine. notices: what the latest run has to say.

    backend: as torch.compile takes it. Only whole graphs are compiled: where torch gives up, as after too many sizes, it
    raises, and the module then runs as it is.
    """

    def __init__(self, backend: str | Callable[..., Any] = "inductor") -> None:
        self._backend = backend
        self._shapes: WeakKeyDictionary[torch.nn.Module, set[torch.Size]] = WeakKeyDictionary()
        self._has_failed = False
        self.notices: tuple[str, ...] = ()

    def of(self, module: torch.nn.Module, report: ProgressCallback) -> Callable[..., Any]:
        """What a run calls in place of the module, with `sample` among its keywords. The first call compiles."""
        self.notices = (FAILED,) if self._has_failed else ()
        if module not in self._shapes:
            module.compile(backend=self._backend, dynamic=True, fullgraph=True)
            self._shapes[module] = set()
        return partial(self._call, module, report)

    def uncompiled(self, module: torch.nn.Module) -> Callable[..., Any]:
        """What a run calls whose layers are not those that were compiled, since they are sliced or streamed: the module as it is."""
        self.notices = (STOOD_ASIDE,)
        return partial(_eagerly, module)

    def _call(self, module: torch.nn.Module, report: ProgressCallback, *, sample: torch.Tensor, **inputs: Any) -> Any:
        if not self._has_failed and sample.shape not in self._shapes[module]:
            return self._call_first(module, report, sample=sample, **inputs)
        return _eagerly(module, sample=sample, **inputs) if self._has_failed else module(sample=sample, **inputs)

    def _call_first(self, module: torch.nn.Module, report: ProgressCallback, *, sample: torch.Tensor, **inputs: Any) -> Any:
        """Compiles and runs. After any error the module runs as it is, where an error of its own comes again."""
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
