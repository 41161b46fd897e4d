"""Examples: freely licensed photos with masks (examples/CREDITS.md), and prompts ready to use. Knows no widgets."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inpaint.config.settings import PictureLimits
from inpaint.core.masks.mask import Mask
from inpaint.core.picture import Picture
from inpaint.storage.masks import read_mask
from inpaint.storage.uploads import Upload, read_picture

FOLDER = Path(__file__).parent / "examples"


@dataclass(frozen=True)
class Words:
    """A prompt ready to use, with its settings.

    model: selected if there is such a model. size: "WxH". given: other values by field.
    """

    title: str
    prompt: str
    negative: str = ""
    model: str = ""
    size: str = ""
    given: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Shot:
    """A photo and one of the masks that go with it, by file name.

    words: the prompt; None = the area is filled from the picture itself. only_fills: True if the example only fills in the
    form, and the person then presses Run.
    """

    name: str
    title: str
    photo: str
    words: Words | None = None
    only_fills: bool = False


ROBOT = (
    "A friendly humanoid robot sits at a wooden table in a bright, sunlit room, happily drawing on a sketchbook. "
    "Soft light colors, landscape, peaceful, productive, and joyful atmosphere. The robot is drawing an image of itself "
    "drawing, creating a recursive effect. Large window in the background with greenery outside, warm natural lighting."
)
GENERATE_WORDS = (
    Words("A robot that draws itself", ROBOT, model="sdxl-turbo", size="512x512", given={"num_inference_steps": 1, "seed": 148607185}),
    Words("The robot by Playground v2", ROBOT, "overexposed, underexposed", "playground-v2", "1024x1024"),
    Words("A dog, painted by a child", "A painting of a friendly dog painted by a child.", model="sdxl-turbo", size="512x512"),
)
REIMAGINE_WORDS = (
    Words("The dog as a photo", "A photo of a friendly dog. High details, realistic", "low quality, bad quality", "kandinsky-2.2"),
)
ERASE_SHOTS = (
    Shot("astronaut", "Take the badges off", "astronaut"),
    Shot("rocket", "Remove a tower", "rocket"),
    Shot("coffee", "Clear the spoon away", "coffee"),
)
FILLING_SHOT = Shot(
    "surgical",
    "With words: a surgical mask, by Vermeer",
    "astronaut",
    Words(
        "A surgical mask",
        "Oil painting of a woman wearing a surgical mask, Vermeer",
        "bad anatomy, deformed, ugly, disfigured",
        "kandinsky-2.2",
    ),
    only_fills=True,
)
DRAWING_SHOTS = (
    Shot("strawberry", "A strawberry on the table", "coffee", Words("A strawberry", "a strawberry")),
    Shot("balloon", "A balloon in the sky", "rocket", Words("A balloon", "a balloon")),
)
"""Examples for a model with a small vocabulary. Each is shown only if a model on this machine knows its prompt."""


@dataclass(frozen=True, eq=False)
class Example:
    """A photo and the mask that goes with it, in upload space."""

    shot: Shot
    upload: Upload
    picture: Picture
    mask: Mask


def load_examples(limits: PictureLimits, known: Collection[str]) -> dict[str, Example]:
    """Returns all examples by name. known: prompts of the small-vocabulary models on this machine; examples that draw need one of them."""
    drawing = (shot for shot in DRAWING_SHOTS if shot.words and shot.words.prompt in known)
    return {shot.name: _load(shot, limits) for shot in (*drawing, *ERASE_SHOTS, FILLING_SHOT)}


def _load(shot: Shot, limits: PictureLimits) -> Example:
    upload = Upload.from_path(FOLDER / f"{shot.photo}.jpg", limits)
    picture = read_picture(upload, limits)
    return Example(shot, upload, picture, read_mask(Upload.from_path(FOLDER / f"{shot.name}-mask.png", limits), picture.extent, limits))
