"""Which device is there, found without importing torch, so that the page opens at once. Knows no models."""

from __future__ import annotations

import ctypes
import platform
import re
import sys
from typing import Any, cast

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
    """Asked of the driver itself (cuDeviceGetCount), which honours CUDA_VISIBLE_DEVICES."""
    driver, count = cuda_driver(), ctypes.c_int(0)
    return count.value if driver is not None and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 else 0


def cuda_driver() -> Any:
    """The driver's library after cuInit, or None where there is none or it does not start."""
    name = CUDA_DRIVER.get(sys.platform)
    if name is None:
        return None
    try:
        driver = ctypes.CDLL(name)
    except OSError:
        return None
    return driver if driver.cuInit(0) == 0 else None


def allocated_bytes() -> float:
    """What tensors take on the GPU now; 0 where torch was not needed yet or there is none."""
    cuda = _cuda_in_use()
    return float(cuda.memory_allocated()) if cuda is not None else 0.0


def free_bytes() -> int:
    """What is free now where models run: on the GPU once torch uses one, else of the computer's memory."""
    from inpaint.engines.runtime.budget import free_ram_bytes

    cuda = _cuda_in_use()
    return int(cuda.mem_get_info()[0]) if cuda is not None else free_ram_bytes()


def _cuda_in_use() -> Any:
    """torch.cuda once something computes there, else None. Another thread may be in the midst of importing torch."""
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    is_initialized = getattr(cuda, "is_initialized", None)
    return cuda if is_initialized is not None and is_initialized() else None
