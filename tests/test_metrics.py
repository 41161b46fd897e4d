"""The server's figures, as Prometheus reads them."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from inpaint.engines.memory.residency import Residency
from inpaint.metrics import Metrics


def test_the_memory_of_the_card_that_was_named_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked on the metrics' own thread, where torch's current card is card 0."""
    cuda = SimpleNamespace(is_initialized=lambda: True, memory_allocated=lambda index=0: (7, 70)[index])
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))  # pyright: ignore[reportArgumentType]
    worker: Any = SimpleNamespace(queue_length=0, is_busy=False)
    models: Any = SimpleNamespace(residency=Residency("cuda:1", 1), specs={}, is_available=lambda spec: True)
    metrics = Metrics()
    metrics.watch(worker, models)
    assert 'inpaint_device_memory_bytes{device="cuda:1"} 70.0' in metrics.text().decode()
