"""Image-to-image of Kandinsky 2.2: diffusers' pictures bit for bit, and what it shares with inpainting."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.pipelines.kandinsky2_2 import KandinskyV22Img2ImgPipeline, KandinskyV22PriorPipeline
from PIL import Image

from inpaint.core.progress import UseAsIs
from inpaint.core.request import SamplingParams
from inpaint.engines.kandinsky.engine import Kandinsky22, Kandinsky22ImageToImage
from inpaint.engines.memory.residency import Residency
from inpaint.engines.runtime.lru import Recent
from inpaint.errors import EditCancelled, ModelUnavailable, OutOfMemory
from tests.engines.conftest import Repositories, Watcher, a_picture, edit
from tests.engines.kandinsky.test_parity import generator, upstream_scheduler

SAMPLING = {
    "prompt": "a dog",
    "seed": 3,
    "num_inference_steps": 5,
    "guidance_scale": 4.0,
    "strength": 0.6,
    "prior_num_inference_steps": 3,
    "prior_guidance_scale": 4.0,
}

Picture = np.ndarray


def sampled(**changes: object) -> SamplingParams:
    return SamplingParams(**(SAMPLING | changes))  # pyright: ignore[reportArgumentType]


@pytest.fixture
def load_image(learned_image: Repositories, tmp_path: Path) -> Callable[..., Kandinsky22ImageToImage]:
    def load(repositories: Repositories = learned_image, **more: object) -> Kandinsky22ImageToImage:
        values: dict[str, object] = {"device": "cpu", "dtype": "float32", "cache_dir": tmp_path / "cache", "report": Watcher()}
        return Kandinsky22ImageToImage.load(str(repositories.prior), str(repositories.decoder), **(values | more))  # pyright: ignore[reportArgumentType]

    return load


@pytest.fixture(scope="module")
def pair(
    learned_image: Repositories, fixed_image: Repositories, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[Kandinsky22ImageToImage, Callable[..., Picture]]]:
    repositories = {"learned": learned_image, "fixed": fixed_image}

    @lru_cache
    def load(variance: str) -> tuple[Kandinsky22ImageToImage, Callable[..., Picture]]:
        found = repositories[variance]
        prior, decoder = KandinskyV22PriorPipeline.from_pretrained(found.prior), KandinskyV22Img2ImgPipeline.from_pretrained(found.decoder)
        for pipeline in (prior, decoder):
            pipeline.set_progress_bar_config(disable=True)

        def stock(picture: Picture, sampling: SamplingParams) -> Picture:
            embeds = prior(
                sampling.prompt,
                negative_prompt=sampling.negative_prompt,
                generator=generator(sampling.seed),
                num_inference_steps=sampling.prior_num_inference_steps,
                guidance_scale=sampling.prior_guidance_scale,
            )
            own = decoder.scheduler
            decoder.scheduler = upstream_scheduler(own, sampling.scheduler)
            try:
                # Upstream hands (width, height) on as (height, width), so that a picture that is not square comes out on its side.
                result = decoder(
                    image=Image.fromarray(picture),
                    image_embeds=embeds.image_embeds,
                    negative_image_embeds=embeds.negative_image_embeds,
                    height=picture.shape[1],
                    width=picture.shape[0],
                    num_inference_steps=sampling.num_inference_steps,
                    guidance_scale=sampling.guidance_scale,
                    strength=sampling.strength,
                    generator=generator(sampling.seed),
                )
            finally:
                decoder.scheduler = own
            return np.asarray(result.images[0])

        engine = Kandinsky22ImageToImage.load(
            str(found.prior),
            str(found.decoder),
            device="cpu",
            dtype="float32",
            cache_dir=tmp_path_factory.mktemp("cache"),
            report=Watcher(),
        )
        return engine, stock

    return load


GRID = [
    pytest.param(
        variance,
        {"scheduler": scheduler, "negative_prompt": negative, "guidance_scale": guidance},
        id=f"{variance}-{scheduler}-{negative or 'plain'}-{guidance:g}",
    )
    for variance, scheduler, negative, guidance in itertools.product(
        ("learned", "fixed"), (None, "ddim", "dpm++"), (None, "low quality"), (4.0, 1.0)
    )
]
OTHERS = [
    pytest.param("learned", changes, id=f"{name}-{value}")
    for changes in (
        {"strength": 1.0},
        {"strength": 0.2},
        {"strength": 0.99},
        {"num_inference_steps": 1, "strength": 1.0},
        {"seed": 2**32 - 1},
        {"prompt": ""},
    )
    for name, value in [next(iter(changes.items()))]
]


@pytest.mark.parametrize(("variance", "changes"), [*GRID, *OTHERS])
def test_every_request_equals_diffusers(pair, variance: str, changes: dict[str, object]) -> None:
    engine, stock = pair(variance)
    picture, sampling = a_picture(64, 64), sampled(**changes)
    np.testing.assert_array_equal(engine.reimagine(picture, sampling, Watcher()).picture, stock(picture, sampling))


@pytest.mark.parametrize("size", [(128, 64), (64, 192)], ids=str)
def test_every_size_equals_diffusers(pair, size: tuple[int, int]) -> None:
    engine, stock = pair("learned")
    np.testing.assert_array_equal(engine.reimagine(a_picture(*size), sampled(), Watcher()).picture, stock(a_picture(*size), sampled()))


def test_other_requests_give_other_pictures(pair) -> None:
    """Else equality would prove nothing."""
    engine, _ = pair("learned")
    pictures = [
        engine.reimagine(a_picture(64, 64), sampled(**changes), Watcher()).picture.astype(int)
        for changes in ({}, {"seed": 4}, {"prompt": "the sky"}, {"negative_prompt": "the dog"}, {"strength": 1.0})
    ]
    assert all(np.abs(a - b).max() > 4 for a, b in itertools.combinations(pictures, 2))


def test_a_strength_below_one_step_does_one_step_and_says_so(load_image) -> None:
    watcher = Watcher()
    output = load_image().reimagine(a_picture(64, 64), sampled(strength=0.05), watcher)
    assert [(p.step, p.total) for p in watcher.heard if p.stage == "denoising"] == [(0, 1), (1, 1)]
    assert output.notices == ("A strength of 0.05 is less than one of 5 steps: one step was done.",)


class Impatient(Watcher):
    def __call__(self, progress) -> None:
        super().__call__(progress)
        if (progress.stage, progress.step) == ("denoising", 2):
            raise UseAsIs


def test_an_early_end_gives_a_whole_picture(load_image) -> None:
    output = load_image().reimagine(a_picture(64, 64), sampled(), Impatient())
    assert output.picture.shape == (64, 64, 3) and output.notices == ()


def test_a_preview_shows_the_whole_picture(load_image) -> None:
    watcher = Watcher()
    load_image().reimagine(a_picture(128, 64), sampled(), watcher)
    assert [p.preview.shape for p in watcher.heard if p.preview is not None][:1] == [(8, 16, 3)]


@pytest.mark.parametrize("point", [("prior", 2), ("loading", 1), ("encoding", 2), ("denoising", 1), ("decoding", 3)], ids=str)
def test_after_a_cancel_the_next_run_is_as_if_nothing_had_happened(load_image, point: tuple[str, int]) -> None:
    engine, picture = load_image(), a_picture(64, 64)
    with pytest.raises(EditCancelled):
        engine.reimagine(picture, sampled(), Watcher(cancel_at=point))
    expected = load_image().reimagine(picture, sampled(), Watcher()).picture
    assert np.array_equal(engine.reimagine(picture, sampled(), Watcher()).picture, expected)


def test_an_inpainting_decoder_is_refused(load_image, learned: Repositories) -> None:
    with pytest.raises(ModelUnavailable, match="no image-to-image model: its UNet takes 9 channels, not 4"):
        load_image(learned)


def test_memory_running_out_is_said_and_the_engine_stays_usable(load_image, monkeypatch) -> None:
    engine, picture = load_image(), a_picture(64, 64)
    expected = engine.reimagine(picture, sampled(), Watcher()).picture

    def failing(*_args: object, **_options: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with monkeypatch.context() as patched:
        patched.setattr(engine._decoder._unet.value, "forward", failing)
        with pytest.raises(OutOfMemory, match="64 x 64"):
            engine.reimagine(picture, sampled(), Watcher())
    assert np.array_equal(engine.reimagine(picture, sampled(), Watcher()).picture, expected)


def test_both_tasks_share_prior_movq_and_embeddings(load, load_image, learned: Repositories) -> None:
    residency, recent = Residency("cpu"), Recent()
    inpainter: Kandinsky22 = load(learned, residency=residency, recent=recent)
    reimaginer = load_image(residency=residency, recent=recent)
    edit(inpainter)
    watcher = Watcher()
    alone = load_image().reimagine(a_picture(64, 64), sampled(prompt="a red hat"), Watcher()).picture
    assert np.array_equal(reimaginer.reimagine(a_picture(64, 64), sampled(prompt="a red hat"), watcher).picture, alone)
    assert "prior" not in watcher.stages, "the embeddings are known already"
    assert [(p.step, p.total) for p in watcher.heard if p.stage == "loading"] == [(1, 1)], "of all parts only the other UNet"
