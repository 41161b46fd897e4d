"""What Gradio sends and copies at every visit: plain data, from which no service, worker or model can be reached."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from starlette.testclient import TestClient

from inpaint.config.settings import AppConfig
from inpaint.service import Service
from inpaint.ui.page import Page, build_page

PLAIN = (str, int, float, bool, type(None))


@pytest.fixture
def page(config: AppConfig) -> Page:
    return build_page(Service.build(config))


def foreign(value: Any, path: str) -> Iterator[str]:
    """Where something that is no plain data lies. A function without closure reaches nothing."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from foreign(part, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for index, part in enumerate(value):
            yield from foreign(part, f"{path}[{index}]")
    elif not isinstance(value, PLAIN) and not (isinstance(value, types.FunctionType) and not value.__closure__):
        yield f"{path}: {value!r}"


def test_the_configuration_is_plain_data(page: Page) -> None:
    assert list(foreign(page.get_config_file(), "config")) == []


@pytest.mark.parametrize("path", ["/", "/config", "/gradio_api/info"])
def test_a_visit_copies_no_weights(page: Page, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a model in memory, whose tensors say when they are copied."""
    models = page.service.models
    models.bring(models.spec("kandinsky-mini", "inpaint"), "inpaint", lambda progress: None)
    copied: list[torch.Size] = []
    original = torch.Tensor.__deepcopy__
    monkeypatch.setattr(torch.Tensor, "__deepcopy__", lambda tensor, memo: (copied.append(tensor.shape), original(tensor, memo))[1])
    page.launch(prevent_thread_lock=True, quiet=True, server_port=None)
    try:
        with TestClient(page.app, base_url=page.local_url) as visitor:
            for _ in range(2):
                assert visitor.get(path).status_code == 200
    finally:
        page.close()
    assert copied == []
