"""Our loops against diffusers' own pipelines: the same pictures, bit for bit, in float32 on a CPU."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler
from diffusers.pipelines.kandinsky2_2 import KandinskyV22InpaintPipeline, KandinskyV22PriorPipeline
from diffusers.pipelines.kandinsky2_2.pipeline_kandinsky2_2_inpainting import prepare_mask
from PIL import Image

from inpaint.engines.base import EngineInput
from inpaint.engines.kandinsky.engine import Kandinsky22
from inpaint.engines.kandinsky.latents import spread
from inpaint.engines.runtime.tensors import max_pool_to_cells
from tests.engines.conftest import Repositories, Watcher, an_edit, blob

UPSTREAM_SCHEDULERS = {"ddpm": DDPMScheduler, "ddim": DDIMScheduler, "dpm++": DPMSolverMultistepScheduler}


@dataclass(frozen=True)
class Upstream:
    """Stock pipelines of one checkpoint, and our engine on the same files."""

    prior: KandinskyV22PriorPipeline
    decoder: KandinskyV22InpaintPipeline
    engine: Kandinsky22

    def picture(self, work: EngineInput) -> np.ndarray:
        sampling, (height, width) = work.sampling, work.mask.shape
        embeds = self.prior(
            sampling.prompt,
            negative_prompt=sampling.negative_prompt,
            num_inference_steps=sampling.prior_num_inference_steps,
            guidance_scale=sampling.prior_guidance_scale,
            generator=generator(sampling.seed),
        )
        own = self.decoder.scheduler
        try:
            self.decoder.scheduler = upstream_scheduler(own, sampling.scheduler)
            result = self.decoder(
                image=Image.fromarray(work.picture),
                mask_image=Image.fromarray(max_pool_to_cells(work.mask, 8)),
                image_embeds=embeds.image_embeds,
                negative_image_embeds=embeds.negative_image_embeds,
                height=height,
                width=width,
                num_inference_steps=sampling.num_inference_steps,
                guidance_scale=sampling.guidance_scale,
                generator=generator(sampling.seed),
            )
        finally:
            self.decoder.scheduler = own
        return np.asarray(result.images[0])


def upstream_scheduler(own, name):
    if name is None:
        return own
    swapped_in = UPSTREAM_SCHEDULERS[name]
    dropped = () if isinstance(own, swapped_in) else ("variance_type",)
    return swapped_in.from_config({key: value for key, value in own.config.items() if key not in dropped})


def generator(seed: int) -> torch.Generator:
    return torch.Generator("cpu").manual_seed(seed)


@pytest.fixture(scope="module")
def upstream(learned: Repositories, fixed: Repositories, tmp_path_factory) -> Callable[[str], Upstream]:
    repositories = {"learned": learned, "fixed": fixed}

    @lru_cache
    def load(variance: str) -> Upstream:
        found = repositories[variance]
        stock = (KandinskyV22PriorPipeline.from_pretrained(found.prior), KandinskyV22InpaintPipeline.from_pretrained(found.decoder))
        for pipeline in stock:
            pipeline.set_progress_bar_config(disable=True)
        return Upstream(
            *stock,
            Kandinsky22.load(
                str(found.prior),
                str(found.decoder),
                device="cpu",
                dtype="float32",
                cache_dir=tmp_path_factory.mktemp("cache"),
                report=Watcher(),
            ),
        )

    return load


def thin_stroke(width: int, height: int) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    mask[height // 2 + 3, 5 : width - 5] = 255
    return mask


def random_specks(width: int, height: int) -> np.ndarray:
    return np.where(np.random.default_rng(5).random((height, width)) < 0.004, 255, 0).astype(np.uint8)


def corner(width: int, height: int) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    mask[-9:, -9:] = 255
    return mask


MASKS = {
    "blob": blob,
    "stroke": thin_stroke,
    "random": random_specks,
    "corner": corner,
    "full": lambda width, height: np.full((height, width), 255, np.uint8),
    "empty": lambda width, height: np.zeros((height, width), np.uint8),
}

GRID = [
    pytest.param(variance, scheduler, negative, guidance, id=f"{variance}-{scheduler}-{negative or 'plain'}-{guidance:g}")
    for variance, scheduler, negative, guidance in itertools.product(
        ("learned", "fixed"), (None, "ddpm", "ddim", "dpm++"), (None, "the dog"), (4.0, 1.0, 0.0)
    )
    if not (variance == "fixed" and scheduler == "ddpm")
]


@pytest.mark.parametrize(("variance", "scheduler", "negative", "guidance"), GRID)
def test_every_scheduler_and_guidance_equals_diffusers(upstream, variance, scheduler, negative, guidance) -> None:
    pair = upstream(variance)
    work = an_edit(scheduler=scheduler, negative_prompt=negative, guidance_scale=guidance)
    np.testing.assert_array_equal(pair.engine.inpaint(work, Watcher()).picture, pair.picture(work))


@pytest.mark.parametrize("size", [(64, 64), (128, 64), (64, 192), (128, 128)], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("mask", MASKS)
def test_every_size_and_mask_equals_diffusers(upstream, size, mask) -> None:
    pair = upstream("learned")
    work = an_edit(*size, mask=MASKS[mask](*size), num_inference_steps=2)
    np.testing.assert_array_equal(pair.engine.inpaint(work, Watcher()).picture, pair.picture(work))


@pytest.mark.parametrize(
    "sampling",
    [
        pytest.param({"seed": 0}, id="seed-0"),
        pytest.param({"seed": 2**32 - 1}, id="largest-seed"),
        pytest.param({"prompt": ""}, id="empty-prompt"),
        pytest.param({"prior_guidance_scale": 1.0}, id="prior-unguided"),
        pytest.param({"prior_guidance_scale": 1.0, "negative_prompt": "a cat"}, id="prior-unguided-negative"),
        pytest.param({"prompt": "word " * 90}, id="too-many-words"),
        pytest.param({"num_inference_steps": 1}, id="one-step"),
        pytest.param({"num_inference_steps": 7, "scheduler": "dpm++"}, id="seven-steps-dpm++"),
        pytest.param({"num_inference_steps": 7, "prior_num_inference_steps": 6}, id="seven-steps"),
    ],
)
def test_every_request_equals_diffusers(upstream, sampling) -> None:
    pair = upstream("learned")
    work = an_edit(**sampling)
    np.testing.assert_array_equal(pair.engine.inpaint(work, Watcher()).picture, pair.picture(work))


def test_two_threads_equal_diffusers(upstream) -> None:
    pair = upstream("learned")
    torch.set_num_threads(2)
    try:
        work = an_edit(seed=11)
        np.testing.assert_array_equal(pair.engine.inpaint(work, Watcher()).picture, pair.picture(work))
    finally:
        torch.set_num_threads(1)


def test_other_words_and_seeds_give_other_pictures(upstream) -> None:
    """Else equality would prove nothing."""
    engine = upstream("learned").engine
    pictures = [
        engine.inpaint(an_edit(**sampling), Watcher()).picture
        for sampling in ({}, {"seed": 4}, {"prompt": "the sky"}, {"negative_prompt": "the dog"}, {"guidance_scale": 1.0})
    ]
    assert all(np.abs(a.astype(int) - b).max() > 8 for a, b in itertools.combinations(pictures, 2))


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (8, 8), (13, 7)], ids=str)
@pytest.mark.parametrize("density", [0.0, 0.05, 0.5, 1.0])
def test_spread_equals_prepare_mask(shape, density) -> None:
    cells = np.random.default_rng(2).random(shape) < density
    keep = prepare_mask(torch.from_numpy(~cells).float()[None, None])
    np.testing.assert_array_equal(spread(cells), keep[0, 0].numpy() == 0)
