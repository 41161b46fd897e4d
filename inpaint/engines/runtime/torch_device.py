"""The device and the number format that an engine computes with, as torch knows them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch

from inpaint.engines.device import probe_device
from inpaint.errors import InvalidRequest, MachineError

DTYPES: Mapping[str, torch.dtype] = MappingProxyType({"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16})


def choose_device(name: str | None) -> str:
    """The device to run on: the one named ("cpu", "cuda", "cuda:1", "mps"), else the best that torch has.

    A card that is named by its number becomes torch's current one, so that nothing is allocated on another. Raises
    InvalidRequest for a device that is not there, and MachineError for one that torch cannot use; never falls back to
    the CPU.
    """
    if name is None:
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    kind, _, index = name.partition(":")
    present = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}.get(kind, 0)
    if (index and not index.isdecimal()) or int(index or 0) >= present:
        if not present and kind == probe_device():
            raise MachineError(
                f"This machine has a GPU ({kind}), but torch {torch.__version__} as installed here cannot use it.",
                "Install the torch for it (https://pytorch.org/get-started/locally), or set --device cpu.",
            )
        raise InvalidRequest("device", f"This machine has no device {name!a}.", f"It has {choose_device(None)}.")
    if kind == "cuda" and index:
        select_card(int(index))
    return name


def select_card(index: int) -> None:
    """Makes a CUDA card torch's current one in the thread that calls."""
    torch.cuda.set_device(index)


def choose_dtype(device: str, name: str | None) -> str:
    """The number format of weights and activations: the one named, else float16 on a GPU and float32 on a CPU.

    float32 on a CPU gives the same bits as diffusers; bfloat16 is faster where the CPU has it. Raises InvalidRequest.
    """
    if name is None:
        return "float32" if device == "cpu" else "float16"
    if name not in DTYPES:
        raise InvalidRequest("dtype", f"There is no dtype {name!a}.", f"Choose one of {', '.join(DTYPES)}.")
    if device == "cpu" and name == "float16":
        raise InvalidRequest("dtype", "A CPU computes float16 too slowly to be of use.", "Choose float32 or bfloat16.")
    return name
