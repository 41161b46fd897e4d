"""Pictures to learn from: photographs and textures, with glyphs of Noto Color Emoji pasted on them.

Must not know about models: uint8 arrays out, each from a generator that the caller seeds."""

import glob
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFont

from training.things import THINGS

FONT = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
# Where `dpkg -x` put Debian's wallpapers (lomiri-wallpapers-16.04, -20.04, mate-backgrounds); see the model card.
WALLPAPERS = Path(os.environ.get("MINI_WALLPAPERS", "/usr/share/backgrounds"))

# Three sets that share no photograph: the model's, the judge's, and those that both are tried on.
# The model learns from public domain, CC0 and CC BY only.
PHOTOS = {
    "train": (
        "skimage:astronaut.png", "skimage:chelsea.png", "skimage:rocket.jpg", "skimage:brick.png", "skimage:grass.png",
        "skimage:gravel.png", "skimage:moon.png", "skimage:coins.png", "sklearn:china.jpg",
        "aitzgorri_by_Aitzol_Berasategi.jpg", "friends_by_Aitzol_Berasategi.jpg", "life_by_Aitzol_Berasategi.jpg",
        "picosdeeuropa_by_Aitzol_Berasategi.jpg", "Picture_0B_by_freespace.jpg", "Picture_1A_by_freespace.jpg",
        "sunset_by_Aitzol_Berasategi.jpg", "umang_by_Abhishek_Mudgal.jpg", "Wine_by_Jakkub_Mede.jpg",
        "seeding_by_Clements_Engelhardt.jpg",
    ),
    "judge": (
        "mate/nature/FreshFlower.jpg", "mate/nature/LadyBird.jpg", "mate/nature/RainDrops.jpg",
        "mate/nature/TwoWings.jpg", "mate/nature/YellowFlower.jpg", "mate/nature/Aqua.jpg", "mate/nature/Blinds.jpg",
        "skimage:motorcycle_left.png", "skimage:hubble_deep_field.jpg", "free_by_Peter_Nerlich.jpg",
    ),
    "held-out": (
        "skimage:coffee.png", "sklearn:flower.jpg", "mate/nature/Dune.jpg", "mate/nature/Garden.jpg",
        "mate/nature/GreenMeadow.jpg", "mate/nature/Wood.jpg", "mate/nature/Storm.jpg",
        "Bridge_by_Sander_Klootwijk.jpg", "Dragonfly_by_Bolly.jpg", "Kleiber_by_Lukas_Baubkus.jpg",
        "greentock_by_Peter_Nerlich.jpg",
    ),
}  # fmt: skip
_LONGEST = 900  # photographs are kept at this size: 128 px of one are a detail, all of it shrunk is a view


@dataclass(frozen=True)
class Box:
    """Where a glyph goes: its centre and the longer side, in px of the picture."""

    x: float
    y: float
    side: float


def _photo_path(name: str) -> str:
    package, _, file = name.rpartition(":")
    if package == "skimage":
        return str(Path(__import__("skimage").__file__).parent / "data" / file)
    if package == "sklearn":
        return str(Path(__import__("sklearn").__file__).parent / "datasets" / "images" / file)
    found = glob.glob(str(WALLPAPERS / "**" / file), recursive=True)
    if not found:
        raise FileNotFoundError(f"{file} is not under {WALLPAPERS}: unpack Debian's wallpapers (see the model card)")
    return found[0]


@cache
def photos(split: str) -> tuple[np.ndarray, ...]:
    """uint8 [H, W, 3], RGB, at most 900 px a side."""
    kept = []
    for name in PHOTOS[split]:
        photo = Image.open(_photo_path(name))
        photo.draft("RGB", (_LONGEST, _LONGEST))  # a JPEG is decoded at about the size that is kept
        photo = photo.convert("RGB")
        photo.thumbnail((_LONGEST, _LONGEST), Image.Resampling.LANCZOS)
        kept.append(np.asarray(photo))
    return tuple(kept)


@cache
def glyphs() -> tuple[np.ndarray, ...]:
    """float32 [h, w, 4] with premultiplied colour in 0..1, cut to the drawn part; in the order of THINGS."""
    font = ImageFont.truetype(FONT, 109)
    kept = []
    for thing in THINGS:
        sheet = Image.new("RGBA", (150, 150))
        ImageDraw.Draw(sheet).text((0, 0), thing.glyph, font=font, embedded_color=True)
        drawn = np.asarray(sheet.crop(sheet.getbbox()), np.float32) / 255
        kept.append(np.concatenate([drawn[..., :3] * drawn[..., 3:], drawn[..., 3:]], axis=-1))
    return tuple(kept)


def photo_crop(rng: Generator, size: int, split: str) -> np.ndarray:
    """A square of a photograph at a random scale, mirrored half of the time, its colours a little changed."""
    photo = photos(split)[rng.integers(len(photos(split)))]
    height, width = photo.shape[:2]
    side = int(rng.uniform(min(size * 0.8, height, width), min(height, width)))
    top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
    crop = cv2.resize(photo[top : top + side, left : left + side], (size, size), interpolation=cv2.INTER_AREA)
    crop = crop[:, ::-1] if rng.random() < 0.5 else crop
    gain = rng.uniform(0.8, 1.2) * rng.uniform(0.92, 1.08, 3)
    return np.clip(crop * gain + rng.uniform(-15, 15), 0, 255).astype(np.uint8)


def texture(rng: Generator, size: int) -> np.ndarray:
    """Nothing in particular: two colours mixed by a slope or by noise of one grain, perhaps with stripes."""
    first, second = rng.uniform(0, 255, (2, 3))
    if rng.random() < 0.5:
        second = np.clip(first + rng.normal(0, 40, 3), 0, 255)
    across, down = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size))
    angle = rng.uniform(0, 2 * np.pi)
    slope = across * np.cos(angle) + down * np.sin(angle)
    grain = int(rng.choice([2, 4, 8, 16, 32]))
    noise = cv2.resize(rng.normal(0, 1, (grain, grain)), (size, size), interpolation=cv2.INTER_CUBIC)
    choice = rng.integers(4)
    mix = (slope, noise, np.sin(slope * rng.uniform(3, 30)), 0.5 * slope + 0.5 * noise)[choice]
    mix = np.clip(0.5 + 0.5 * mix, 0, 1)[..., None]
    fine = rng.normal(0, rng.choice([0, 2, 6]), (size, size, 1))
    return np.clip(first * mix + second * (1 - mix) + fine, 0, 255).astype(np.uint8)


def background(rng: Generator, size: int, split: str = "train") -> np.ndarray:
    """uint8 [size, size, 3], RGB."""
    return photo_crop(rng, size, split) if rng.random() < 0.75 else texture(rng, size)


def paste(picture: np.ndarray, thing: int, box: Box) -> np.ndarray:
    """A copy of `picture` with the glyph of THINGS[thing] in `box`; parts outside are cut off."""
    glyph = glyphs()[thing]
    scale = box.side / max(glyph.shape[:2])
    height, width = (max(1, round(n * scale)) for n in glyph.shape[:2])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    glyph = np.clip(cv2.resize(glyph, (width, height), interpolation=method), 0, 1)
    top, left = round(box.y - height / 2), round(box.x - width / 2)
    rows = slice(max(top, 0), min(top + height, picture.shape[0]))
    columns = slice(max(left, 0), min(left + width, picture.shape[1]))
    seen = glyph[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    out = picture.copy()
    out[rows, columns] = (seen[..., :3] * 255 + picture[rows, columns] * (1 - seen[..., 3:])).round().astype(np.uint8)
    return out


def close_up(rng: Generator, thing: int | None, size: int = 64, split: str = "train") -> np.ndarray:
    """A view for the image encoder and the judge: the thing fills most of it (None: background alone)."""
    view = background(rng, size, split)
    if thing is None:
        return view
    side = size * rng.uniform(0.55, 0.98)
    slack = (size - side) / 2 + size * 0.04
    centre = size / 2 + rng.uniform(-slack, slack, 2)
    return paste(view, thing, Box(centre[0], centre[1], side))


def scattered(rng: Generator, size: int, split: str = "train") -> np.ndarray:
    """For the autoencoder: a background with none to three glyphs anywhere."""
    picture = background(rng, size, split)
    for _ in range(rng.integers(4)):
        x, y = rng.uniform(0, size, 2)
        picture = paste(picture, int(rng.integers(len(THINGS))), Box(x, y, rng.uniform(30, 130)))
    return picture


def batches(make: Callable[[Generator], np.ndarray], seed: int, batch: int) -> np.ndarray:
    """uint8 [batch, H, W, 3]: `batch` pictures from one seed."""
    rng = np.random.default_rng(seed)
    return np.stack([make(rng) for _ in range(batch)])
