"""The example photos with their ready masks, freely licensed (examples/CREDITS.md). Knows no widgets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from inpaint.config import PictureLimits
from inpaint.core.mask import Mask
from inpaint.core.picture import Picture
from inpaint.storage.uploads import Upload, read_mask, read_picture

FOLDER = Path(__file__).parent / "examples"
TITLES: Mapping[str, str] = MappingProxyType({
    "astronaut": "Take the badges off", "rocket": "Remove a tower", "coffee": "Clear the spoon away",
})


@dataclass(frozen=True, eq=False)
class Example:
    """A photo and the mask that goes with it, in upload space."""

    name: str
    title: str
    upload: Upload
    picture: Picture
    mask: Mask


def load_examples(limits: PictureLimits) -> dict[str, Example]:
    return {name: _load(name, title, limits) for name, title in TITLES.items()}


def _load(name: str, title: str, limits: PictureLimits) -> Example:
    upload = Upload.from_path(FOLDER / f"{name}.jpg", limits)
    picture = read_picture(upload, limits)
    return Example(name, title, upload, picture,
                   read_mask(Upload.from_path(FOLDER / f"{name}-mask.png", limits), picture.extent, limits))
