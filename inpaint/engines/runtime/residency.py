"""Which parts of all models are in memory: brought when they are needed, let go when the next would not fit.

Parts, not whole pipelines: the least recently used goes first. One thread uses it, the worker. Knows no model; imports torch
only when the first part is brought.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from inpaint.core.progress import Progress, ProgressCallback
from inpaint.engines.runtime import budget
from inpaint.errors import OutOfMemory

Value = TypeVar("Value")

PARKED_RESERVE = 2 * budget.GB
"""What parts that wait in the computer's own memory leave free there."""


@dataclass(eq=False)
class Part(Generic[Value]):
    """A handle on a part of a model; it costs nothing until it is brought.

    key: all that decides the bits of its weights. title: for messages. nbytes: of its weights, as loaded. load: gives it on the
    named device, or raises; what it gives has `to(device)`. The rest is the residency's to change.
    """

    key: str
    title: str
    nbytes: int
    load: Callable[[str], Value]
    value: Value | None = field(default=None, repr=False)
    is_on_device: bool = False
    users: int = 0
    last_use: int = -1


class Residency:
    """All parts of all models on one device.

    device: as choose_device returns it. budget: bytes for weights and activations; None = what the device has, less a reserve.
    parks: a part that is let go waits in the computer's own memory, if it fits there; only with a GPU that has memory of its own.
    binds: what does not fit is not even tried. On a CPU it is: a guess of free memory must not decide the last bits of a picture.
    """

    def __init__(self, device: str, budget: int | None = None, parks: bool | None = None,
                 free_ram: Callable[[], int] = budget.free_ram_bytes) -> None:
        self.device = device
        self.parks = device.startswith("cuda") if parks is None else parks
        self.binds = self.parks or device != "cpu"
        self._budget = budget
        self._free_ram = free_ram
        self._parts: dict[str, Part[Any]] = {}
        self._clock = itertools.count()

    @property
    def budget(self) -> int:
        """Bytes. Measured once, before anything is loaded: later on our own parts would count as taken."""
        if self._budget is None:
            kind, _, index = self.device.partition(":")
            self._budget = budget.budget_bytes(kind, int(index or 0))  # pyright: ignore[reportArgumentType]
        return self._budget

    @property
    def used(self) -> int:
        """Bytes of weights on the device."""
        return sum(part.nbytes for part in list(self._parts.values()) if part.is_on_device)  # the metrics' thread asks too

    def part(self, key: str, title: str, nbytes: int, load: Callable[[str], Value]) -> Part[Value]:
        """The part of this key, the same for everyone who asks."""
        if key not in self._parts:
            self._parts[key] = Part(key, title, nbytes, load)
        return self._parts[key]

    def fits(self, *parts: Part[Any], working: int = 0) -> bool:
        """Whether these, and activations of `working` bytes, fit into the budget when everything else has gone."""
        return sum(part.nbytes for part in parts) + working <= self.budget

    def in_words(self, done: str) -> str:
        """A notice of what was done otherwise for the budget, in the words that the page has for it too."""
        return f"{self.budget / budget.GB:.3g} GB of memory for models: {done}."

    @contextmanager
    def using(self, report: ProgressCallback, *parts: Part[Any], working: int = 0, alone: bool = False) -> Generator[tuple[Any, ...]]:
        """The parts on the device while the block runs. working: bytes of activations to keep free beside them. alone: all others
        go, whatever the budget says.

        Raises OutOfMemory, ModelUnavailable, EditCancelled (from report); then no part is half-loaded.
        """
        for part in parts:
            part.users += 1
        try:
            self._bring(parts, working, alone, report)
            yield tuple(part.value for part in parts)
        finally:
            for part in parts:
                part.users -= 1

    def bring_ahead(self, report: ProgressCallback, *parts: Part[Any], working: int = 0) -> None:
        """Load what the next steps will need, in their order, as far as it fits together: then nothing is loaded between them.

        What does not fit even by itself is left to its own use; without memory of the device's own, the first part is tried.
        """
        for number in range(len(parts), 0, -1):
            if self.fits(*parts[:number], working=working) or (number == 1 and not self.parks):
                with self.using(report, *parts[:number], working=working):
                    return

    @contextmanager
    def holding(self, report: ProgressCallback, part: Part[Any], working: int, notices: list[str]) -> Generator[tuple[Any]]:
        """One part as `using` brings it; where the budget would not hold it even by itself, it is streamed, and the notices say so."""
        if not self.parks or self.fits(part, working=working):
            with self.using(report, part, working=working) as held:
                yield held  # pyright: ignore[reportReturnType]: one part in, one out
            return
        notices.append(self.in_words(f"the {part.title}'s weights went to the GPU layer by layer, which takes far longer"))
        with self.streaming(report, part) as held:
            yield held

    @contextmanager
    def streaming(self, report: ProgressCallback, part: Part[Any]) -> Generator[tuple[Any]]:
        """A part whose weights stay in the computer's own memory; each layer's are on the device only while it computes.

        By accelerate's cpu_offload. All other parts go; afterwards this one waits as one that was let go.
        """
        from accelerate import cpu_offload
        from accelerate.hooks import remove_hook_from_submodules

        self.let_go_all_but()
        part.users += 1
        try:
            if part.value is None:
                report(Progress("loading", 1, 1))
                self._place(part, "cpu")
            cpu_offload(part.value, self.device)  # pyright: ignore[reportArgumentType]
            yield (part.value,)
        finally:
            if part.value is not None:
                remove_hook_from_submodules(part.value)
            part.users -= 1

    def let_go_all_but(self, *staying: Part[Any]) -> list[Part[Any]]:
        """Everything else off the device, but for what is in use; what went."""
        leaving = [part for part in self._parts.values() if part.is_on_device and not part.users and part not in staying]
        for part in leaving:
            self._let_go(part)
        return leaving

    def let_go(self, *parts: Part[Any]) -> None:
        """Off the device with them, but for those in use."""
        for part in parts:
            if part.is_on_device and not part.users:
                self._let_go(part)

    def drop(self, *parts: Part[Any]) -> None:
        """Out of all memory with them."""
        for part in parts:
            part.value, part.is_on_device = None, False
        _release_memory()

    def _bring(self, parts: tuple[Part[Any], ...], working: int, alone: bool, report: ProgressCallback) -> None:
        missing = [part for part in parts if not part.is_on_device]
        needed = sum(part.nbytes for part in missing) + working
        while (alone or self.used + needed > self.budget) and self._make_room():
            pass
        for number, part in enumerate(missing, start=1):
            report(Progress("loading", number, len(missing)))
            self._place_or_make_room(part)
        for part in parts:
            part.last_use = next(self._clock)

    def _place_or_make_room(self, part: Part[Any]) -> None:
        """The budget is a guess where other programs use the same device: what it does not know is found here."""
        while True:
            try:
                self._place(part, self.device)
            except OutOfMemory as error:
                refused = error.with_traceback(None)
            else:
                part.is_on_device = True
                return
            _release_memory()
            if not self._make_room():
                raise refused

    def _make_room(self) -> bool:
        """Let the least recently used part go; False where none can."""
        leaving = min((part for part in self._parts.values() if part.is_on_device and not part.users),
                      key=lambda part: part.last_use, default=None)
        if leaving is None:
            return False
        self._let_go(leaving)
        return True

    def _let_go(self, part: Part[Any]) -> None:
        part.is_on_device = False
        if self.parks and part.nbytes + PARKED_RESERVE <= self._free_ram():
            with suppress(OutOfMemory):
                self._place(part, "cpu")
        else:
            part.value = None
        _release_memory()

    def _place(self, part: Part[Any], device: str) -> None:
        """Load or move. A move that fails half-way leaves nothing: the next use loads it anew."""
        from inpaint.engines.runtime.diffusion import guard_memory

        value, part.value = part.value, None
        part.value = guard_memory(lambda: part.load(device) if value is None else value.to(device), f"the {part.title}")


def _release_memory() -> None:
    from inpaint.engines.runtime.diffusion import release_memory

    release_memory()
