"""Builds the service: in this process, or on a ZeroGPU Space with a process of its own that is lent a GPU for each call."""

from __future__ import annotations

import dataclasses
import os

from inpaint.config.settings import AppConfig
from inpaint.errors import BadConfig
from inpaint.jobs.executors import GpuProcess
from inpaint.service import Service
from inpaint.storage.journal import Journal

LENT_GPU_GB = 40.0
"""What models may take of a GPU that a ZeroGPU Space is lent: half a card of 96 GB, less a reserve. Its driver cannot be asked."""


def is_zero_gpu() -> bool:
    """Whether this is a Space that is lent a GPU for each call, by the variable that the package `spaces` reads too."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def build_service(config: AppConfig) -> Service:
    """In a ZeroGPU Space the work is done in a process of its own, which inherits what was loaded here: on this thread, because
    the GPU that `spaces` makes believe in is there for the thread alone that imports it, before torch. Raises BadConfig."""
    journal = Journal(config.data_dir / "running")
    if not is_zero_gpu():
        return Service.build(config, journal)
    try:
        import spaces
    except ImportError:
        raise BadConfig("SPACES_ZERO_GPU is set, but the package spaces is not installed.") from None
    from gradio import Error

    service = Service.build(with_lent_gpu(config), journal, lambda models, pace: GpuProcess(models, spaces.GPU, Error, pace))
    service.bring_default()
    return service


def with_lent_gpu(config: AppConfig) -> AppConfig:
    """The driver that is asked for a device elsewhere is not there before a GPU is lent; what is set by hand stays."""
    settings = config.settings
    memory = settings.memory if settings.memory.budget_gb != "auto" else dataclasses.replace(settings.memory, budget_gb=LENT_GPU_GB)
    device = "cuda" if settings.device == "auto" else settings.device
    return dataclasses.replace(config, settings=dataclasses.replace(settings, device=device, memory=memory))
