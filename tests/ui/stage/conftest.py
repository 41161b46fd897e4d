"""A small page with the stage on it, served, for the tests beside this file; the Chromium comes from the room above.

Must not know what is tested.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from inpaint.ui.images import data_url_jpeg
from tests.ui.stage.stage_app import CSS, Seen, build_demo, photo
from tests.ui.stage.stage_page import StagePage

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")


PATIENCE_MS = 120_000
"""A busy machine of two cores can leave a browser without a turn for half a minute (seen)."""


@dataclass
class Served:
    url: str
    seen: Seen


@pytest.fixture(scope="session")
def served_stage() -> Iterator[Served]:
    seen = Seen()
    examples = [{"name": name, "title": name.capitalize(), "url": data_url_jpeg(photo()[::4, ::4])} for name in ("coffee", "cat", "rocket")]
    demo = build_demo(seen, examples)
    _, url, _ = demo.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", css=CSS)
    yield Served(url, seen)
    demo.close(verbose=False)


def open_page(context: Any, served: Served, folder: Path) -> Iterator[StagePage]:
    """A new page of that context, closed at the end; fails where the page had troubles."""
    served.seen.__init__()
    stage = StagePage(context.new_page(), served.seen, folder)
    stage.page.set_default_timeout(PATIENCE_MS)
    stage.page.on("pageerror", lambda error: stage.troubles.append(str(error)))
    stage.page.on("console", lambda said: stage.troubles.append(said.text) if said.type == "error" else None)
    stage.page.goto(served.url)
    stage.page.wait_for_selector(".ip-stage[data-state=empty] .ip-open")
    yield stage
    stage.page.close()
    assert not stage.troubles


@pytest.fixture(scope="session")
def stage_desktop(chromium: Any) -> Any:
    """One context for all tests: each has its own page and session, and Gradio's own scripts come from the cache."""
    return chromium.new_context(viewport={"width": 1320, "height": 860}, accept_downloads=True)


@pytest.fixture
def stage(stage_desktop: Any, served_stage: Served, tmp_path: Path) -> Iterator[StagePage]:
    yield from open_page(stage_desktop, served_stage, tmp_path)


@pytest.fixture
def stage_phone(chromium: Any, served_stage: Served, tmp_path: Path) -> Iterator[StagePage]:
    context = chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, device_scale_factor=2)
    yield from open_page(context, served_stage, tmp_path)
    context.close()
