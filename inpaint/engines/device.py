"""Which device is there, found without importing torch, so that the page opens at once. Knows no models."""

from __future__ import annotations

import ctypes
import platform
import re
import sys
from typing import cast

from inpaint.core.spec import DeviceKind
from inpaint.errors import BadConfig

CUDA_DRIVER = {"linux": "libcuda.so.1", "win32": "nvcuda.dll"}
NAMED = re.compile(r"(cpu|cuda|mps)(:\d{1,3})?")


def probe_device(wanted: str = "auto") -> DeviceKind:
    """The kind that models will run on. "auto" takes CUDA, then Apple's GPU, then the CPU. Raises BadConfig.

    A device asked for by name is taken at its word here; the engine checks it when it loads.
    """
    named = NAMED.fullmatch(wanted)
    if named:
        return cast(DeviceKind, named[1])
    if wanted != "auto":
        raise BadConfig(f"There is no device {wanted!r}; choose auto, cuda, mps or cpu.")
    if _cuda_devices() > 0:
        return "cuda"
    return "mps" if sys.platform == "darwin" and platform.machine() == "arm64" else "cpu"


def _cuda_devices() -> int:
    """Asked of the driver itself (cuInit, cuDeviceGetCount), which honours CUDA_VISIBLE_DEVICES."""
    name = CUDA_DRIVER.get(sys.platform)
    if name is None:
        return 0
    try:
        driver = ctypes.CDLL(name)
    except OSError:
        return 0
    count = ctypes.c_int(0)
    return count.value if driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 else 0


def allocated_bytes() -> float:
    """What tensors take on the GPU now; 0 where torch was not needed yet or there is none."""
    torch = sys.modules.get("torch")
    return float(torch.cuda.memory_allocated()) if torch is not None and torch.cuda.is_available() else 0.0
