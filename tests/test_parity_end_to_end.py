"""The command line against diffusers' own pipelines: inside the mask the saved file is the stock picture, bit for bit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.pipelines.kandinsky2_2 import KandinskyV22InpaintPipeline, KandinskyV22PriorPipeline
from PIL import Image

from inpaint.cli import main
from tests.tiny_models import make_kandinsky

SPEC = """
name = "tiny"
title = "Tiny"
family = "kandinsky22"
tasks = ["inpaint"]
negative_prompt = true
schedulers = ["ddpm", "ddim", "dpm++"]
sources = {{ prior = {{ repo_id = '{prior}' }}, decoder = {{ repo_id = '{decoder}' }} }}
[limits]
num_inference_steps = {{ default = 2, minimum = 1, maximum = 10 }}
guidance_scale = {{ default = 4.0, minimum = 0.0, maximum = 20.0, step = 0.5 }}
prior_num_inference_steps = {{ default = 2, minimum = 1, maximum = 10 }}
prior_guidance_scale = {{ default = 4.0, minimum = 0.0, maximum = 20.0, step = 0.5 }}
[working]
multiple = 64
native_pixels = 16384
max_pixels = 65536
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """(settings folder, prior, decoder)"""
    folder = tmp_path_factory.mktemp("parity")
    prior, decoder = make_kandinsky(folder / "tiny", learned_range=True)
    (folder / "config" / "models").mkdir(parents=True)
    (folder / "config" / "models" / "tiny.toml").write_text(SPEC.format(prior=prior, decoder=decoder))
    return folder / "config", prior, decoder


@pytest.mark.parametrize(("width", "height", "negative"), [(128, 64, ""), (64, 128, "bad anatomy")], ids=["plain", "negative"])
def test_full_work_area_without_seam_is_the_stock_picture(
    made: tuple[Path, Path, Path], tmp_path: Path, width: int, height: int, negative: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config, prior, decoder = made
    photo = np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)
    mask = np.zeros((height, width), np.uint8)
    mask[16:48, 8:40] = 255  # on whole latent cells: the stock pipeline sees the same mask
    Image.fromarray(photo).save(tmp_path / "photo.png")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    words = ["--prompt", "a red apple", *(["--negative-prompt", negative] if negative else [])]

    code = main(
        [
            "edit",
            str(tmp_path / "photo.png"),
            "--mask",
            str(tmp_path / "mask.png"),
            "--output",
            str(tmp_path / "out.png"),
            "--model",
            "tiny",
            *words,
            "--seed",
            "11",
            "--work-area",
            "full",
            "--feather",
            "0",
            "--grow",
            "0",
            "--config",
            str(config),
            "--data-dir",
            str(tmp_path),
            "--device",
            "cpu",
            "--dtype",
            "float32",
            "--json",
        ]
    )

    report = json.loads(capsys.readouterr().out)
    result = np.asarray(Image.open(tmp_path / "out.png"))
    stock = stock_picture(prior, decoder, photo, mask, negative or None)
    assert code == 0
    assert report["region"] == {"crop": [0, 0, width, height], "working": [width, height]}
    assert np.array_equal(result[mask > 0], stock[mask > 0])
    assert np.array_equal(result[mask == 0], photo[mask == 0])


def stock_picture(prior: Path, decoder: Path, photo: np.ndarray, mask: np.ndarray, negative: str | None) -> np.ndarray:
    def generator() -> torch.Generator:
        return torch.Generator("cpu").manual_seed(11)

    height, width = mask.shape
    embeds = KandinskyV22PriorPipeline.from_pretrained(prior)(
        "a red apple", negative_prompt=negative, num_inference_steps=2, guidance_scale=4.0, generator=generator()
    )
    result = KandinskyV22InpaintPipeline.from_pretrained(decoder)(
        image=Image.fromarray(photo),
        mask_image=Image.fromarray(mask),
        image_embeds=embeds.image_embeds,
        negative_image_embeds=embeds.negative_image_embeds,
        height=height,
        width=width,
        num_inference_steps=2,
        guidance_scale=4.0,
        generator=generator(),
    )
    return np.asarray(result.images[0])
