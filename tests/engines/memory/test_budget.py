"""How much memory a device has and has free; no torch and no GPU."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from inpaint.engines.memory import budget
from inpaint.engines.memory.budget import GB, UNKNOWN, allocated_bytes, budget_bytes, free_bytes, free_ram_bytes


class Cards:
    """libcuda with two cards, of 8 and 24 GB."""

    def cuDeviceGet(self, pointer: object, index: int) -> int:
        if index > 1:
            return 101
        ctypes.cast(pointer, ctypes.POINTER(ctypes.c_int))[0] = index  # pyright: ignore[reportArgumentType]
        return 0

    def cuDeviceTotalMem_v2(self, pointer: object, handle: ctypes.c_int) -> int:
        ctypes.cast(pointer, ctypes.POINTER(ctypes.c_size_t))[0] = (8, 24)[handle.value] * GB  # pyright: ignore[reportArgumentType]
        return 0


@pytest.mark.parametrize(
    ("device", "expected"),
    [("cuda", 7 * GB), ("cuda:0", 7 * GB), ("cuda:1", 23 * GB), ("cuda:2", UNKNOWN - GB), ("mps", 12 * GB), ("cpu", 3 * GB)],
)
def test_the_budget_of_a_device_leaves_a_reserve(device: str, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "cuda_driver", Cards)
    monkeypatch.setattr(budget, "CGROUPS", ())
    monkeypatch.setattr(budget.psutil, "virtual_memory", lambda: SimpleNamespace(total=18 * GB, available=5 * GB))
    assert budget_bytes(device) == expected


def torch_with(begun: bool) -> SimpleNamespace:
    """torch with two cards, whose current one in this thread is card 0."""
    return SimpleNamespace(
        cuda=SimpleNamespace(
            is_initialized=lambda: begun,
            memory_allocated=lambda index=0: (7, 70)[index],
            mem_get_info=lambda index=0: ((3, 9), (30, 90))[index],
        )
    )


@pytest.mark.parametrize(
    ("torch", "device", "allocated", "free"),
    [
        pytest.param(None, "cuda", 0, 5, id="not imported"),
        pytest.param(SimpleNamespace(), "cuda", 0, 5, id="begun to be imported"),
        pytest.param(SimpleNamespace(cuda=SimpleNamespace()), "cuda", 0, 5, id="half imported"),
        pytest.param(torch_with(False), "cuda", 0, 5, id="on no GPU yet"),
        pytest.param(torch_with(True), "cuda", 7, 3, id="on a GPU"),
        pytest.param(torch_with(True), "cuda:1", 70, 30, id="on the second GPU"),
        pytest.param(torch_with(True), "cpu", 0, 5, id="on the CPU, though a GPU is in use"),
    ],
)
def test_the_memory_that_is_asked_is_that_of_the_device(
    torch: object, device: str, allocated: int, free: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever another thread does with torch meanwhile."""
    monkeypatch.setitem(sys.modules, "torch", torch)  # pyright: ignore[reportArgumentType]
    monkeypatch.setattr(budget, "free_ram_bytes", lambda: 5)
    assert (allocated_bytes(device), free_bytes(device)) == (allocated, free)


@pytest.mark.parametrize(
    ("group", "files", "expected"),
    [
        pytest.param(
            0,
            {
                "memory.max": "4000000000\n",
                "memory.current": "1500000000\n",
                "memory.stat": "anon 1\ninactive_file 500000000\nactive_file 7\n",
            },
            3 * GB,
            id="what is left, the cache not counted",
        ),
        pytest.param(
            1,
            {
                "memory.limit_in_bytes": "4000000000\n",
                "memory.usage_in_bytes": "1500000000\n",
                "memory.stat": "inactive_file 1\ntotal_inactive_file 500000000\n",
            },
            3 * GB,
            id="the same of an older Linux",
        ),
        pytest.param(0, {"memory.max": "max\n", "memory.current": "1\n", "memory.stat": ""}, 5 * GB, id="no limit"),
        pytest.param(0, {"memory.max": "1\n", "memory.current": "9\n", "memory.stat": ""}, 0, id="more taken than allowed"),
        pytest.param(0, {}, 5 * GB, id="no such files"),
    ],
)
def test_a_container_may_have_less(
    group: int, files: dict[str, str], expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(budget, "CGROUPS", (budget.CGROUPS[group]._replace(folder=tmp_path),))
    monkeypatch.setattr(budget.psutil, "virtual_memory", lambda: SimpleNamespace(available=5 * GB))
    assert free_ram_bytes() == expected
