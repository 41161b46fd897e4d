"""Points inside one long pass of a network at which a run can be cancelled."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager

import torch

from inpaint.core.progress import Progress, ProgressCallback, Stage


@contextmanager
def cancel_points(blocks: Iterable[torch.nn.Module], stage: Stage, report: ProgressCallback) -> Generator[None]:
    """While open, each block reports before it runs, so that a run can be cancelled inside one long pass."""
    before_each = list(blocks)

    def hook(number: int) -> Callable[..., None]:
        return lambda *_: report(Progress(stage, number, len(before_each)))

    handles = [block.register_forward_pre_hook(hook(number)) for number, block in enumerate(before_each, start=1)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
