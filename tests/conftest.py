"""What all tests share: no network, property tests that take the same time on a busy machine, one browser, the app as a process."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image

from inpaint.config.load import load_config
from inpaint.config.settings import AppConfig, PictureLimits
from tests.serving import BARE, Serve, Served, Servers

os.environ["HF_HUB_OFFLINE"] = "1"
# A shell that starts this in the background has Ctrl-C ignored, and every process started from here would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("house", deadline=None, max_examples=60, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

LIMITS = PictureLimits()
QUIET_CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
def config(tmp_path: Path) -> AppConfig:
    """The shipped settings on a CPU, with a data folder of the test's own and no variable from outside."""
    return load_config(environment={}, flags={"device": "cpu", "data_dir": str(tmp_path / "data")})


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """What the servers of a test wrote."""
    return tmp_path / "log.txt"


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """The shipped app, in an environment with nothing but what a test says."""
    servers = Servers(tmp_path)

    def start(*flags: str, program: Sequence[str] = ("app.py",), **variables: str) -> Served:
        return servers.start(*flags, program=program, environment=BARE | {"HOME": str(tmp_path)} | variables)

    yield start
    servers.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """One browser for the whole run: Playwright's blocking API can be started once in a process."""
    sync_api = pytest.importorskip("playwright.sync_api")
    found = next(
        (
            path
            for path in [os.environ.get("INPAINT_CHROMIUM"), *map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))]
            if path
        ),
        None,
    )
    with sync_api.sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=found, args=QUIET_CHROMIUM)
        except sync_api.Error as error:
            pytest.skip(f"no Chromium: {error}")
        yield browser
        browser.close()


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
