"""Inpainting by diffusers' own pipelines: their very picture, with cancel, checks, preview, and refusals in words."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    FluxFillPipeline,
    FluxInpaintPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionXLInpaintPipeline,
)
from PIL import Image
from safetensors.torch import load_file, save_file

from inpaint.core.progress import Progress, UseAsIs
from inpaint.core.request import SamplingParams
from inpaint.engines.base import EngineInput
from inpaint.engines.pipelines.inpaint import DiffusersInpaint
from inpaint.engines.runtime.tensors import max_pool_to_cells
from inpaint.errors import BadOutput, EditCancelled, InvalidRequest, ModelUnavailable, OutOfMemory
from tests.engines.conftest import Watcher, a_picture, blob
from tests.tiny_models import make_flux, make_sd15, make_sdxl_inpaint

SAMPLING: dict[str, object] = {"prompt": "a red hat", "seed": 5, "num_inference_steps": 4, "guidance_scale": 4.0}
MODELS: dict[str, tuple[Any, Callable[[Path], Path], dict[str, object]]] = {
    "sdxl": (StableDiffusionXLInpaintPipeline, make_sdxl_inpaint, {"negative_prompt": "the dog", "strength": 0.75}),
    "sd15 of 9 channels": (StableDiffusionInpaintPipeline, lambda folder: make_sd15(folder, in_channels=9), {"strength": 1.0}),
    "sd15 of 4 channels": (
        StableDiffusionInpaintPipeline,
        lambda folder: make_sd15(folder, in_channels=4),
        {"negative_prompt": "the dog", "strength": 0.5},
    ),
    "flux": (FluxInpaintPipeline, lambda folder: make_flux(folder, fill=False), {"strength": 0.75}),
    "flux fill": (FluxFillPipeline, lambda folder: make_flux(folder, fill=True), {}),
}


@pytest.fixture(scope="session")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: make(tmp_path_factory.mktemp("tiny")) for name, (_, make, _) in MODELS.items()}


@pytest.fixture(params=MODELS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def load(folder: Path, dtype: str = "float32") -> DiffusersInpaint:
    return DiffusersInpaint.load(str(folder), device="cpu", dtype=dtype, report=Watcher(), model="mine", clock=lambda: 0.0)


def a_work(name: str, mask: np.ndarray | None = None, **changes: object) -> EngineInput:
    sampling = SamplingParams(**(SAMPLING | MODELS[name][2] | changes))  # pyright: ignore[reportArgumentType]
    return EngineInput(a_picture(96, 64), blob(96, 64) if mask is None else mask, sampling)


def stock(name: str, folder: Path, work: EngineInput, **more: Any) -> np.ndarray:
    """What diffusers' own pipeline paints, with the mask widened to whole cells of 8."""
    kind = MODELS[name][0]
    options = {"safety_checker": None, "feature_extractor": None} if kind is StableDiffusionInpaintPipeline else {}
    pipeline = kind.from_pretrained(folder, **options)
    pipeline.set_progress_bar_config(disable=True)
    cells = np.kron(work.mask.reshape(8, 8, 12, 8).max(axis=(1, 3)), np.ones((8, 8), np.uint8))
    asked = {field: getattr(work.sampling, field) for field in ("num_inference_steps", "guidance_scale", "negative_prompt", "strength")}
    return np.asarray(
        pipeline(
            prompt=work.sampling.prompt,
            image=Image.fromarray(work.picture),
            mask_image=Image.fromarray(cells),
            height=64,
            width=96,
            generator=torch.Generator("cpu").manual_seed(work.sampling.seed),
            **{field: value for field, value in asked.items() if value is not None},
            **more,
        ).images[0]
    )


def test_it_equals_the_stock_pipeline(name: str, repositories: dict[str, Path]) -> None:
    work = a_work(name)
    engine = load(repositories[name])
    output = engine.inpaint(work, Watcher())
    assert engine.pipeline == MODELS[name][0].__name__ and output.notices == ()
    assert output.picture.std() > 5 and np.array_equal(output.picture, stock(name, repositories[name], work))


@pytest.mark.parametrize("scheduler", ["ddpm", "ddim", "dpm++"])
def test_another_scheduler_is_the_stock_one(scheduler: str, repositories: dict[str, Path]) -> None:
    from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler

    name = "sd15 of 4 channels"
    kind = {"ddpm": DDPMScheduler, "ddim": DDIMScheduler, "dpm++": DPMSolverMultistepScheduler}[scheduler]
    work = a_work(name, scheduler=scheduler, strength=1.0)
    engine = load(repositories[name])
    pipeline = StableDiffusionInpaintPipeline.from_pretrained(repositories[name], safety_checker=None, feature_extractor=None)
    plain = engine.inpaint(a_work(name, strength=1.0), Watcher()).picture
    painted = engine.inpaint(work, Watcher()).picture
    pipeline.scheduler = kind.from_config(engine._scheduler.config)
    cells = Image.fromarray(max_pool_to_cells(work.mask, 8))
    expected = pipeline(
        prompt="a red hat",
        negative_prompt="the dog",
        image=Image.fromarray(work.picture),
        mask_image=cells,
        height=64,
        width=96,
        num_inference_steps=4,
        guidance_scale=4.0,
        generator=torch.Generator("cpu").manual_seed(5),
    ).images[0]
    assert np.array_equal(painted, np.asarray(expected)) and not np.array_equal(painted, plain)


def test_each_stage_is_told_in_order_with_the_steps_that_strength_leaves(repositories: dict[str, Path]) -> None:
    watcher = Watcher()
    load(repositories["sdxl"]).inpaint(a_work("sdxl"), watcher)
    assert [stage for stage in watcher.stages if stage != "loading"] == ["prior", "encoding", "denoising", "decoding"]
    assert [(p.step, p.total) for p in watcher.heard if p.stage == "denoising"] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert [(p.step, p.total) for p in watcher.heard if p.stage == "decoding"] == [(number, 5) for number in range(1, 6)]


@pytest.mark.parametrize("point", [("encoding", 3), ("denoising", 1), ("denoising", 3), ("decoding", 1), ("decoding", 5)], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_after_a_cancel_all_is_as_before(point: tuple[str, int], dtype: str, repositories: dict[str, Path]) -> None:
    engine, work = load(repositories["sdxl"], dtype), a_work("sdxl")
    expected = engine.inpaint(work, Watcher()).picture
    with pytest.raises(EditCancelled):
        engine.inpaint(work, Watcher(cancel_at=point))
    assert np.array_equal(engine.inpaint(work, Watcher()).picture, expected)


def test_beside_float16_the_autoencoder_stays_in_float32(name: str, repositories: dict[str, Path]) -> None:
    engine, work = load(repositories[name], "float16"), a_work(name)
    engine.bring(Watcher())
    vae, denoiser = (engine._parts._parts[part].value for part in ("vae", engine._parts._denoiser))
    before = {key: value.clone() for key, value in vae.state_dict().items()}
    near = engine.inpaint(work, Watcher()).picture
    assert denoiser.dtype is torch.float16 and vae.dtype is torch.float32
    assert all(torch.equal(before[key], value) for key, value in vae.state_dict().items())
    assert np.abs(near.astype(int) - load(repositories[name]).inpaint(work, Watcher()).picture).mean() < 8


def test_a_thin_stroke_is_repainted(repositories: dict[str, Path]) -> None:
    """The pipelines sample the mask at one pixel a cell, which a scratch of three pixels misses."""
    mask = np.zeros((64, 96), np.uint8)
    mask[:, 50:53] = 255
    engine = load(repositories["sd15 of 4 channels"])
    work = a_work("sd15 of 4 channels", mask, strength=1.0)
    nothing = a_work("sd15 of 4 channels", np.zeros((64, 96), np.uint8), strength=1.0)
    painted, kept = engine.inpaint(work, Watcher()).picture, engine.inpaint(nothing, Watcher()).picture
    assert (painted[:, 50:53] != kept[:, 50:53]).mean() > 0.5


def test_candidates_share_the_reading_of_the_words(name: str, repositories: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    engine = load(repositories[name])
    encoder, read = engine._pipeline.text_encoder, []
    forward = encoder.forward

    def counted(*args: Any, **options: Any) -> Any:
        read.append(args)
        return forward(*args, **options)

    monkeypatch.setattr(encoder, "forward", counted)
    first = engine.inpaint(a_work(name), Watcher()).picture
    once = len(read)
    second = engine.inpaint(a_work(name, seed=6), Watcher()).picture
    assert once > 0 and len(read) == once and not np.array_equal(first, second)
    assert np.array_equal(second, load(repositories[name]).inpaint(a_work(name, seed=6), Watcher()).picture)
    engine.inpaint(a_work(name, prompt="a cat"), Watcher())
    assert len(read) > once


class Stopping(Watcher):
    """Asks at a step to use the picture as it is."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self._step = step

    def __call__(self, progress: Progress) -> None:
        super().__call__(progress)
        if progress.stage == "denoising" and progress.step == self._step:
            raise UseAsIs


def test_stopped_early_it_paints_what_the_step_predicts(name: str, repositories: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Held against diffusers' pipeline whose scheduler is made to return the predicted original and end there."""
    work = a_work(name, num_inference_steps=8)
    engine = load(repositories[name])
    watcher = Stopping(2)
    stopped = engine.inpaint(work, watcher)
    assert [p.step for p in watcher.heard if p.stage == "denoising"] == [0, 1, 2] and watcher.stages[-1] == "decoding"

    seen: list[tuple[torch.Tensor, ...]] = []
    kind = type(engine._scheduler)
    own = kind.step

    def recorded(self: Any, output: torch.Tensor, timestep: Any, sample: torch.Tensor, *args: Any, **options: Any) -> Any:
        seen.append((output, timestep, sample))
        return own(self, output, timestep, sample, *args, **options)

    monkeypatch.setattr(kind, "step", recorded)

    def end(pipeline: Any, step: int, _timestep: Any, tensors: Any) -> dict[str, Any]:
        if step == 1:
            pipeline._interrupt = True
            return {"latents": predicted_by_hand(pipeline.scheduler, *seen[-1])}
        return {}

    expected = stock(name, repositories[name], work, callback_on_step_end=end)
    assert np.abs(stopped.picture.astype(int) - expected).max() <= 1
    assert not np.array_equal(stopped.picture, engine.inpaint(work, Watcher()).picture)


def predicted_by_hand(scheduler: Any, output: torch.Tensor, timestep: torch.Tensor, sample: torch.Tensor) -> torch.Tensor:
    """x0 from the definitions: x = x0 + sigma * e (Euler), (1 - sigma) * x0 + sigma * e with output e - x0 (flow),
    sqrt(a) * x0 + sqrt(1 - a) * e (PNDM)."""
    if hasattr(scheduler, "sigmas"):
        sigma = scheduler.sigmas[list(scheduler.timesteps).index(timestep)]
        return sample - sigma * output
    kept = torch.cumprod(1 - scheduler.betas, 0)[int(timestep)]
    return (sample - torch.sqrt(1 - kept) * output) / torch.sqrt(kept)


def test_a_scheduler_that_does_not_say_where_it_goes_is_cancelled_instead(repositories: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(repositories["sdxl"], tmp_path / "copy")
    change(folder / "scheduler" / "scheduler_config.json", _class_name="DEISMultistepScheduler")
    change(folder / "model_index.json", scheduler=["diffusers", "DEISMultistepScheduler"])
    engine, watcher = load(folder), Watcher()
    assert engine.inpaint(a_work("sdxl"), watcher).picture.shape == (64, 96, 3)
    assert all(p.preview is None for p in watcher.heard)
    with pytest.raises(UseAsIs):
        engine.inpaint(a_work("sdxl"), Stopping(1))


def test_a_preview_is_small_and_keeps_the_original_outside_the_mask(name: str, repositories: dict[str, Path]) -> None:
    watcher, work = Watcher(), a_work(name)
    load(repositories[name]).inpaint(work, watcher)
    (preview,) = [p.preview for p in watcher.heard if p.preview is not None]
    cells = work.picture.reshape(8, 8, 12, 8, 3).mean(axis=(1, 3))
    keep = work.mask.reshape(8, 8, 12, 8).max(axis=(1, 3)) == 0
    assert preview.shape == (8, 12, 3) and preview.dtype == np.uint8
    assert np.abs(preview[keep] - cells[keep]).max() <= 0.5 and not np.allclose(preview[~keep], cells[~keep], atol=1)


@pytest.mark.parametrize(("strength", "steps"), [(0.2, 4), (0.01, 49), (0.0, None), (None, 1)], ids=str)
def test_a_strength_below_one_step_does_one_and_says_so(strength: float | None, steps: int | None, repositories: dict[str, Path]) -> None:
    """49 / 49 computed in floating point is less than 1; without a strength the pipeline's own counts."""
    watcher, engine = Watcher(), load(repositories["sdxl"])
    output = engine.inpaint(a_work("sdxl", strength=strength, num_inference_steps=steps), watcher)
    assert output.notices == (
        f"A strength of {0.9999 if strength is None else strength:g} is less than one of {steps or 50} steps: one step was done.",
    )
    assert [(p.step, p.total) for p in watcher.heard if p.stage == "denoising"] == [(0, 1), (1, 1)]
    assert engine.inpaint(a_work("sdxl"), Watcher()).notices == ()


def test_a_scheduler_that_is_not_known_is_refused(repositories: dict[str, Path]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        load(repositories["sdxl"]).inpaint(a_work("sdxl", scheduler="magic"), Watcher())
    assert caught.value.field == "scheduler"


def test_a_scheduler_of_another_kind_of_model_is_refused(repositories: dict[str, Path]) -> None:
    with pytest.raises(InvalidRequest, match="cannot be sampled with ddim"):
        load(repositories["flux"]).inpaint(a_work("flux", scheduler="ddim"), Watcher())


def test_words_beyond_the_tokens_are_named(repositories: dict[str, Path]) -> None:
    long = "word " * 75 + "the red sky"
    (notice,) = load(repositories["sdxl"]).inpaint(a_work("sdxl", prompt=long), Watcher()).notices
    assert "the red sky" in notice
    assert load(repositories["flux"]).inpaint(a_work("flux", prompt=long), Watcher()).notices == ()


@pytest.mark.parametrize(("part", "said"), [("unet", "denoising"), ("vae", "encoder")])
def test_a_nan_weight_is_bad_output(part: str, said: str, repositories: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(repositories["sdxl"], tmp_path / "copy")
    (file,) = (folder / part).glob("*.safetensors")
    save_file({name: torch.full_like(tensor, float("nan")) for name, tensor in load_file(file).items()}, file, metadata={"format": "pt"})
    with pytest.raises(BadOutput, match=said):
        load(folder).inpaint(a_work("sdxl"), Watcher())


def test_memory_that_runs_out_is_said_and_the_engine_stays_usable(repositories: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    engine, work = load(repositories["sdxl"]), a_work("sdxl")
    expected = engine.inpaint(work, Watcher()).picture

    def full(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    with monkeypatch.context() as patch:
        patch.setattr(engine._pipeline.unet, "forward", full)
        with pytest.raises(OutOfMemory, match="96 x 64"):
            engine.inpaint(work, Watcher())
    assert np.array_equal(engine.inpaint(work, Watcher()).picture, expected)


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        pytest.param({"_class_name": ["my_pipeline", "MyPipeline"]}, "brings code of its own for its pipeline", id="a pipeline in a file"),
        pytest.param({"unet": ["my_unet", "MyUNet"]}, "brings code of its own for the part unet", id="a part in a file"),
        pytest.param({"unet": ["os", "system"]}, "brings code of its own for the part unet", id="another library"),
        pytest.param({"unet": ["diffusers"]}, "brings code of its own for the part unet", id="half an entry"),
        pytest.param({"unet": ["transformers", "pipeline"]}, "part unet is of a kind that is not known here", id="a function"),
        pytest.param({"unet": [None, None]}, "needs unet, which its model_index.json does not name", id="no UNet"),
        pytest.param({"_class_name": "NoSuchPipeline"}, "which diffusers .* does not have", id="an unknown pipeline"),
        pytest.param({"_class_name": "UNet2DConditionModel"}, "does not have", id="no pipeline at all"),
        pytest.param({"_class_name": None}, "code of its own", id="no name"),
        pytest.param({"_class_name": "StableDiffusionUpscalePipeline"}, "is no inpainting pipeline", id="an upscaler"),
        pytest.param({"_class_name": "KandinskyV22InpaintPipeline"}, "is no inpainting pipeline", id="Kandinsky's decoder"),
        pytest.param(
            {"_class_name": "StableDiffusionPAGInpaintPipeline"}, "is no inpainting pipeline", id="one that changes the UNet's insides"
        ),
        pytest.param(
            {"_class_name": "StableDiffusionControlNetInpaintPipeline"}, "is no inpainting pipeline", id="one that needs a control picture"
        ),
    ],
)
def test_a_repository_that_cannot_inpaint_is_refused_in_words(
    values: dict[str, Any], said: str, repositories: dict[str, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(repositories["sd15 of 9 channels"], tmp_path / "copy")
    change(folder / "model_index.json", **values)
    with pytest.raises(ModelUnavailable, match=said):
        load(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 10**5], ids=["empty", "a list", "cut off", "endless"])
def test_a_damaged_index_is_refused(text: str, repositories: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(repositories["sdxl"], tmp_path / "copy")
    (folder / "model_index.json").write_text(text)
    with pytest.raises(ModelUnavailable, match="model_index.json of mine is missing or damaged"):
        load(folder)


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder", "tokenizer", "tokenizer_2", "scheduler", "model_index.json"])
def test_a_missing_part_is_refused(part: str, repositories: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(repositories["sdxl"], tmp_path / "copy")
    missing = folder / part
    shutil.rmtree(missing) if missing.is_dir() else missing.unlink()
    with pytest.raises(ModelUnavailable) as caught:
        load(folder)
    assert caught.value.hint == "Put a whole copy of the model into its folder, which the model's file names."


def test_a_pickled_part_is_refused(repositories: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(repositories["sdxl"], tmp_path / "copy")
    (file,) = (folder / "unet").glob("*.safetensors")
    file.rename(file.with_suffix(".bin"))
    with pytest.raises(ModelUnavailable, match="pickle"):
        load(folder)


def test_a_unet_of_other_channels_is_refused(repositories: dict[str, Path], tmp_path: Path) -> None:
    folder = make_sd15(tmp_path, in_channels=8)
    with pytest.raises(ModelUnavailable, match="its UNet takes 8 channels, not 4 or 9"):
        load(folder)


def test_no_safety_checker_and_no_watermark_are_loaded(repositories: dict[str, Path]) -> None:
    parts = load(repositories["sd15 of 9 channels"])._pipeline.components
    assert parts["safety_checker"] is parts["feature_extractor"] is parts["image_encoder"] is None
    assert load(repositories["sdxl"])._pipeline.watermark is None


@pytest.mark.parametrize(
    ("name", "lacking"),
    [
        ("sdxl", []),
        ("flux", ["negative_prompt"]),
        ("flux fill", ["negative_prompt"]),
    ],
)
def test_what_a_pipeline_does_not_take_is_known(name: str, lacking: list[str], repositories: dict[str, Path]) -> None:
    engine = load(repositories[name])
    assert engine.lacks(["num_inference_steps", "guidance_scale", "strength", "negative_prompt"]) == lacking
    assert engine.lacks(["prior_guidance_scale"]) == ["prior_guidance_scale"]
    assert engine.size_multiple == (16 if "flux" in name else 8)
