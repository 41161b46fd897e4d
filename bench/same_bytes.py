"""Whether two checkouts make the same bytes: a set of edits, generations and pictures made anew, by the command line of each.

    python bench/same_bytes.py CHECKOUT OTHER_CHECKOUT

Tiny models with random weights are made once and used by both, beside Erase and Kandinsky Mini. Prints a sha256 of the pixels for each
result, and exits with 1 where they differ.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.tiny_models import make_image_decoder, make_kandinsky, make_sdxl
from tests.ui.conftest import TINY_KANDINSKY, TINY_SDXL

EDIT = ["edit", "photo.png", "--mask", "mask.png"]
CASES = {
    "erase": [*EDIT, "--seed", "1"],
    "erase, grown and feathered, three candidates": [*EDIT, "--seed", "2", "--grow", "6", "--feather", "12", "--count", "3"],
    "erase, work area full, mask inverted": [*EDIT, "--seed", "3", "--work-area", "full", "--invert-mask"],
    "Kandinsky Mini": [*EDIT, "--model", "kandinsky-mini", "--prompt", "a strawberry", "--steps", "4", "--seed", "4"],
    "tiny Kandinsky": [*EDIT, "--model", "tiny-kandinsky", "--prompt", "a hat", "--steps", "4", "--seed", "5", "--negative-prompt", "blur"],
    "tiny Kandinsky, DDIM": [*EDIT, "--model", "tiny-kandinsky", "--prompt", "a hat", "--steps", "4", "--seed", "6", "--scheduler", "ddim"],
    "tiny SDXL": ["generate", "--model", "tiny-sdxl", "--prompt", "a fox", "--seed", "7", "--count", "2"],
    "tiny Kandinsky, made anew": [
        "reimagine",
        "photo.png",
        "--model",
        "tiny-kandinsky",
        "--prompt",
        "a fox",
        "--steps",
        "6",
        "--seed",
        "8",
    ],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout", type=Path, nargs=2)
    first, second = parser.parse_args().checkout
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        made = {name: [pixels_of(root.resolve(), words, Path(folder)) for root in (first, second)] for name, words in CASES.items()}
    for name, (one, other) in made.items():
        print(f"{'same' if one == other else 'DIFFERENT':<10}{one[:16]}  {other[:16]}  {name}")
    sys.exit(any(one != other for one, other in made.values()))


def prepare(folder: Path) -> None:
    """Writes a photo, a mask and the files of the tiny models."""
    rng = np.random.default_rng(5)
    Image.fromarray(rng.integers(0, 256, (15, 20, 3), np.uint8)).resize((320, 240)).save(folder / "photo.png")
    mask = np.zeros((240, 320), np.uint8)
    mask[80:150, 120:220] = 255
    Image.fromarray(mask).save(folder / "mask.png")
    models = folder / "config" / "models"
    models.mkdir(parents=True)
    prior, decoder = make_kandinsky(folder / "kandinsky", learned_range=True)
    image_decoder = make_image_decoder(folder / "image", decoder, learned_range=True)
    tiny = TINY_KANDINSKY.format(prior=prior.as_posix(), decoder=decoder.as_posix(), image_decoder=image_decoder.as_posix())
    (models / "tiny-kandinsky.toml").write_text(tiny)
    (models / "tiny-sdxl.toml").write_text(TINY_SDXL.format(sdxl=make_sdxl(folder / "sdxl").as_posix()))


def pixels_of(root: Path, words: list[str], folder: Path) -> str:
    """Runs one command of a checkout; returns a hash over the pixels of its results."""
    for old in folder.glob("out*.png"):
        old.unlink()
    environment = {**os.environ, "PYTHONPATH": str(root), "HF_HUB_OFFLINE": "1"}
    command = [
        sys.executable,
        "-m",
        "inpaint",
        *words,
        "--output",
        "out.png",
        "--device",
        "cpu",
        "--config",
        "config",
        "--data-dir",
        "data",
    ]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    digest = hashlib.sha256()
    for path in sorted(folder.glob("out*.png")):
        digest.update(np.asarray(Image.open(path)).tobytes())
    return digest.hexdigest()


if __name__ == "__main__":
    main()
