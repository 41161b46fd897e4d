"""Examples: photos with their ready masks, freely licensed (examples/CREDITS.md), and ready words. Knows no widgets."""

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
    """A ready prompt with what goes with it. model: used where there is such a model. size: "WxH". given: other values by field."""

    title: str
    prompt: str
    negative: str = ""
    model: str = ""
    size: str = ""
    given: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Shot:
    """A photo and one of the masks that go with it, by file name.

    words: None = filled from the picture itself. only_fills: the words are put into the form, and the person runs them.
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
"""For a model that knows a few things only: shown where those are among them."""


@dataclass(frozen=True, eq=False)
class Example:
    """A photo and the mask that goes with it, in upload space."""

    shot: Shot
    upload: Upload
    picture: Picture
    mask: Mask


def load_examples(limits: PictureLimits, known: Collection[str]) -> dict[str, Example]:
    """All examples by name. known: the prompts that a model here knows, for those that need it."""
    drawing = (shot for shot in DRAWING_SHOTS if shot.words and shot.words.prompt in known)
    return {shot.name: _load(shot, limits) for shot in (*drawing, *ERASE_SHOTS, FILLING_SHOT)}


def _load(shot: Shot, limits: PictureLimits) -> Example:
    upload = Upload.from_path(FOLDER / f"{shot.photo}.jpg", limits)
    picture = read_picture(upload, limits)
    return Example(shot, upload, picture, read_mask(Upload.from_path(FOLDER / f"{shot.name}-mask.png", limits), picture.extent, limits))
