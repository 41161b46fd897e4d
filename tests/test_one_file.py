"""A model that one file of a person's own adds: seen and run by the registry, the command line, HTTP's service and the page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from inpaint.cli import main
from inpaint.config.load import load_config
from inpaint.core.masks.mask import Mask
from inpaint.core.picture import Picture
from inpaint.models.catalog import Models
from inpaint.service import Service
from inpaint.storage.journal import Journal
from inpaint.ui.form import build_settings
from inpaint.ui.page import build_page
from tests.fakes import block, noise, save
from tests.tiny_models import make_flux, make_sd15

ONE_FILE = """
name = "my-sd15"
title = "My Stable Diffusion"
family = "diffusers-inpaint"
tasks = ["inpaint"]
negative_prompt = true
sources = { pipeline = { repo_id = "../weights" } }
[limits]
num_inference_steps = { default = 3, minimum = 1, maximum = 50 }
guidance_scale = { default = 7.5, minimum = 0.0, maximum = 20.0, step = 0.5 }
strength = { default = 0.75, minimum = 0.05, maximum = 1.0, step = 0.05 }
[working]
multiple = 8
native_pixels = 4_096
max_pixels = 16_384
"""
H, W = 48, 80
ROOT = Path(__file__).resolve().parent.parent


def with_model(folder: Path, text: str) -> Path:
    (folder / "models").mkdir(parents=True)
    (folder / "models" / "mine.toml").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A person's own settings folder: models/mine.toml, and the weights that it names beside it."""
    folder = tmp_path_factory.mktemp("own")
    make_sd15(folder, in_channels=9).rename(folder / "weights")
    (folder / "models").mkdir()
    (folder / "models" / "mine.toml").write_text(ONE_FILE, encoding="utf-8")
    save(noise(H, W), folder / "photo.png")
    save(block(H, W, 16, 20, 30, 40), folder / "mask.png")
    return folder


@pytest.fixture
def service(folder: Path, tmp_path: Path) -> Service:
    return Service.build(load_config(folder, {"device": "cpu", "data_dir": str(tmp_path / "data")}, {}))


def edit(folder: Path, *more: str) -> int:
    return main(
        [
            "edit",
            str(folder / "photo.png"),
            "--mask",
            str(folder / "mask.png"),
            "--model",
            "my-sd15",
            "--prompt",
            "a red hat",
            "--seed",
            "7",
            "--device",
            "cpu",
            "--config",
            str(folder),
            "--data-dir",
            str(folder / "data"),
            *more,
        ]
    )


def test_the_command_line_lists_it_and_edits_with_it(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--json", "--config", str(folder), "--data-dir", str(folder / "data")]) == 0
    (listed,) = [model for model in json.loads(capfd.readouterr().out)["models"] if model["name"] == "my-sd15"]
    assert listed["on_disk"] and listed["controls"] == ["guidance_scale", "negative_prompt", "num_inference_steps", "prompt", "strength"]
    assert edit(folder, "--output", str(tmp_path / "out.png"), "--negative-prompt", "a dog", "--strength", "0.7") == 0
    assert capfd.readouterr().err == "0 px changed beyond the 6 px blend band. Seed 7.\n"
    assert (np.asarray(Image.open(tmp_path / "out.png")) != noise(H, W))[16:30, 20:40].mean() > 0.8


def test_the_five_lines_of_contributing_are_a_model(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """As they stand there, with the weights of a folder in the place of the made-up repository."""
    lines = re.search(r"```toml\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.DOTALL)[1]
    assert (
        lines.count("\n") == 5 and "my-inpainting" in Models(load_config(with_model(tmp_path / "hub", lines), {"device": "cpu"}, {})).specs
    )
    own = with_model(tmp_path / "own", lines.replace("me/my-inpainting", str(folder / "weights")))
    edited = edit(folder, "--output", str(tmp_path / "out.png"), "--model", "my-inpainting", "--config", str(own))
    assert edited == 0, capfd.readouterr().err
    assert (np.asarray(Image.open(tmp_path / "out.png")) != noise(H, W))[16:30, 20:40].mean() > 0.8


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--strength", "2"], "Strength must be between 0.05 and 1"),
        (["--scheduler", "ddim"], "My Stable Diffusion has no scheduler"),
        (["--prior-steps", "5"], "has no prior steps"),
    ],
)
def test_what_it_cannot_is_refused_in_one_line(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    assert edit(folder, "--output", str(tmp_path / "out.png"), *more) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert said in line and not (tmp_path / "out.png").exists()


def test_the_service_that_http_calls_runs_it(service: Service) -> None:
    picture, mask = Picture(noise(H, W), "photo"), Mask(block(H, W, 16, 20, 30, 40))
    request = service.edit_request(picture, mask, {"model": "my-sd15", "prompt": "a cat", "strength": 1.0, "seed": 3, "count": 2})
    job = service.start_edit(request, "somebody")
    assert job.wait(60)
    report = job.outcome().report
    assert report.check is not None and report.check.changed_outside == 0 and report.model == "my-sd15" and report.seeds == (3, 4)


def test_the_page_offers_it_with_its_controls(folder: Path, tmp_path: Path) -> None:
    config = load_config(folder, {"device": "cpu", "data_dir": str(tmp_path / "data")}, {})
    page = build_page(Service.build(config, Journal(tmp_path / "data")))
    blocks = list(page.blocks.values())
    offered = [one for one in blocks if isinstance(one, gr.Dropdown) and ("My Stable Diffusion", "my-sd15") in (one.choices or [])]
    sliders = {one.label for one in blocks if isinstance(one, gr.Slider)}
    assert len(offered) == 1 and sliders >= {"Steps", "Guidance", "Strength"}
    settings = build_settings(config.models.values(), config.models["erase"])
    shown = settings.fit(config.models["my-sd15"], "erase", {})
    strength = shown[settings.widgets["strength"]]
    assert (strength["visible"], strength["minimum"], strength["maximum"], strength["value"]) == (True, 0.05, 1.0, 0.75)
    assert shown[settings.widgets["prior_guidance_scale"]]["visible"] is False


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("multiple = 8", "multiple = 8"), "line 12: working.multiple: FluxInpaintPipeline needs a multiple of 16"),
        (("multiple = 8", "multiple = 16"), "line 6: negative_prompt: FluxInpaintPipeline has no negative_prompt"),
    ],
)
def test_a_file_that_does_not_fit_its_repository_is_refused_when_it_is_loaded(
    change: tuple[str, str], said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "models").mkdir()
    make_flux(tmp_path, fill=False).rename(tmp_path / "weights")
    text = ONE_FILE.replace(*change).replace("negative_prompt = true\n", "negative_prompt = true\n" if "no negative" in said else "")
    (tmp_path / "models" / "mine.toml").write_text(text, encoding="utf-8")
    save(noise(H, W), tmp_path / "photo.png")
    save(block(H, W, 16, 20, 30, 40), tmp_path / "mask.png")
    assert edit(tmp_path, "--output", str(tmp_path / "out.png")) == 2
    assert f"mine.toml, {said}" in capfd.readouterr().err
