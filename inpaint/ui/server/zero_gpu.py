"""Builds the service: in this process, or on a ZeroGPU Space with a separate process that is lent a GPU for each call."""

from __future__ import annotations

import dataclasses
import os

from inpaint.config.settings import AppConfig
from inpaint.errors import BadConfig
from inpaint.jobs.executors import GpuProcess
from inpaint.service import Service
from inpaint.storage.journal import Journal

LENT_GPU_GB = 40.0
"""Memory for models on a ZeroGPU Space's lent GPU: half of a 96 GB card, less a reserve. The driver cannot be asked."""


def is_zero_gpu() -> bool:
    """Returns whether this is a Space that is lent a GPU for each call. The package `spaces` reads the same variable."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def build_service(config: AppConfig) -> Service:
    """Builds the service. On a ZeroGPU Space a separate process does the work, and inherits the models that are loaded here.

    They are loaded on this thread, because the GPU that `spaces` emulates exists only on the thread that imports it before
    torch. Raises BadConfig.
    """
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
    """Returns the configuration for a ZeroGPU Space: device and memory budget are set, since the driver cannot be asked before a
    GPU is lent.

    Values that a person has set stay.
    """
    settings = config.settings
    memory = settings.memory if settings.memory.budget_gb != "auto" else dataclasses.replace(settings.memory, budget_gb=LENT_GPU_GB)
    device = "cuda" if settings.device == "auto" else settings.device
    return dataclasses.replace(config, settings=dataclasses.replace(settings, device=device, memory=memory))
