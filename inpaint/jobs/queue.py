"""Whose turn it is, and how long it takes: a round-robin queue over people, a pace learned from past jobs, a run's own stride.

Pure data structures without locks, threads or clocks: jobs.py guards the queue. The pace may be asked while it learns.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Generic, TypeVar

from inpaint.core.geometry import Extent
from inpaint.core.progress import Progress

Item = TypeVar("Item")

NEW_SHARE = 0.4
"""How much the newest job counts in the learned pace: three jobs are enough to follow a machine that became busy."""

KINDS_KEPT = 256


class FairQueue(Generic[Item]):
    """First come first served within a person, in turn between people: one who queues many does not hold up the rest."""

    def __init__(self) -> None:
        self._lines: OrderedDict[str, deque[Item]] = OrderedDict()

    def push(self, person: str, item: Item) -> None:
        self._lines.setdefault(person, deque()).append(item)

    def pop(self) -> Item:
        """The next item; its person goes to the end of the round. Raises IndexError where nothing waits."""
        if not self._lines:
            raise IndexError("nothing waits")
        person, line = self._lines.popitem(last=False)
        item = line.popleft()
        if line:
            self._lines[person] = line
        return item

    def remove(self, person: str, item: Item) -> None:
        """Take an item out of the middle; one that is not there is no error."""
        line = self._lines.get(person)
        if line is None or item not in line:
            return
        line.remove(item)
        if not line:
            del self._lines[person]

    def in_order(self) -> list[Item]:
        """All that wait, in the order in which they would be served if nobody else came."""
        lines = [list(line) for line in self._lines.values()]
        longest = max(map(len, lines), default=0)
        return [line[turn] for turn in range(longest) for line in lines if turn < len(line)]

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))


@dataclass(frozen=True)
class Cost:
    """What a job's time depends on. model: "" for work that teaches nothing. extent: what the model sees or makes.

    steps: of all candidates together, more than 0.
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
        """What its loading depends on."""
        return f"{self.model} {self.task}"

    @property
    def units(self) -> float:
        """Within a kind, time grows with this."""
        return self.steps * self.extent.area


class Learned:
    """Seconds by name, each an exponential average of what was seen. The names used last are kept."""

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
    """What past jobs took: a unit of work and what comes after the last step, by kind; loading, by model and task."""

    def __init__(self) -> None:
        self._unit, self._after_steps, self._loading = Learned(), Learned(), Learned()

    def learn(self, cost: Cost, seconds: float, loading: float = 0.0, after_steps: float | None = None) -> None:
        """seconds: what such a job took, without the loading of its model. after_steps: those of them after its last step."""
        self._unit.learn(cost.kind, seconds / cost.units)
        if loading:
            self._loading.learn(cost.loads, loading)
        if after_steps is not None:
            self._after_steps.learn(cost.kind, after_steps)

    def estimate(self, cost: Cost) -> float | None:
        """Seconds without loading, or None for a kind that never ran here: what is unknown stays unknown."""
        unit = self._unit.of(cost.kind)
        return None if unit is None else unit * cost.units

    def loading(self, cost: Cost) -> float:
        """Seconds of loading in a job that has to load; 0 where that is unknown."""
        return self._loading.of(cost.loads) or 0.0

    def after_steps(self, cost: Cost) -> float:
        """Seconds after a candidate's last step; 0 where that is unknown."""
        return self._after_steps.of(cost.kind) or 0.0


@dataclass(frozen=True)
class Stride:
    """How a run gets on by its own steps: those of denoising, in each candidate. All times are seconds that it has computed,
    which leaves loading out.

    step of total in candidate of candidates: the last that was heard of, at `at`. first_step, first_at: the first one of this
    candidate. each: seconds a step; None until two were heard of.
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
    def heard(cls, before: Stride | None, progress: Progress, now: float) -> Stride | None:
        """before: the stride until now. Progress that counts no steps of denoising changes nothing."""
        if progress.stage != "denoising" or not progress.total:
            return before
        first_step, first_at, each = progress.step, now, before.each if before else None
        # Where the count begins anew, another candidate has begun, or the same one again with less memory.
        if before is not None and progress.candidate == before.candidate and progress.step > before.step:
            first_step, first_at = before.first_step, before.first_at
            each = (now - first_at) / (progress.step - first_step)
        return cls(progress.step, progress.total, progress.candidate, progress.candidates, now, first_step, first_at, each)

    def left(self, now: float, after_steps: float) -> float | None:
        """Seconds, or None before two steps were heard of. after_steps: what follows the last step of each candidate.

        What goes on now may take longer than it should; what comes after it is still to come.
        """
        if self.each is None:
            return None
        steps, others = self.total - self.step, self.candidates - self.candidate
        left = steps * self.each + after_steps + others * (self.total * self.each + after_steps)
        return max(left - (now - self.at), left - (self.each if steps else after_steps))

    def after_steps(self, now: float) -> float | None:
        """Seconds since the last step of all; None where it was not heard of."""
        return now - self.at if (self.step, self.candidate) == (self.total, self.candidates) else None
