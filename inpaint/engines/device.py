"""Which device this machine has, found without importing torch, so that the page opens at once. Knows no models."""

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
    """The kind of device that models will run on. "auto" takes CUDA, then Apple's GPU, then the CPU.

    A device that was named is not checked here; choose_device checks it when an engine is opened. Raises BadConfig for a
    name that no device has.
    """
    named = NAMED.fullmatch(wanted)
    if named:
        return cast(DeviceKind, named[1])
    if wanted != "auto":
        raise BadConfig(f"There is no device {wanted!r}; choose auto, cuda, mps or cpu.")
    if _cuda_devices() > 0:
        return "cuda"
    return "mps" if sys.platform == "darwin" and platform.machine() == "arm64" else "cpu"


def missing_device(wanted: str) -> str:
    """Returns a sentence if the named device seems not to be there, or "". It may be there all the same: only torch knows all kinds."""
    kind, index = split_device(wanted)
    cards = _cuda_devices() if kind == "cuda" else 0
    if kind == "cuda" and cards <= (index or 0):
        found = f"the CUDA driver shows {cards} card{'' if cards == 1 else 's'}" if cards else "no CUDA driver answers"
        return f"The device {wanted} was asked for, but {found} on this machine. Edits that need a model may fail."
    if kind == "mps" and sys.platform != "darwin":
        return f"The device {wanted} was asked for, but this is no Mac. Edits that need a model may fail."
    return ""


def _cuda_devices() -> int:
    """How many cards the driver counts (cuDeviceGetCount), which honours CUDA_VISIBLE_DEVICES."""
    driver, count = cuda_driver(), ctypes.c_int(0)
    return count.value if driver is not None and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 else 0


def cuda_driver() -> Any:
    """The library of the CUDA driver, initialized; None where there is none, or it does not start."""
    name = CUDA_DRIVER.get(sys.platform)
    if name is None:
        return None
    try:
        driver = ctypes.CDLL(name)
    except OSError:
        return None
    return driver if driver.cuInit(0) == 0 else None


def split_device(device: str) -> tuple[str, int | None]:
    """The kind of a device and its number: "cuda:1" -> ("cuda", 1); None where it has no number, as in "cuda" and "cpu"."""
    kind, _, index = device.partition(":")
    return kind, int(index) if index else None


def cuda_in_use() -> Any:
    """torch.cuda once something computes there, else None. Another thread may be importing torch meanwhile."""
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    is_initialized = getattr(cuda, "is_initialized", None)
    return cuda if is_initialized is not None and is_initialized() else None
