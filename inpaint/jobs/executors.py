"""Where a job's work is done: in the worker's own thread, or in a process that holds the GPU (a ZeroGPU Space, for what needs one).

Both take plain data and give plain data. Knows no queue and no page; imports neither `spaces` nor gradio, which app.py hands in.
"""

from __future__ import annotations

import contextvars
import math
import re
import threading
import traceback
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any

from inpaint.core.progress import Progress, ProgressCallback
from inpaint.core.result import EditResult
from inpaint.errors import EditCancelled, InpaintError, MachineError
from inpaint.jobs.eta import Pace
from inpaint.jobs.work import Work, cost_of, do
from inpaint.models.catalog import Models

SHORTEST_SECONDS, LONGEST_SECONDS = 15, 180
"""What is asked for of a GPU that is lent by the second. The first covers what every call costs (the weights are moved to the
GPU); the second is all that a visitor without an account may be lent in a day, roughly."""

SECONDS_PER_STEP = 0.5
"""For a million pixels, before anything was measured: on the safe side for the models here on a data centre's GPU."""

LOADED_PER_SECOND = 500_000_000
"""Bytes of weights, from a Space's disk to the GPU, on the safe side: a model that is not the default one is read for each call."""

MARGIN = 1.5
"""A call that takes longer than it asked for is ended from outside; what was asked for and not used is given back."""


class InThread:
    """In the thread that calls. An engine hears at once what whoever watches raises from `report`."""

    can_end_early = True

    def __init__(self, models: Models) -> None:
        self._models = models

    def run(self, work: Work, report: ProgressCallback) -> EditResult:
        """Raises what `do` raises, and ModelUnavailable."""
        return do(work, partial(_engine, self._models, work), report)


@dataclass(frozen=True)
class Failed:
    """The last message of a run that raised. error: None for a bug, whose traceback is told as text."""

    error: InpaintError | MemoryError | None
    bug: str = ""

    @classmethod
    def of(cls, error: BaseException) -> Failed:
        if isinstance(error, InpaintError | MemoryError):
            return cls(error.with_traceback(None))
        return cls(None, "".join(traceback.format_exception(error)))


Message = Progress | EditResult | Failed
Gpu = Callable[..., Callable[[Callable[[Work], Generator[Message]]], Callable[[Work], Generator[Message]]]]
"""What `spaces.GPU(duration=...)` is: it makes of a generator function one that runs in a process with a GPU."""


class GpuProcess:
    """In a forked process that is lent the GPU: it shares no event, lock or cache with this one, so only messages cross.

    gpu: `spaces.GPU`; it decorates at once, because a Space wants to see a decorated function at its start. refusal: what it
    raises where no GPU is lent, with a sentence for the person. pace: where this process keeps what past jobs took.
    A job is cancelled by closing the generator; there is no other word to it, so it cannot be ended early and kept.
    What has no weights is done in the thread that calls: a visitor has few seconds of GPU a day, and none is needed.
    """

    can_end_early = False

    def __init__(self, models: Models, gpu: Gpu, refusal: type[Exception], pace: Pace) -> None:
        self._models, self._pace, self._refusal = models, pace, refusal

        def in_gpu_process(work: Work) -> Generator[Message]:
            yield from as_messages(lambda report: do(work, partial(_engine, models, work), report))

        self._call = gpu(duration=self.seconds)(in_gpu_process)

    def run(self, work: Work, report: ProgressCallback) -> EditResult:
        """Raises what `do` raises there, and MachineError where no GPU is lent or it is taken away."""
        if not self._models.has_weights(self._models.spec(work.request.model, work.task), work.task):
            return InThread(self._models).run(work, report)
        try:
            with closing(self._call(work)) as messages:
                return _result_of(messages, report)
        except self._refusal as refused:
            raise MachineError(_without_tags(refused), "Try again later, or with fewer steps.") from None

    def seconds(self, work: Work) -> int:
        """How long to ask for: what such a job took so far, with a margin; a guess from steps and size before the first. The pace
        leaves loading out, so that comes on top."""
        cost = cost_of(work)
        known = self._pace.estimate(cost)
        guess = SHORTEST_SECONDS + SECONDS_PER_STEP * cost.units / 1e6 if known is None else known
        spec = self._models.spec(work.request.model, work.task)
        loading = self._models.bytes_to_load(spec, work.task, known is None) / LOADED_PER_SECOND
        return min(LONGEST_SECONDS, max(SHORTEST_SECONDS, math.ceil(MARGIN * guess + loading)))


def as_messages(run: Callable[[ProgressCallback], EditResult]) -> Generator[Message]:
    """A run's progress, then its result or its error, as messages. Closed early, the run is cancelled at the report it waits
    in, and has ended when `close` returns.

    The run goes on a thread of its own: its reports are calls, and only one side of a generator can call the other.
    """
    said: SimpleQueue[Message] = SimpleQueue()
    go_on: SimpleQueue[bool] = SimpleQueue()

    def report(progress: Progress) -> None:
        said.put(progress)
        if not go_on.get():
            go_on.put(False)
            raise EditCancelled

    def whole() -> None:
        try:
            said.put(run(report))
        except BaseException as error:  # whatever a model throws is told, and ends no process
            said.put(Failed.of(error))

    thread = threading.Thread(target=contextvars.copy_context().run, args=(whole,), name="inpaint-gpu", daemon=True)
    thread.start()
    try:
        while isinstance(message := said.get(), Progress):
            yield message
            go_on.put(True)
        yield message
    finally:
        go_on.put(False)
        thread.join()


def _result_of(messages: Generator[Message], report: ProgressCallback) -> EditResult:
    """report: raises to cancel; whoever closes the messages then stops the run."""
    for message in messages:
        if isinstance(message, Progress):
            report(message)
        elif isinstance(message, EditResult):
            return message
        else:
            raise message.error or RuntimeError(f"in the GPU's process:\n{message.bug}")
    raise MachineError("The GPU was taken away before the picture was done.", "Try again, or with fewer steps.")


def _engine(models: Models, work: Work, report: ProgressCallback) -> Any:
    return models.engine(models.spec(work.request.model, work.task), work.task, report)


def _without_tags(refused: Exception) -> str:
    """The sentence of an error whose text may be HTML."""
    return re.sub(r"<[^>]*>", "", str(getattr(refused, "message", refused)))
