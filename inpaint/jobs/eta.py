"""How long a job will take: learned from past jobs, and measured on the steps of a running one. Pure: knows no clock."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass

from inpaint.core.geometry import Extent
from inpaint.core.progress import Progress

NEW_SHARE = 0.4
"""Weight of the newest job in the learned average: three jobs are enough to follow a machine that became busy."""

KINDS_KEPT = 256
"""How many kinds of job are remembered."""


@dataclass(frozen=True)
class Cost:
    """What a job's computing time depends on.

    model: the model's name, or "" for work whose time is not learned. extent: what the model sees or makes.
    steps: number of steps of all candidates together, more than 0.
    """

    model: str = ""
    task: str = ""
    extent: Extent = Extent(1, 1)
    steps: float = 1.0

    @property
    def kind(self) -> str:
        """Model, task and about how many pixels, to the nearest power of the square root of 2: crops are hardly ever equal."""
        return f"{self.loads} {round(2 * math.log2(self.extent.area))}"

    @property
    def loads(self) -> str:
        """The key under which loading times are learned: model and task."""
        return f"{self.model} {self.task}"

    @property
    def units(self) -> float:
        """Amount of work: within one kind, computing time is proportional to it."""
        return self.steps * self.extent.area


class Learned:
    """Exponential averages of seconds, by key. Keeps the KINDS_KEPT keys that were used last."""

    def __init__(self) -> None:
        self._seconds: OrderedDict[str, float] = OrderedDict()

    def learn(self, name: str, new: float) -> None:
        old = self._seconds.get(name, new)
        self._seconds[name] = old + NEW_SHARE * (new - old)
        self._seconds.move_to_end(name)
        while len(self._seconds) > KINDS_KEPT:
            self._seconds.popitem(last=False)

    def of(self, name: str) -> float | None:
        return self._seconds.get(name)


class Pace:
    """Learns from finished jobs how long a unit of work takes (by kind of job), how long the time after the last step is, and how long
    loading takes (by model and task)."""

    def __init__(self) -> None:
        self._unit, self._after_steps, self._loading = Learned(), Learned(), Learned()

    def learn(self, cost: Cost, seconds: float, loading: float = 0.0, after_steps: float | None = None) -> None:
        """Adds one finished job. seconds: its computing time without loading. after_steps: how many of these came after its last step."""
        self._unit.learn(cost.kind, seconds / cost.units)
        if loading:
            self._loading.learn(cost.loads, loading)
        if after_steps is not None:
            self._after_steps.learn(cost.kind, after_steps)

    def estimate(self, cost: Cost) -> float | None:
        """Returns the expected computing seconds without loading, or None for a kind of job that never ran here."""
        unit = self._unit.of(cost.kind)
        return None if unit is None else unit * cost.units

    def loading(self, cost: Cost) -> float:
        """Returns the expected seconds of loading for a job that has to load its model; 0 when unknown."""
        return self._loading.of(cost.loads) or 0.0

    def after_steps(self, cost: Cost) -> float:
        """Returns the expected seconds after a candidate's last step (decoding, compositing); 0 when unknown."""
        return self._after_steps.of(cost.kind) or 0.0


@dataclass(frozen=True)
class StepRate:
    """How fast one running job denoises, measured on its own steps. All times are seconds of computing, without loading.

    step, total, candidate, candidates: the latest step that was reported, at time `at`. first_step, first_at: the first step that was
    reported for this candidate. each: seconds a step; None until two steps were reported.
    """

    step: int
    total: int
    candidate: int
    candidates: int
    at: float
    first_step: int
    first_at: float
    each: float | None

    @classmethod
    def updated(cls, before: StepRate | None, progress: Progress, now: float) -> StepRate | None:
        """Returns the rate after one more progress report. before: the rate so far. Reports without denoising steps change nothing."""
        if progress.stage != "denoising" or not progress.total:
            return before
        first_step, first_at, each = progress.step, now, before.each if before else None
        # A step count that starts again means another candidate, or the same one again with less memory.
        if before is not None and progress.candidate == before.candidate and progress.step > before.step:
            first_step, first_at = before.first_step, before.first_at
            each = (now - first_at) / (progress.step - first_step)
        return cls(progress.step, progress.total, progress.candidate, progress.candidates, now, first_step, first_at, each)

    def left(self, now: float, after_steps: float) -> float | None:
        """Returns the seconds until the job will have ended, or None before two steps were reported.

        after_steps: expected seconds after the last step of each candidate. A step that takes longer than expected never makes the
        rest shorter than the steps that are still to come.
        """
        if self.each is None:
            return None
        steps, others = self.total - self.step, self.candidates - self.candidate
        left = steps * self.each + after_steps + others * (self.total * self.each + after_steps)
        return max(left - (now - self.at), left - (self.each if steps else after_steps))

    def after_steps(self, now: float) -> float | None:
        """Returns the seconds since the very last step, or None when that step was not reported yet."""
        return now - self.at if (self.step, self.candidate) == (self.total, self.candidates) else None
