"""SDXL text-to-image: the stock pipeline's picture, with cancel, checks and no needless work."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionXLPipeline
from safetensors.torch import load_file, save_file

from inpaint.core.request import SamplingParams
from inpaint.engines.pipelines.text_to_image import SdxlTextToImage
from inpaint.errors import BadOutput, EditCancelled, InvalidRequest, ModelUnavailable
from tests.engines.conftest import Watcher

TURBO = SamplingParams(prompt="a red hat", seed=148607185, num_inference_steps=2, width=64, height=64)
GUIDED = SamplingParams(
    prompt="a red hat", negative_prompt="the dog", seed=5, num_inference_steps=3, guidance_scale=3.0, width=128, height=64
)


@pytest.fixture
def engine(sdxl_folder) -> SdxlTextToImage:
    return load(sdxl_folder)


def load(folder, dtype: str = "float32") -> SdxlTextToImage:
    return SdxlTextToImage.load(str(folder), device="cpu", dtype=dtype, report=Watcher())


@pytest.mark.parametrize(
    "means", [{}, {"latents_mean": [0.1, -0.2, 0.3, 0.0], "latents_std": [1.1, 0.9, 1.0, 1.2]}], ids=["scaled", "with-means"]
)
@pytest.mark.parametrize("sampling", [TURBO, GUIDED], ids=["turbo", "guided"])
def test_it_equals_the_stock_pipeline(sdxl_folder, tmp_path, sampling, means) -> None:
    folder = shutil.copytree(sdxl_folder, tmp_path / "copy")
    config = folder / "vae" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | means))
    stock = StableDiffusionXLPipeline.from_pretrained(folder, add_watermarker=False)
    stock.set_progress_bar_config(disable=True)
    expected = stock(
        sampling.prompt,
        negative_prompt=sampling.negative_prompt,
        width=sampling.width,
        height=sampling.height,
        num_inference_steps=sampling.num_inference_steps,
        guidance_scale=sampling.guidance_scale or 0.0,
        generator=torch.Generator("cpu").manual_seed(sampling.seed),
    ).images[0]
    output = load(folder).generate(sampling, Watcher())
    assert output.picture.shape == (sampling.height, sampling.width, 3) and output.notices == ()
    assert np.array_equal(output.picture, np.asarray(expected)) and output.picture.std() > 5


@pytest.mark.parametrize(("sampling", "texts"), [(TURBO, 1), (GUIDED, 2)], ids=["turbo", "guided"])
def test_without_guidance_no_negative_is_read(engine, monkeypatch, sampling, texts) -> None:
    encoder, read = engine._pipeline.text_encoder_2, []
    forward = encoder.forward

    def counted(*args, **options):
        read.append(args)
        return forward(*args, **options)

    monkeypatch.setattr(encoder, "forward", counted)
    engine.generate(sampling, Watcher())
    assert len(read) == texts


def test_each_stage_is_told_in_order(engine) -> None:
    watcher = Watcher()
    engine.generate(TURBO, watcher)
    assert [(p.stage, p.step, p.total) for p in watcher.heard] == [
        *[("loading", number, 4) for number in range(1, 5)],
        ("prior", 0, 0),
        ("prior", 0, 0),
        ("denoising", 0, 2),
        ("denoising", 1, 2),
        ("denoising", 2, 2),
        *[("decoding", number, 5) for number in range(1, 6)],
    ]


@pytest.mark.parametrize("point", [("denoising", 1), ("denoising", 2), ("decoding", 1), ("decoding", 5)], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_after_a_cancel_all_is_as_before(sdxl_folder, point, dtype) -> None:
    engine = load(sdxl_folder, dtype)
    expected = engine.generate(TURBO, Watcher()).picture
    with pytest.raises(EditCancelled):
        engine.generate(TURBO, Watcher(cancel_at=point))
    assert np.array_equal(engine.generate(TURBO, Watcher()).picture, expected)


def test_beside_float16_the_autoencoder_stays_in_float32(sdxl_folder) -> None:
    pipeline = load(sdxl_folder, "float16")._pipeline
    assert pipeline.unet.dtype is torch.float16 and pipeline.vae.dtype is torch.float32


def test_there_is_no_watermark(engine) -> None:
    assert engine._pipeline.watermark is None


def test_left_out_sizes_are_the_checkpoints_own(engine) -> None:
    sampling = SamplingParams(prompt="a red hat", num_inference_steps=1)
    assert engine.generate(sampling, Watcher()).picture.shape == (64, 64, 3)


@pytest.mark.parametrize("field", ["width", "height"])
def test_a_size_off_the_multiple_is_refused(engine, field) -> None:
    with pytest.raises(InvalidRequest, match="multiple of 8") as caught:
        engine.generate(SamplingParams(prompt="a hat", **{field: 100}), Watcher())
    assert caught.value.field == field


def test_words_beyond_the_tokens_are_named(engine) -> None:
    sampling = SamplingParams(prompt="word " * 75 + "the red sky", num_inference_steps=1, width=64, height=64)
    (notice,) = engine.generate(sampling, Watcher()).notices
    assert "the red sky" in notice


@pytest.mark.parametrize(("part", "names"), [("unet", "UNet"), ("vae", "picture decoder")])
def test_a_nan_weight_is_bad_output(sdxl_folder, tmp_path, part, names) -> None:
    folder = shutil.copytree(sdxl_folder, tmp_path / "copy")
    (file,) = (folder / part).glob("*.safetensors")
    save_file({name: torch.full_like(tensor, float("nan")) for name, tensor in load_file(file).items()}, file, metadata={"format": "pt"})
    with pytest.raises(BadOutput, match=names):
        load(folder).generate(TURBO, Watcher())


@pytest.mark.parametrize(
    "part", ["unet", "vae", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "scheduler", "model_index.json"]
)
def test_a_missing_part_is_refused(sdxl_folder, tmp_path, part) -> None:
    folder = shutil.copytree(sdxl_folder, tmp_path / "copy")
    missing = folder / part
    shutil.rmtree(missing) if missing.is_dir() else missing.unlink()
    with pytest.raises(ModelUnavailable) as caught:
        load(folder)
    assert caught.value.hint == "Put a whole copy of the model into its folder, which the model's file names."


def test_candidates_share_the_reading_of_the_words(engine, sdxl_folder, monkeypatch) -> None:
    encoder, read = engine._pipeline.text_encoder_2, []
    forward = encoder.forward

    def counted(*args, **options):
        read.append(args)
        return forward(*args, **options)

    monkeypatch.setattr(encoder, "forward", counted)
    first = engine.generate(GUIDED, Watcher()).picture
    another = dataclasses.replace(GUIDED, seed=6)
    second = engine.generate(another, Watcher()).picture
    assert len(read) == 2 and not np.array_equal(first, second)
    assert np.array_equal(second, load(sdxl_folder).generate(another, Watcher()).picture)
    for changed in ({"prompt": "a cat"}, {"negative_prompt": "a cat"}, {"guidance_scale": 1.0}):
        engine.generate(dataclasses.replace(GUIDED, **changed), Watcher())
    assert len(read) == 2 + 2 + 2 + 1


def test_what_was_given_up_for_memory_comes_back(engine) -> None:
    wide = dataclasses.replace(TURBO, width=1024, num_inference_steps=1)
    expected = engine.generate(wide, Watcher()).picture
    assert [engine.reduce_memory() for _ in range(3)] == [
        "one part of the model was in memory at a time",
        "attention was computed in slices",
        "the picture was decoded in tiles",
    ]
    assert engine.reduce_memory() is None and engine.reduce_memory_slowly() is None
    near = engine.generate(wide, Watcher()).picture
    assert not np.array_equal(near, expected) and np.abs(near.astype(int) - expected).mean() < 20
    engine.restore()
    assert np.array_equal(engine.generate(wide, Watcher()).picture, expected)
