"""The real app, served as `python app.py` for all tests of this folder, and real browsers to look at it with.

Must not know what is tested.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image

from tests.ui.app_page import AppPage
from tests.ui.stage.stage_app import Seen

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60
QUIET_CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
                  "--disable-component-update", "--disable-sync"]
DESKTOP = {"viewport": {"width": 1320, "height": 860}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}

TINY_KANDINSKY = """
name = "tiny-kandinsky"
title = "Tiny Kandinsky"
family = "kandinsky22"
tasks = ["inpaint", "image-to-image"]
negative_prompt = true
early_stop = true
knows = ["a red hat", "a dog", "a strawberry", "a balloon"]
schedulers = ["ddpm", "ddim", "dpm++"]
[sources]
prior = {{ repo_id = "{prior}" }}
decoder = {{ repo_id = "{decoder}" }}
image_decoder = {{ repo_id = "{image_decoder}" }}
[limits]
num_inference_steps = {{ default = 4, minimum = 1, maximum = 1000 }}
guidance_scale = {{ default = 4.0, minimum = 0.0, maximum = 20.0, step = 0.5 }}
prior_num_inference_steps = {{ default = 3, minimum = 1, maximum = 100 }}
prior_guidance_scale = {{ default = 4.0, minimum = 0.0, maximum = 20.0, step = 0.5 }}
[working]
multiple = 64
native_pixels = 16_384
max_pixels = 65_536
[task_limits.image-to-image]
strength = {{ default = 0.3, minimum = 0.05, maximum = 1.0, step = 0.05 }}
"""
NO_MINI = """
name = "kandinsky-mini"
title = "Kandinsky Mini"
family = "kandinsky22"
tasks = ["inpaint"]
sources = { prior = { repo_id = "./nowhere" }, decoder = { repo_id = "./nowhere" } }
working = { multiple = 64, max_pixels = 65_536 }
"""
"""Whether its weights lie in the repository or not, these tests are the same."""

TINY_SDXL = """
name = "tiny-sdxl"
title = "Tiny SDXL"
family = "sdxl"
tasks = ["generate"]
[sources]
pipeline = {{ repo_id = "{sdxl}" }}
[limits]
num_inference_steps = {{ default = 1, minimum = 1, maximum = 4 }}
width = {{ default = 128, minimum = 64, maximum = 256, step = 64 }}
height = {{ default = 128, minimum = 64, maximum = 256, step = 64 }}
"""


@dataclass(frozen=True)
class Served:
    """A running app. config, data: what it was started with, for a command line beside it."""

    url: str
    config: Path
    data: Path
    process: subprocess.Popen[bytes]

    def results(self) -> list[Path]:
        """The folders of all finished runs, one a run."""
        return sorted((self.data / "results").glob("*")) if self.data.exists() else []


@pytest.fixture(scope="session")
def served_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("app")
    config, data, port = _write_config(folder), folder / "data", _free_port()
    log = folder / "log.txt"
    command = [sys.executable, "app.py", "--host", "127.0.0.1", "--port", str(port), "--device", "cpu",
               "--config", str(config), "--data-dir", str(data)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("INPAINT_", "GRADIO_"))}
    with log.open("wb") as file:
        process = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, env=clean | {"HF_HUB_OFFLINE": "1"})
        served = Served(f"http://127.0.0.1:{port}", config, data, process)
        try:
            _wait_until_it_answers(served, log)
            yield served
            assert process.poll() is None, f"the app ended by itself: {log.read_text()[-4000:]}"
            assert str(ROOT / "inpaint") not in log.read_text(), f"a traceback of ours: {log.read_text()[-8000:]}"
        finally:
            process.terminate()
            process.wait(30)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    found = next((path for path in [os.environ.get("INPAINT_CHROMIUM"), *map(shutil.which, (
        "chromium", "chromium-browser", "google-chrome"))] if path), None)
    with sync_api.sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=found, args=QUIET_CHROMIUM)
        except sync_api.Error as error:
            pytest.skip(f"no Chromium: {error}")
        yield browser
        browser.close()


@pytest.fixture
def people(chromium: Any, served_app: Served, tmp_path: Path) -> Iterator[Any]:
    """Call it to get another person's page: a browser context of their own. beside: a page of the same person, in another tab."""
    pages: list[AppPage] = []

    def come(beside: AppPage | None = None, **options: Any) -> AppPage:
        wanted = {**DESKTOP, "accept_downloads": True, "color_scheme": "light", **options}
        context = beside.page.context if beside else chromium.new_context(**wanted)
        context.set_default_timeout(PATIENCE_SECONDS * 1000)
        pages.append(AppPage(context.new_page(), Seen(), tmp_path))
        pages[-1].visit(served_app.url)
        return pages[-1]

    yield come
    for page in pages:
        page.page.context.close()
    assert [trouble for page in pages for trouble in page.troubles] == []


@pytest.fixture
def app(people: Any) -> AppPage:
    return people()


@pytest.fixture
def phone(people: Any) -> AppPage:
    return people(**PHONE)


@pytest.fixture(scope="session")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small photo, quick to edit."""
    return _write_photo(tmp_path_factory.mktemp("photo") / "garden.jpg", 600, 400)


@pytest.fixture(scope="session")
def large_photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 megapixels, as a phone takes them."""
    return _write_photo(tmp_path_factory.mktemp("large") / "holiday.jpg", 4000, 3000)


def _write_photo(path: Path, width: int, height: int) -> Path:
    """Blotches on a gradient: every region differs from every other, so that a shift or a wrong paste shows."""
    rng = np.random.default_rng(7)
    blotches = Image.fromarray(rng.integers(0, 256, (height // 20, width // 20, 3), np.uint8)).resize((width, height))
    gradient = np.linspace(0, 255, width, dtype=np.float32)[None, :, None]
    Image.fromarray((np.asarray(blotches) * 0.5 + gradient * 0.5).astype(np.uint8)).save(path, quality=90)
    return path


def _write_config(folder: Path) -> Path:
    from tests.tiny_models import make_image_decoder, make_kandinsky, make_sdxl

    prior, decoder = make_kandinsky(folder / "kandinsky", learned_range=True)
    models = folder / "config" / "models"
    models.mkdir(parents=True)
    (models / "tiny-kandinsky.toml").write_text(TINY_KANDINSKY.format(
        prior=prior.as_posix(), decoder=decoder.as_posix(),
        image_decoder=make_image_decoder(folder / "image", decoder, learned_range=True).as_posix()))
    (models / "kandinsky-mini.toml").write_text(NO_MINI)
    (models / "tiny-sdxl.toml").write_text(TINY_SDXL.format(sdxl=make_sdxl(folder / "sdxl").as_posix()))
    return models.parent


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_it_answers(served: Served, log: Path) -> None:
    for _ in range(PATIENCE_SECONDS * 4):
        if served.process.poll() is not None:
            raise AssertionError(f"the app did not start: {log.read_text()}")
        try:
            with urlopen(f"{served.url}/healthz", timeout=5) as answer:
                assert answer.status == 200
                return
        except (URLError, ConnectionError, TimeoutError):
            time.sleep(0.25)
    raise AssertionError(f"the app did not answer: {log.read_text()}")
