"""How many bytes a device has, and how many of them are free, found without importing torch.

GB means 10**9 bytes everywhere.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, cast

import psutil

from inpaint.core.spec import DeviceKind
from inpaint.engines.device import cuda_driver, cuda_in_use, split_device

GB = 10**9
UNKNOWN = 1 << 62
"""Stands for an unknown number of bytes: more than any device has, so that nothing is restricted."""


class Cgroup(NamedTuple):
    """The files in which Linux says how much memory a container may take, and how much it takes.

    cache: the line of memory.stat that counts cached file pages. They count as taken, but Linux drops them when programs
    need the room.
    """

    folder: Path
    limit: str
    taken: str
    cache: str


CGROUPS = (
    Cgroup(Path("/sys/fs/cgroup"), "memory.max", "memory.current", "inactive_file"),
    Cgroup(Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)

RESERVES: Mapping[DeviceKind, int] = {"cuda": GB, "cpu": 2 * GB, "mps": 0}
"""The bytes that a budget leaves free. On CUDA they are for the context, the libraries' workspaces and fragmentation."""

METAL_SHARE = 2 / 3
"""The share of a Mac's memory that Metal recommends as the largest working set (recommendedMaxWorkingSetSize), up to 36 GB."""


def budget_bytes(device: str) -> int:
    """What models and their activations may take on a device such as "cuda:1": what it has, less a reserve."""
    kind, index = split_device(device)
    total = {"cuda": lambda: _cuda_bytes(index or 0), "mps": lambda: int(psutil.virtual_memory().total * METAL_SHARE)}
    return max(0, total.get(kind, free_ram_bytes)() - RESERVES.get(cast(DeviceKind, kind), 0))


def free_bytes(device: str) -> int:
    """What is free now on a device such as "cuda:1". Before torch uses a GPU, and without one, what is free of the RAM."""
    cuda, (kind, index) = cuda_in_use(), split_device(device)
    return int(cuda.mem_get_info(index or 0)[0]) if cuda is not None and kind == "cuda" else free_ram_bytes()


def allocated_bytes(device: str) -> float:
    """What tensors take now on a CUDA device such as "cuda:1"; 0 before torch uses it, and on every other device."""
    cuda, (kind, index) = cuda_in_use(), split_device(device)
    return float(cuda.memory_allocated(index or 0)) if cuda is not None and kind == "cuda" else 0.0


def free_ram_bytes() -> int:
    """What programs could still take without swapping. Inside a container, no more than what is left of its allowance."""
    return min([psutil.virtual_memory().available, *map(_left_in, CGROUPS)])


def _left_in(group: Cgroup) -> int:
    """The allowance less the working set, as docker and Kubernetes define it: what is taken, less the cache."""
    try:
        limit, taken = (int((group.folder / name).read_text(encoding="ascii")) for name in (group.limit, group.taken))
        lines = (group.folder / "memory.stat").read_text(encoding="ascii").splitlines()
        cache = sum(int(line.split()[1]) for line in lines if line.startswith(f"{group.cache} "))
    except (OSError, ValueError):
        return UNKNOWN
    return max(0, limit - max(0, taken - cache))


def _cuda_bytes(index: int) -> int:
    """The memory of one card, as its driver states it. UNKNOWN where the driver does not answer, as AMD's does not."""
    driver, handle, size = cuda_driver(), ctypes.c_int(0), ctypes.c_size_t(0)
    if driver is None or driver.cuDeviceGet(ctypes.byref(handle), index) != 0:
        return UNKNOWN
    return size.value if driver.cuDeviceTotalMem_v2(ctypes.byref(size), handle) == 0 else UNKNOWN
