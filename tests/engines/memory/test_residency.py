"""What stays in memory and what goes, told by fake parts that count; no model."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from inpaint.core.progress import Progress
from inpaint.engines.memory.measures import OTHER_MODELS, Measures
from inpaint.engines.memory.residency import RAM_RESERVE, Part, Residency
from inpaint.errors import EditCancelled, ModelUnavailable, OutOfMemory


class Weights:
    """A part's value: it knows where it is."""

    def __init__(self, machine: Machine, name: str) -> None:
        self.machine, self.name = machine, name

    def to(self, device: str) -> Weights:
        self.machine.told.append(f"{self.name} to {device}")
        if f"{self.name} to {device}" in self.machine.fails:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self


class Machine:
    """A GPU and the computer beside it, with parts of given sizes in bytes. free_ram: before anything is loaded."""

    def __init__(self, budget: int, parks: bool = True, free_ram: int = 10 * RAM_RESERVE) -> None:
        self.free_ram = free_ram
        self.residency = Residency("cuda", budget, parks, lambda: self.free_ram - self.parked)
        self.told: list[str] = []
        self.fails: dict[str, Exception | None] = {}

    @property
    def parked(self) -> int:
        """Bytes of the parts that wait in RAM."""
        return sum(part.nbytes for part in self.residency._parts.values() if part.is_parked)

    def waiting(self) -> list[str]:
        return [part.title for part in self.residency._parts.values() if part.is_parked]

    def part(self, name: str, nbytes: int) -> Part[Weights]:
        def load(device: str) -> Weights:
            self.told.append(f"load {name}")
            error = self.fails.pop(f"load {name}", None)
            if error:
                raise error
            return Weights(self, name)

        return self.residency.part(name, name, nbytes, load)

    def use(
        self, *parts: Part[Weights], working: int = 0, report: Callable[[Progress], None] = lambda progress: None, alone: bool = False
    ) -> None:
        with self.residency.using(report, *parts, working=working, alone=alone) as values:
            assert [value.name for value in values] == [part.title for part in parts]


@pytest.mark.parametrize(
    ("budget", "working", "told"),
    [
        pytest.param(10, 0, ["load a", "load b"], id="room for all: the second round loads nothing"),
        pytest.param(9, 0, ["load a", "a to cpu", "load b", "b to cpu", "a to cuda", "a to cpu", "b to cuda"], id="they take turns"),
        pytest.param(11, 2, ["load a", "a to cpu", "load b", "b to cpu", "a to cuda", "a to cpu", "b to cuda"], id="activations count"),
    ],
)
def test_the_budget_decides_what_stays(budget: int, working: int, told: list[str]) -> None:
    machine = Machine(budget)
    first, second = machine.part("a", 5), machine.part("b", 5)
    for part in (first, second, first, second):
        machine.use(part, working=working)
    assert machine.told == told


@pytest.mark.parametrize(
    ("parks", "free_ram"),
    [
        pytest.param(False, 1 << 60, id="a device without memory of its own"),
        pytest.param(True, RAM_RESERVE, id="no room in the computer's memory"),
    ],
)
def test_what_cannot_wait_is_dropped_and_loaded_again(parks: bool, free_ram: int) -> None:
    machine = Machine(5, parks, free_ram)
    first, second = machine.part("a", 5), machine.part("b", 5)
    for part in (first, second, first):
        machine.use(part)
    assert machine.told == ["load a", "load b", "load a"] and second.value is None


def test_the_least_recently_used_goes_first_and_no_more_than_needed() -> None:
    machine = Machine(9)
    parts = [machine.part(name, 3) for name in "abc"]
    for part in (*parts, parts[0]):
        machine.use(part)
    machine.use(machine.part("d", 3))
    assert [part.is_on_device for part in parts] == [True, False, True]


def test_what_is_in_use_stays() -> None:
    machine = Machine(3)
    first, second = machine.part("a", 3), machine.part("b", 3)
    with machine.residency.using(lambda progress: None, first):
        machine.use(second)
        assert first.is_on_device
    assert machine.residency.used == 6, "over the budget rather than broken"
    machine.use(second, working=1)
    assert not first.is_on_device


def test_alone_means_that_everything_else_goes() -> None:
    machine = Machine(100)
    first, second = machine.part("a", 3), machine.part("b", 3)
    machine.use(first)
    machine.use(second, alone=True)
    assert (first.is_on_device, second.is_on_device) == (False, True)


def test_the_same_key_is_one_part() -> None:
    machine = Machine(9)
    machine.use(machine.part("a", 3))
    machine.use(machine.part("a", 3))
    assert machine.told == ["load a"]


@pytest.mark.parametrize(("budget", "ahead"), [(100, "abc"), (7, "ab"), (4, "a"), (1, "")])
def test_what_fits_together_is_loaded_ahead(budget: int, ahead: str) -> None:
    machine, heard = Machine(budget), list[tuple[int, int]]()
    machine.residency.bring_ahead(lambda p: heard.append((p.step, p.total)), *(machine.part(name, 3) for name in "abc"), working=1)
    assert machine.told == [f"load {name}" for name in ahead]
    assert heard == [(number, len(ahead)) for number in range(1, len(ahead) + 1)]


@pytest.mark.parametrize(
    "error",
    [ModelUnavailable("Damaged."), torch.OutOfMemoryError("CUDA out of memory"), EditCancelled()],
    ids=lambda error: type(error).__name__,
)
def test_a_load_that_fails_leaves_nothing_and_may_be_tried_again(error: Exception) -> None:
    machine = Machine(9)
    part = machine.part("a", 3)
    machine.fails["load a"] = error
    with pytest.raises(OutOfMemory if isinstance(error, torch.OutOfMemoryError) else type(error)):
        machine.use(part)
    assert part.value is None and machine.residency.used == 0 and part.users == 0
    machine.use(part)
    assert part.is_on_device


def test_other_programs_memory_is_met_by_letting_more_go() -> None:
    """The budget says that both fit; the device does not."""
    machine = Machine(100)
    first, second = machine.part("a", 3), machine.part("b", 3)
    machine.use(first)
    machine.fails["load b"] = torch.OutOfMemoryError("CUDA out of memory")
    machine.use(second)
    assert machine.told == ["load a", "load b", "a to cpu", "load b"] and not first.is_on_device


def test_a_move_that_fails_half_way_drops_the_part() -> None:
    machine = Machine(3)
    first, second = machine.part("a", 3), machine.part("b", 3)
    machine.fails["a to cpu"] = None
    machine.use(first)
    machine.use(second)
    assert first.value is None and not first.is_on_device and second.is_on_device


def test_cancelled_between_two_parts_the_first_stays_whole() -> None:
    machine = Machine(9)
    parts = [machine.part(name, 3) for name in "ab"]

    def stop(progress: Progress) -> None:
        if progress.step == 2:
            raise EditCancelled

    with pytest.raises(EditCancelled):
        machine.use(*parts, report=stop)
    assert [part.is_on_device for part in parts] == [True, False] and machine.residency.used == 3


def test_what_is_there_may_be_asked_while_another_thread_adds_parts() -> None:
    residency = Residency("cpu", 100)

    class Meanwhile(int):
        """A size that is added up just when another thread asks for a part that is new."""

        def __radd__(self, other: int) -> int:
            residency.part("new", "new", 1, Weights)  # pyright: ignore[reportArgumentType]
            return other + int(self)

    for name in ("a", "b"):
        residency.part(name, name, Meanwhile(5), Weights).is_on_device = True  # pyright: ignore[reportArgumentType]
    assert residency.used == 10


def test_parked_parts_leave_ram_the_least_recently_used_first() -> None:
    """RAM for three of them: one that is being read needs some too."""
    machine = Machine(3, free_ram=RAM_RESERVE + 9)
    for name in "abcd":
        machine.use(machine.part(name, 3))
    assert machine.waiting() == ["b", "c"]


def test_a_part_that_can_have_no_room_in_ram_drops_no_other() -> None:
    machine = Machine(9)
    for name, nbytes in (("a", 3), ("b", 9)):
        machine.use(machine.part(name, nbytes))
    machine.free_ram = RAM_RESERVE + 6
    machine.use(machine.part("c", 3))
    assert machine.waiting() == ["a"]


def test_parked_parts_leave_ram_for_one_that_is_streamed_from_it() -> None:
    machine = Machine(3, free_ram=RAM_RESERVE + 9)
    for name in "abc":
        machine.use(machine.part(name, 3))
    assert machine.waiting() == ["a", "b"]
    layers = machine.residency.part("d", "d", 3, lambda device: torch.nn.Linear(1, 1))
    with machine.residency.streaming(lambda progress: None, layers):
        assert machine.waiting() == ["b", "c", "d"]


def test_where_ram_is_the_shortage_parked_parts_leave_it_and_no_other_part_is_parked() -> None:
    machine = Machine(6)
    for name in "abc":
        machine.use(machine.part(name, 3))
    measures = Measures(machine.residency)
    assert machine.waiting() == ["a"]

    def run_out_of_ram() -> None:
        raise MemoryError

    with pytest.raises(OutOfMemory):
        measures.guard(run_out_of_ram, "an edit")
    gone = measures.release_others(machine.part("c", 3))
    assert [part.title for part in gone] == ["a", "b"] and machine.waiting() == [] and machine.residency.used == 3
    assert measures.released_words([OTHER_MODELS]) == "other models were let go"
    measures.restore()
    machine.use(machine.part("d", 6))
    assert machine.waiting() == ["c"], "the next job parks again"


def test_where_the_gpu_is_the_shortage_other_parts_are_parked() -> None:
    machine = Machine(6)
    for name in "ab":
        machine.use(machine.part(name, 3))
    measures = Measures(machine.residency)

    def run_out() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(OutOfMemory):
        measures.guard(run_out, "an edit")
    measures.release_others(machine.part("b", 3))
    assert machine.waiting() == ["a"] and measures.released_words([OTHER_MODELS]) == "other models were moved off the GPU"


def test_a_load_for_which_ram_is_too_small_drops_parked_parts_one_by_one() -> None:
    machine = Machine(3)
    for name in "abc":
        machine.use(machine.part(name, 3))
    machine.fails["load d"] = RuntimeError("DefaultCPUAllocator: can't allocate memory")
    machine.use(machine.part("d", 3))
    assert machine.told[-2:] == ["load d", "load d"] and machine.waiting() == ["b", "c"]
