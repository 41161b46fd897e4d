"""The committed folders: small enough for a repository, and what the stock pipelines load unchanged."""

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import KandinskyV22InpaintPipeline, KandinskyV22PriorPipeline
from PIL import Image

FOLDER = Path(__file__).parents[2] / "models" / "kandinsky-mini"


@pytest.fixture(scope="module")
def prior() -> KandinskyV22PriorPipeline:
    return KandinskyV22PriorPipeline.from_pretrained(FOLDER / "prior", torch_dtype=torch.float32)


@pytest.fixture(scope="module")
def decoder() -> KandinskyV22InpaintPipeline:
    return KandinskyV22InpaintPipeline.from_pretrained(FOLDER / "decoder", torch_dtype=torch.float32)


def test_the_weights_are_small_and_no_file_needs_large_file_storage() -> None:
    sizes = [file.stat().st_size for file in FOLDER.rglob("*") if file.is_file()]
    assert max(sizes) <= 10_000_000
    assert sum(sizes) <= 40_000_000


def test_the_stock_pipelines_edit_with_them(prior: KandinskyV22PriorPipeline, decoder: KandinskyV22InpaintPipeline) -> None:
    embeds = prior("a strawberry", num_inference_steps=3, generator=torch.Generator().manual_seed(0))
    photo, mask = np.full((64, 64, 3), 120, np.uint8), np.zeros((64, 64), np.uint8)
    mask[16:48, 16:48] = 255
    picture = decoder(
        embeds.image_embeds,
        Image.fromarray(photo),
        Image.fromarray(mask),
        embeds.negative_image_embeds,
        height=64,
        width=64,
        num_inference_steps=3,
        generator=torch.Generator().manual_seed(0),
        output_type="np",
    ).images[0]
    assert picture.shape == (64, 64, 3)
    assert np.isfinite(picture).all()
    assert picture.std() > 0


def test_latents_need_no_scaling_factor(decoder: KandinskyV22InpaintPipeline) -> None:
    slope = torch.linspace(-1, 1, 128)
    pictures = torch.stack([slope[None, :] * sign * torch.ones(3, 128, 1) for sign in (1, -1)])
    with torch.no_grad():
        latents = decoder.movq.encode(pictures).latents
    assert 0.3 < latents.std() < 3


def test_the_tokenizer_reads_the_things_as_whole_words(prior: KandinskyV22PriorPipeline) -> None:
    assert prior.tokenizer.convert_ids_to_tokens(prior.tokenizer("a red apple").input_ids) == [
        "<|startoftext|>",
        "a</w>",
        "red</w>",
        "apple</w>",
        "<|endoftext|>",
    ]
