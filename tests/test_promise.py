"""The promise on real photos: beyond the band no pixel of the saved file differs, checked without any of the app's own code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from inpaint.cli import main
from tests.core.masks.test_mask import squared_distance
from tests.fakes import Pixels, save

H, W = 80, 120


def photo(name: str) -> Pixels:
    """uint8 [H, W, 3 or 4], small: brute force compares every pixel with every painted one."""
    pixels = np.asarray(Image.fromarray(getattr(skimage.data, name.partition(" ")[0])()).resize((W, H)).convert("RGB"))
    if "transparent" not in name:
        return pixels
    alpha = np.tile(np.linspace(0, 255, W).astype(np.uint8), (H, 1))
    return np.dstack([pixels, alpha])


def hard(height: int, width: int) -> Pixels:
    y, x = np.mgrid[0:height, 0:width]
    return (((x - 50) / 18) ** 2 + ((y - 35) / 14) ** 2 <= 1).astype(np.uint8) * 255


def soft(height: int, width: int) -> Pixels:
    """A blob that falls off to its rim, as an airbrush leaves it."""
    y, x = np.mgrid[0:height, 0:width]
    return np.clip(330 * (1 - np.hypot((x - 50) / 20, (y - 35) / 16)), 0, 255).astype(np.uint8)


def edges(height: int, width: int) -> Pixels:
    pixels = np.zeros((height, width), np.uint8)
    pixels[:4, :15], pixels[-3:, -20:], pixels[30:45, :2], pixels[40, 60] = 255, 255, 255, 255
    return pixels


MASKS = {"hard": hard, "soft": soft, "edges": edges}


def as_rgba(path: Path) -> NDArray[np.int16]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGBA")).astype(np.int16)


@pytest.mark.parametrize(
    ("name", "mask", "grow", "feather", "mask_file"),
    [
        ("coffee", "hard", 0, 6, "mask.png"),
        ("coffee", "soft", 0, 0, "mask.png"),
        ("coffee", "edges", 20, 0, "mask.png"),
        ("astronaut", "hard", -5, 40, "mask.png"),
        ("astronaut", "soft", 20, 40, "mask.png"),
        ("astronaut", "edges", 0, 0, "mask.png"),
        ("chelsea", "hard", 20, 6, "mask.jpg"),
        ("chelsea", "soft", -5, 6, "mask.png"),
        ("chelsea", "edges", 0, 40, "mask.png"),
        ("rocket", "hard", 0, 0, "mask.webp"),
        ("rocket", "soft", 0, 6, "mask.jpg"),
        ("coffee transparent", "hard", 0, 6, "mask.png"),
        ("chelsea transparent", "soft", 20, 40, "mask.png"),
        ("astronaut transparent", "edges", 0, 0, "mask.png"),
    ],
)
def test_beyond_the_band_nothing_changes(
    name: str, mask: str, grow: int, feather: int, mask_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = photo(name)
    photo_path = save(before, tmp_path / "photo.png")
    mask_path = save(MASKS[mask](H, W), tmp_path / mask_file)
    out = tmp_path / "out.png"
    assert (
        main(
            [
                "edit",
                str(photo_path),
                "--mask",
                str(mask_path),
                "--output",
                str(out),
                "--grow",
                str(grow),
                "--feather",
                str(feather),
                "--seed",
                "1",
                "--json",
            ]
        )
        == 0
    )
    report = json.loads(capsys.readouterr().out)
    # A lossy mask is noisy: what counts as painted is what a reader sees, but for the noise that the app leaves out.
    with Image.open(mask_path) as image:
        painted = np.asarray(image.convert("L")) >= (1 if mask_file == "mask.png" else 8)
    distance = squared_distance(painted)
    changed = (as_rgba(photo_path) != as_rgba(out)).any(axis=2)
    band = max(grow, 0) + feather
    assert not changed[distance > band**2].any()
    assert report["changed_outside"] == 0 and report["blend_band_px"] == band
    assert changed[painted].mean() > 0.3
    assert Image.open(out).mode == ("RGBA" if "transparent" in name else "RGB")
