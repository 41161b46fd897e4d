"""A model is downloaded from the page, in a real Chromium, from a stand-in of the hub: progress, other work meanwhile, ready at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hub_stand_in import Hub, environment, running_hub
from tests.serving import PATIENCE_SECONDS, Served, Servers, environment_without
from tests.tiny_models import make_sdxl
from tests.ui.app_page import AppPage
from tests.ui.conftest import DESKTOP, TINY_SDXL
from tests.ui.stage.stage_app import Seen

pytestmark = pytest.mark.browser

WEIGHTS = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with running_hub() as hub:
        hub.add_folder("me/tiny", make_sdxl(tmp_path / "made"))
        yield hub


@pytest.fixture
def served(hub: Hub, tmp_path: Path) -> Iterator[Served]:
    """An app whose hub is the stand-in, with nothing downloaded yet."""
    models = tmp_path / "config" / "models"
    models.mkdir(parents=True)
    (models / "tiny.toml").write_text('licence = "MIT"\n' + TINY_SDXL.format(sdxl="me/tiny").replace('"tiny-sdxl"', '"tiny"'))
    servers = Servers(tmp_path)
    clean = environment_without("INPAINT_", "GRADIO_", "HF_")
    try:
        yield servers.start(config=models.parent, environment=clean | environment(hub, tmp_path / "home"))
    finally:
        servers.close()


@pytest.fixture
def app(chromium: Any, served: Served, tmp_path: Path) -> Iterator[AppPage]:
    context = chromium.new_context(**DESKTOP, color_scheme="light", accept_downloads=True)
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    page = AppPage(context.new_page(), Seen(), tmp_path)
    page.visit(served.url)
    yield page
    context.close()
    assert page.troubles == []


def test_a_model_is_downloaded_and_runs_without_a_restart(app: AppPage, hub: Hub) -> None:
    hidden = hub.repositories.pop("me/tiny")
    held = hub.faults.hold[WEIGHTS] = threading.Event()
    app.page.get_by_role("tab", name="Generate").click()
    app.choose_model("Tiny SDXL", "#generate-model")
    app.says("Tiny SDXL is not on this machine", "#generate-note")
    app.says("Tiny SDXL is not on this machine.", "#generate-missing")
    assert app.page.locator("#generate-button").is_disabled()
    assert hub.requests == []
    button = app.page.locator("#generate-download")
    button.wait_for()
    assert button.inner_text() == "Download (MIT)"
    button.click()
    app.says("There is no repository me/tiny", "#generate-download-progress .ip-error")
    hub.repositories["me/tiny"] = hidden
    button.click()
    app.says("GB of Tiny SDXL", "#generate-download-progress")
    app.page.reload()
    app.says("GB of Tiny SDXL", "#model-download-progress")
    app.page.locator("#model-download-stop").wait_for()
    app.page.locator("[data-example=coffee]").click()
    app.page.locator("#cancel-button").wait_for()
    app.page.locator("#progress").wait_for()
    app.result()
    hub.faults.hold.clear()
    held.set()
    app.page.locator("#model-download-stop").wait_for(state="hidden")
    app.page.get_by_role("tab", name="Generate").click()
    app.choose_model("Tiny SDXL", "#generate-model")
    app.says("Tiny SDXL on the CPU", "#generate-note")
    button.wait_for(state="hidden")
    app.page.locator("#generate-prompt textarea").fill("a dog")
    app.page.locator("#generate-button").click()
    app.page.locator("#edit-this-button").wait_for()
