"""Which parts of all models are in memory: brought when they are needed, evicted when the next would not fit.

It evicts parts, not whole pipelines, and the least recently used first. One thread uses it, the worker's. Knows no model,
and imports torch only when the first part is brought.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from inpaint.core.progress import Progress, ProgressCallback
from inpaint.engines.memory.budget import budget_bytes, free_ram_bytes
from inpaint.engines.memory.rule import GB, DeviceMemory, first_to_leave
from inpaint.errors import OutOfMemory

Value = TypeVar("Value")

RAM_RESERVE = 2 * GB
"""The bytes of RAM that parked parts leave free."""


@dataclass(eq=False)
class Part(Generic[Value]):
    """A handle on a part of a model; it costs nothing until it is brought.

    key: all that decides the bits of its weights. title: for messages. nbytes: of its weights, as loaded. load: returns it
    on the named device, or raises; what it returns has `to(device)`. The residency alone changes the other fields.
    """

    key: str
    title: str
    nbytes: int
    load: Callable[[str], Value]
    value: Value | None = field(default=None, repr=False)
    is_on_device: bool = False
    users: int = 0
    last_use: int = -1

    @property
    def is_parked(self) -> bool:
        """Whether its weights wait in RAM, off the device."""
        return self.value is not None and not self.is_on_device


class Residency:
    """All parts of all models on one device.

    device: as choose_device returns it. budget: bytes for weights and activations; None = what the device has, less a
    reserve. parks: whether an evicted part waits in RAM; by itself only where the GPU has memory of its own. free_ram:
    returns the bytes of RAM that are free now.
    ram_is_short: whether RAM ran out in this job; then nothing is parked until `restore`.
    """

    def __init__(
        self, device: str, budget: int | None = None, parks: bool | None = None, free_ram: Callable[[], int] = free_ram_bytes
    ) -> None:
        self.device = device
        self.parks = device.startswith("cuda") if parks is None else parks
        self.ram_is_short = False
        self._budget = budget
        self._free_ram = free_ram
        self._parts: dict[str, Part[Any]] = {}
        self._clock = itertools.count()

    @property
    def budget(self) -> int:
        """Bytes for weights and activations. Measured once, before anything is loaded: later, our own parts count as taken."""
        if self._budget is None:
            self._budget = budget_bytes(self.device)
        return self._budget

    @property
    def memory(self) -> DeviceMemory:
        """The device's memory, for the rule."""
        return DeviceMemory(self.budget, is_own=self.parks, is_strict=self.parks or self.device != "cpu")

    @property
    def used(self) -> int:
        """Bytes of weights on the device. The thread of the metrics asks too, so the parts are copied first."""
        return sum(part.nbytes for part in list(self._parts.values()) if part.is_on_device)

    def part(self, key: str, title: str, nbytes: int, load: Callable[[str], Value]) -> Part[Value]:
        """The part of this key, the same for every engine that asks."""
        if key not in self._parts:
            self._parts[key] = Part(key, title, nbytes, load)
        return self._parts[key]

    def fits(self, *parts: Part[Any], working: int = 0) -> bool:
        """Whether these parts and `working` bytes of activations fit into the budget when everything else has left."""
        return sum(part.nbytes for part in parts) + working <= self.budget

    def restore(self) -> None:
        """Parks again from now on: the job in which RAM ran out has ended."""
        self.ram_is_short = False

    @contextmanager
    def using(self, report: ProgressCallback, *parts: Part[Any], working: int = 0, alone: bool = False) -> Generator[tuple[Any, ...]]:
        """The parts on the device while the block runs.

        working: bytes of activations to keep free beside them. alone: evicts all other parts, whatever the budget says.
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
        """Loads as many of the parts, in their order, as fit together, so that nothing is loaded between the next steps.

        A first part that does not fit even by itself is loaded only where the budget is a guess, as on a CPU.
        """
        for number in range(len(parts), 0, -1):
            if self.fits(*parts[:number], working=working) or (number == 1 and not self.parks):
                with self.using(report, *parts[:number], working=working):
                    return

    @contextmanager
    def streaming(self, report: ProgressCallback, part: Part[Any]) -> Generator[tuple[Any]]:
        """A part whose weights stay in RAM while the block runs; each layer's are on the device only while it computes.

        accelerate's cpu_offload does it. All other parts leave the device; afterwards this one stays parked.
        """
        from accelerate import cpu_offload
        from accelerate.hooks import remove_hook_from_submodules

        self.evict_all_except()
        part.users += 1
        try:
            if part.value is None:
                report(Progress("loading", 1, 1))
                self._make_ram(part.nbytes)
                self._place(part, "cpu")
            part.last_use = next(self._clock)
            cpu_offload(part.value, self.device)  # pyright: ignore[reportArgumentType]
            yield (part.value,)
        finally:
            if part.value is not None:
                remove_hook_from_submodules(part.value)
            part.users -= 1

    def evict_all_except(self, *staying: Part[Any]) -> list[Part[Any]]:
        """Takes all parts off the device, except those in use, and returns them."""
        leaving = [part for part in self._parts.values() if part.is_on_device and not part.users and part not in staying]
        for part in leaving:
            self._evict(part)
        return leaving

    def evict(self, *parts: Part[Any]) -> None:
        """Takes these parts off the device, except those in use."""
        for part in parts:
            if part.is_on_device and not part.users:
                self._evict(part)

    def drop(self, *parts: Part[Any]) -> None:
        """Removes these parts from all memory."""
        for part in parts:
            part.value, part.is_on_device = None, False
        _release_memory()

    def drop_parked(self, *staying: Part[Any]) -> list[Part[Any]]:
        """Removes from RAM the parts that wait there, and returns them."""
        waiting = [part for part in self._parked if not part.users and part not in staying]
        if waiting:
            self.drop(*waiting)
        return waiting

    @property
    def _parked(self) -> list[Part[Any]]:
        return [part for part in self._parts.values() if part.is_parked]

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
        """Places a part on the device. Where other programs took memory that the budget counts on, evicts more parts and
        tries again."""
        if self.parks and part.value is None:
            self._make_ram(part.nbytes)
        while True:
            try:
                self._place(part, self.device)
            except OutOfMemory as error:
                refused = error.with_traceback(None)
            else:
                part.is_on_device = True
                return
            _release_memory()
            if not (self._make_ram_at_once() if self.parks and refused.of_ram else self._make_room()):
                raise refused

    def _make_room(self) -> bool:
        """Evicts the least recently used part from the device; False where none can leave."""
        leaving = first_to_leave(part for part in self._parts.values() if part.is_on_device)
        if leaving is not None:
            self._evict(leaving)
        return leaving is not None

    def _make_ram(self, nbytes: int) -> None:
        """Drops parked parts, the least recently used first, until `nbytes` more and the reserve fit into RAM."""
        while nbytes + RAM_RESERVE > self._free_ram() and self._make_ram_at_once():
            pass

    def _make_ram_at_once(self) -> bool:
        """Drops the least recently used of the parked parts; False where there is none."""
        leaving = first_to_leave(self._parked)
        if leaving is not None:
            self.drop(leaving)
        return leaving is not None

    def _evict(self, part: Part[Any]) -> None:
        """Takes a part off the device. It is parked where RAM has room for it, and dropped where not."""
        is_parked = self._has_ram_to_park(part)
        part.is_on_device = False
        if is_parked:
            with suppress(OutOfMemory):
                self._place(part, "cpu")
        else:
            part.value = None
        _release_memory()

    def _has_ram_to_park(self, part: Part[Any]) -> bool:
        """Whether a part may leave the device for RAM. Drops parked parts for it that were used before it."""
        if not self.parks or self.ram_is_short:
            return False
        older = sorted(
            (other for other in self._parked if not other.users and other.last_use < part.last_use),
            key=lambda other: other.last_use,
            reverse=True,
        )
        if part.nbytes + RAM_RESERVE > self._free_ram() + sum(other.nbytes for other in older):
            return False
        while older and part.nbytes + RAM_RESERVE > self._free_ram():
            self.drop(older.pop())
        return part.nbytes + RAM_RESERVE <= self._free_ram()

    def _place(self, part: Part[Any], device: str) -> None:
        """Loads or moves a part. A move that fails half-way leaves nothing, so the next use loads it again."""
        from inpaint.engines.memory.out_of_memory import guard_memory

        value, part.value = part.value, None
        part.value = guard_memory(lambda: part.load(device) if value is None else value.to(device), f"the {part.title}")


def _release_memory() -> None:
    from inpaint.engines.memory.out_of_memory import release_memory

    release_memory()
