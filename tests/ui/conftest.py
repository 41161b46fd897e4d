"""The real app, served as `python app.py` for all tests of this folder, and real browsers to look at it with.

Must not know what is tested.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serving import PATIENCE_SECONDS, ROOT, Served, Servers, environment_without
from tests.ui.app_page import AppPage
from tests.ui.stage.stage_app import Seen

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


@pytest.fixture(scope="session")
def served_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("app")
    servers = Servers(folder)
    try:
        served = servers.start(config=_write_config(folder), environment=environment_without("INPAINT_", "GRADIO_"))
        yield served
        assert served.process.poll() is None, f"the app ended by itself: {servers.log.read_text()[-4000:]}"
        assert str(ROOT / "inpaint") not in servers.log.read_text(), f"a traceback of ours: {servers.log.read_text()[-8000:]}"
    finally:
        servers.close()


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


def _write_config(folder: Path) -> Path:
    from tests.tiny_models import make_image_decoder, make_kandinsky, make_sdxl

    prior, decoder = make_kandinsky(folder / "kandinsky", learned_range=True)
    models = folder / "config" / "models"
    models.mkdir(parents=True)
    (models / "tiny-kandinsky.toml").write_text(
        TINY_KANDINSKY.format(
            prior=prior.as_posix(),
            decoder=decoder.as_posix(),
            image_decoder=make_image_decoder(folder / "image", decoder, learned_range=True).as_posix(),
        )
    )
    (models / "kandinsky-mini.toml").write_text(NO_MINI)
    (models / "tiny-sdxl.toml").write_text(TINY_SDXL.format(sdxl=make_sdxl(folder / "sdxl").as_posix()))
    return models.parent
