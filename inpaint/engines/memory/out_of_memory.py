"""What torch raises when memory runs out: recognised, released, and raised as OutOfMemory."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

import torch

from inpaint.errors import OutOfMemory

Result = TypeVar("Result")

OUT_OF_MEMORY_WORDS = ("out of memory", "can't allocate memory", "alloc_failed", "not enough memory")
"""Words in the plain RuntimeErrors that kernels raise: cuDNN, cuBLAS and the CPU allocator."""

OUT_OF_RAM_WORDS = ("defaultcpuallocator",)
"""Words in those RuntimeErrors that say that RAM ran out, not a GPU's memory."""


def guard_memory(work: Callable[[], Result], task: str) -> Result:
    """Does the work and returns its result. Where memory runs out, releases what the work took and raises OutOfMemory.

    task: what the work is, for the message. The traceback of an exception keeps the tensors of every failed frame alive
    (pytorch issue 27600), so memory is released only after the except block.
    """
    try:
        return work()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        of_ram = is_out_of_ram(error)
    release_memory()
    raise OutOfMemory(
        f"There is too little memory for {task}.",
        "Choose a smaller work area, or close other programs that use the same memory.",
        of_ram=of_ram,
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch means that memory ran out, of whatever class it is."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in OUT_OF_MEMORY_WORDS)


def is_out_of_ram(error: BaseException) -> bool:
    """Whether it was RAM that ran out, where `is_out_of_memory` is true."""
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in OUT_OF_RAM_WORDS)


def release_memory() -> None:
    """Returns all memory that nothing refers to any more to the system and to the devices."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.ipc_collect()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
