"""What random weights cannot show: words, negative words, guidance, mask and preview mean what they should.

The committed Kandinsky Mini paints through our own engine; the judge, a small classifier that never saw it, looks. The scores of
the whole model stand in its card; here only signs and directions are asserted, over a few things that it draws well."""

from __future__ import annotations

import dataclasses
from functools import cache

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from inpaint.config.load import load_config
from inpaint.core.progress import Progress, UseAsIs
from inpaint.core.request import SamplingParams
from inpaint.engines.base import EngineInput, EngineOutput, Inpainter, Pixels
from inpaint.engines.erase.patchmatch import Erase
from inpaint.errors import EditCancelled
from inpaint.models.catalog import Models
from inpaint.ui.examples import FOLDER
from training import judge
from training.things import THINGS, plain_prompt

SIDE, SPOT = 192, (100, 92, 104)  # px: the working extent; x, y and diameter of the painted spot
THE_THINGS = ("strawberry", "orange", "sunflower", "soccer ball", "penguin", "red heart", "blue car", "pizza")
NAMES = [thing.name for thing in THINGS]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Inpainter:
    return load(tmp_path_factory)


def load(tmp_path_factory: pytest.TempPathFactory) -> Inpainter:
    models = Models(load_config(None, {"device": "cpu", "data_dir": str(tmp_path_factory.mktemp("mini"))}))
    return models.engine(models.spec("kandinsky-mini", "inpaint"), "inpaint", lambda progress: None)


@cache
def work(prompt: str = "", negative: str | None = None, guidance: float = 4.0, seed: int = 5, steps: int = 16) -> EngineInput:
    """The table beside a coffee cup, with a round spot painted."""
    photo = Image.open(FOLDER / "coffee.jpg").convert("RGB").crop((0, 0, 300, 300)).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    mask = cv2.circle(np.zeros((SIDE, SIDE), np.uint8), SPOT[:2], SPOT[2] // 2, 255, -1)
    sampling = SamplingParams(prompt, negative, seed, steps, guidance, prior_num_inference_steps=10, prior_guidance_scale=guidance)
    return EngineInput(np.asarray(photo), mask, sampling)


def paint(engine: Inpainter, given: EngineInput) -> EngineOutput:
    return engine.inpaint(given, lambda progress: None)


def chance(picture: Pixels, name: str) -> float:
    """The judge's probability that the spot shows the thing."""
    scene = judge.Scene(picture, picture[..., 0], SPOT)
    with torch.no_grad():
        return float(judge.load_judge()(judge.spot_views(picture[None], scene)).softmax(-1)[0, NAMES.index(name)])


def prompt_of(name: str) -> str:
    return plain_prompt(THINGS[NAMES.index(name)])


@pytest.fixture(scope="module")
def painted(engine: Inpainter) -> dict[str, Pixels]:
    return {name: paint(engine, work(prompt_of(name))).picture for name in THE_THINGS}


def test_the_words_decide_what_is_painted(painted: dict[str, Pixels]) -> None:
    own = {name: chance(picture, name) for name, picture in painted.items()}
    swapped = [chance(painted[name], other) for name in THE_THINGS for other in THE_THINGS if other != name]
    assert sum(value > 0.5 for value in own.values()) >= len(THE_THINGS) - 2, own
    assert np.mean(swapped) < 0.05


@pytest.mark.parametrize("wording", ["strawberry", "a photo of a strawberry", "a strawberry on a table", "a strawberry zyxq"])
def test_other_wordings_name_the_same_thing(engine: Inpainter, wording: str) -> None:
    assert chance(paint(engine, work(wording)).picture, "strawberry") > 0.5


def test_more_guidance_follows_the_words_more(engine: Inpainter, painted: dict[str, Pixels]) -> None:
    without = [chance(paint(engine, work(prompt_of(name), guidance=1.0)).picture, name) for name in THE_THINGS]
    assert np.mean([chance(picture, name) for name, picture in painted.items()]) > np.mean(without)


def test_what_is_named_as_unwanted_is_painted_less(engine: Inpainter, painted: dict[str, Pixels]) -> None:
    negated = [chance(paint(engine, work(prompt_of(name), prompt_of(name))).picture, name) for name in THE_THINGS]
    assert np.mean(negated) < np.mean([chance(picture, name) for name, picture in painted.items()]) - 0.1


def test_what_is_masked_changes_and_the_rest_stays(engine: Inpainter, painted: dict[str, Pixels]) -> None:
    given = work(prompt_of("orange"))
    away = np.abs(painted["orange"].astype(int) - given.picture).mean(axis=2)
    far = cv2.dilate(given.mask, np.ones((25, 25), np.uint8)) == 0
    assert away[cv2.erode(given.mask, np.ones((25, 25), np.uint8)) > 0].mean() > 4 * away[far].mean()


def test_an_empty_prompt_continues_a_smooth_background_about_as_erase_does(engine: Inpainter) -> None:
    slope = np.linspace(70, 190, SIDE)[None, :, None] * np.array([1.0, 0.9, 0.7]) + np.zeros((SIDE, 1, 1))
    picture = slope.round().astype(np.uint8)
    given = dataclasses.replace(work(), picture=picture)
    inside = given.mask > 0
    error = {
        name: np.abs(paint(by, given).picture[inside].astype(int) - picture[inside]).mean()
        for name, by in (("mini", engine), ("erase", Erase.load()))
    }
    assert error["mini"] < error["erase"] + 12, error


def test_the_preview_shows_what_is_coming(engine: Inpainter) -> None:
    """At the last steps it is the picture itself, at a pixel a latent cell."""
    frames: list[Pixels] = []

    def watch(progress: Progress) -> None:
        if progress.preview is not None:
            frames.append(progress.preview)

    picture = engine.inpaint(work(prompt_of("strawberry"), steps=40), watch).picture
    small = cv2.resize(picture, frames[-1].shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.corrcoef(frames[-1].ravel(), small.ravel())[0, 1] > 0.9


def test_used_as_it_is_halfway_it_is_already_the_thing(engine: Inpainter) -> None:
    def stop(progress: Progress) -> None:
        if progress.stage == "denoising" and progress.step == 10:
            raise UseAsIs

    output = engine.inpaint(work(prompt_of("orange")), stop)
    assert chance(output.picture, "orange") > 0.3


@pytest.mark.parametrize("stage", ["prior", "encoding", "denoising", "decoding"])
def test_after_a_cancel_the_same_bits_come_as_from_a_fresh_engine(
    engine: Inpainter, painted: dict[str, Pixels], stage: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    def stop(progress: Progress) -> None:
        if progress.stage == stage and progress.step >= 1:
            raise EditCancelled

    disturbed = load(tmp_path_factory)
    with pytest.raises(EditCancelled):
        disturbed.inpaint(work(prompt_of("pizza"), seed=77), stop)
    assert np.array_equal(paint(disturbed, work(prompt_of("pizza"))).picture, painted["pizza"])


def test_another_seed_is_another_picture_of_the_same_thing(engine: Inpainter, painted: dict[str, Pixels]) -> None:
    other = paint(engine, work(prompt_of("orange"), seed=6)).picture
    assert not np.array_equal(other, painted["orange"])
    assert chance(other, "orange") > 0.5
