"""How the app starts in a ZeroGPU Space, with a stand-in for the package, whose own start needs the Space's driver and server."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from spaces.config import Settings

from inpaint.config.settings import AppConfig, MemoryLimits
from inpaint.core.masks.mask import Mask
from inpaint.core.picture import Picture
from inpaint.errors import BadConfig
from inpaint.jobs.executors import GpuProcess, InThread
from inpaint.models.catalog import Models
from tests.fakes import block, noise

PATIENCE = 60


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """What builds the service, after app.py was imported as a Space does it."""
    monkeypatch.setenv("INPAINT_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("inpaint.logs.set_up_logging", lambda form: None)
    importlib.import_module("app")
    return importlib.import_module("inpaint.ui.server.zero_gpu")


@pytest.fixture
def space(app: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happened, in order."""
    events: list[str] = []

    def decorate(duration: Callable[..., int]) -> Callable[[Any], Any]:
        events.append("decorated")
        return lambda task: lambda *work: events.append("lent") or task(*work)

    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=decorate))
    monkeypatch.setattr(Models, "bring", lambda models, spec, task, report: events.append(f"brought {spec.name} on {models.device}"))
    monkeypatch.setattr(Models, "is_available", lambda models, spec, task=None: spec.family in ("kandinsky22", "patchmatch"))
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    return events


def test_a_function_is_decorated_and_the_default_model_loaded_before_the_page_is_there(
    app: ModuleType, space: list[str], config: AppConfig
) -> None:
    service = app.build_service(replace(config, settings=replace(config.settings, device="auto")))
    assert space == ["decorated", "brought kandinsky-2.2 on cuda"]
    assert isinstance(service.worker.executor, GpuProcess) and not service.worker.executor.can_end_early
    request = service.edit_request(Picture(noise(40, 50)), Mask(block(40, 50, 10, 10, 20, 20)), {"model": "erase"})
    job = service.start_edit(request, "ann")
    assert job.wait(PATIENCE) and job.outcome().report.check.changed_outside == 0
    assert "lent" not in space, "filling from the picture itself takes nothing of a visitor's time on a GPU"


@pytest.mark.parametrize(("device", "budget", "as_it_runs"), [("auto", "auto", ("cuda", 40.0)), ("cpu", 12.0, ("cpu", 12.0))])
def test_what_is_set_by_hand_stays(app: ModuleType, config: AppConfig, device: str, budget: Any, as_it_runs: tuple[str, float]) -> None:
    settings = replace(config.settings, device=device, memory=MemoryLimits(budget_gb=budget))
    lent = app.with_lent_gpu(replace(config, settings=settings)).settings
    assert (lent.device, lent.memory.budget_gb) == as_it_runs


def test_downloaded_weights_are_not_deleted_once_they_are_loaded(app: ModuleType) -> None:
    pattern = Settings().zerogpu_mmap_autoprune_pattern
    assert not (Path.home() / ".cache/huggingface/hub/models--a--b/blobs/0f3a").match(pattern)


def test_elsewhere_the_work_is_done_in_the_thread(app: ModuleType, config: AppConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)
    monkeypatch.setitem(sys.modules, "spaces", None)
    assert isinstance(app.build_service(config).worker.executor, InThread)


def test_a_space_without_the_package_is_told_in_a_sentence(app: ModuleType, config: AppConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACES_ZERO_GPU", "1")
    monkeypatch.setitem(sys.modules, "spaces", None)
    with pytest.raises(BadConfig, match="spaces is not installed"):
        app.build_service(config)
