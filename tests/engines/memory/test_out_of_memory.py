"""Every error by which torch says that memory ran out."""

from __future__ import annotations

import weakref

import pytest
import torch

from inpaint.engines.memory import out_of_memory
from inpaint.engines.memory.out_of_memory import guard_memory, is_out_of_memory
from inpaint.errors import OutOfMemory

OUT_OF_MEMORY = [
    pytest.param(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB"), False, id="CUDA"),
    pytest.param(MemoryError(), True, id="MemoryError"),
    pytest.param(RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"), False, id="cuBLAS"),
    pytest.param(RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"), True, id="CPU"),
    pytest.param(RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."), True, id="CPU on Windows"),
    pytest.param(RuntimeError("MPS backend out of memory (MPS allocated: 17.9 GB)"), False, id="Metal"),
]


@pytest.mark.parametrize(("error", "of_ram"), OUT_OF_MEMORY)
def test_every_way_of_running_out_of_memory_is_one_error_that_says_which_memory(error: Exception, of_ram: bool) -> None:
    def work() -> None:
        raise error

    with pytest.raises(OutOfMemory, match="an edit of 9 x 9 px") as caught:
        guard_memory(work, "an edit of 9 x 9 px")
    assert caught.value.of_ram is of_ram and caught.value.hint and caught.value.__cause__ is None and caught.value.__context__ is None


def test_memory_is_released_once_the_failed_work_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Released any earlier, the traceback would still hold every tensor."""
    held: list[weakref.ref[torch.Tensor]] = []
    at_release: list[torch.Tensor | None] = []
    monkeypatch.setattr(out_of_memory, "release_memory", lambda: at_release.append(held[0]()))

    def work() -> None:
        activations = torch.zeros(1000)
        held.append(weakref.ref(activations))
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(OutOfMemory):
        guard_memory(work, "an edit")
    assert at_release == [None]


def test_a_real_allocation_beyond_the_machine_is_recognised() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**55)
    assert is_out_of_memory(caught.value)
