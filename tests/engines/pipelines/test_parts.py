"""The parts of a pipeline: brought when they are called, shared between pipelines, given up one after another, and all of it back."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from inpaint.core.request import SamplingParams
from inpaint.core.spec import ModelSpec, Source
from inpaint.engines.base import EngineInput
from inpaint.engines.memory.activations import VAE_PIXEL_BYTES, WORDS_BYTES
from inpaint.engines.memory.residency import Residency
from inpaint.engines.memory.rule import Measure, within_budget
from inpaint.engines.pipelines import parts
from inpaint.engines.pipelines.inpaint import DiffusersInpaint
from inpaint.engines.pipelines.parts import PipelineParts
from inpaint.engines.pipelines.text_to_image import SdxlTextToImage
from inpaint.engines.runtime import torch_device
from inpaint.engines.runtime.checkpoint import Checkpoint
from inpaint.errors import BadConfig, EditCancelled, OutOfMemory
from inpaint.models.families import FAMILIES
from inpaint.models.loaders import Runtime
from tests.engines.conftest import Watcher, a_picture, blob
from tests.tiny_models import make_flux, make_sdxl_inpaint

SLICES, TILES = "attention was computed in slices", "the picture was decoded in tiles"
PARTS = "one part of the model was on the GPU at a time"
IN_MEMORY = "one part of the model was in memory at a time"
LAYERS = "the model's weights went to the GPU layer by layer, which takes far longer"
ROOM = 10**12
FROM_TEXT = SamplingParams(prompt="a red hat", seed=5, num_inference_steps=2, width=64, height=64)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sdxl_inpaint(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def engine(repository: Path) -> DiffusersInpaint:
    return load(repository)


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The parts whose weights were read, in order."""
    read: list[str] = []
    own = Checkpoint.load_model

    def counted(checkpoint: Checkpoint, kind: Any, part: str, *more: Any) -> Any:
        read.append(part)
        return own(checkpoint, kind, part, *more)

    monkeypatch.setattr(Checkpoint, "load_model", counted)
    return read


def load(folder: Path, residency: Residency | None = None) -> DiffusersInpaint:
    return DiffusersInpaint.load(str(folder), device="cpu", dtype="float32", report=Watcher(), model="mine", residency=residency)


def on_a_gpu(budget: int = ROOM) -> Residency:
    """The CPU, which counts as a device with memory of its own."""
    return Residency("cpu", budget, parks=True)


def a_work(width: int, height: int = 64) -> EngineInput:
    sampling = SamplingParams(prompt="a red hat", seed=5, num_inference_steps=2, guidance_scale=4.0, strength=1.0)
    return EngineInput(a_picture(width, height), blob(width, height), sampling)


def sizes(engine: DiffusersInpaint) -> list[int]:
    return [part.nbytes for part in engine._parts._parts.values()]


def test_opening_reads_no_weights_and_a_run_reads_each_part_once(repository: Path, loaded: list[str]) -> None:
    engine = load(repository)
    assert loaded == []
    engine.inpaint(a_work(64), Watcher())
    engine.inpaint(a_work(64), Watcher())
    assert sorted(loaded) == ["text_encoder", "text_encoder_2", "unet", "vae"]


def test_pipelines_share_the_parts_that_lie_in_the_same_files(
    repository: Path, sdxl_folder: Path, tmp_path: Path, loaded: list[str]
) -> None:
    """Text-to-image and inpainting differ in their UNets only; each paints what it paints by itself."""
    folder = shutil.copytree(repository, tmp_path / "copy")
    for part in ("text_encoder", "text_encoder_2", "vae"):
        shutil.rmtree(folder / part)
        (folder / part).symlink_to(sdxl_folder / part)
    residency = Residency("cpu", ROOM)
    alone = load(folder).inpaint(a_work(64), Watcher()).picture
    generator = SdxlTextToImage.load(str(sdxl_folder), device="cpu", dtype="float32", report=Watcher(), residency=residency)
    inpainter = load(folder, residency)
    loaded.clear()
    expected = generator.generate(FROM_TEXT, Watcher()).picture
    assert sorted(loaded) == ["text_encoder", "text_encoder_2", "unet", "vae"]
    assert np.array_equal(inpainter.inpaint(a_work(64), Watcher()).picture, alone) and loaded[4:] == ["unet"]
    assert np.array_equal(generator.generate(FROM_TEXT, Watcher()).picture, expected) and len(loaded) == 5


def test_under_a_small_budget_parts_take_turns(
    repository: Path, engine: DiffusersInpaint, loaded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Room for the largest part alone: each is read when the pipeline calls it, and another candidate reads no words."""
    work = a_work(64)
    expected = engine.inpaint(work, Watcher()).picture
    for activations in ("WORDS_BYTES", "VAE_PIXEL_BYTES", "DENOISER_PIXEL_BYTES"):
        monkeypatch.setattr(parts, activations, 0)
    residency = Residency("cpu", max(sizes(engine)))
    small = load(repository, residency)
    loaded.clear()
    assert np.array_equal(small.inpaint(work, Watcher()).picture, expected)
    assert loaded == ["text_encoder", "text_encoder_2", "vae", "unet", "vae"] and residency.used <= max(sizes(engine))
    assert np.array_equal(small.inpaint(work, Watcher()).picture, expected)
    assert loaded[5:] == ["unet", "vae"]


def test_a_part_that_does_not_fit_by_itself_is_brought_layer_by_layer(repository: Path, engine: DiffusersInpaint) -> None:
    """On a GPU only; elsewhere there is nowhere to bring it from."""
    work = a_work(64)
    expected = engine.inpaint(work, Watcher()).picture
    residency = on_a_gpu(max(part.nbytes for name, part in engine._parts._parts.items() if name.startswith("text")) - 1 + WORDS_BYTES)
    tiny = load(repository, residency)
    output = tiny.inpaint(work, Watcher())
    assert np.array_equal(output.picture, expected)
    largest = max((tiny._parts._parts[name] for name in ("text_encoder", "text_encoder_2")), key=lambda part: part.nbytes)
    assert not largest.is_on_device and largest.value is not None
    assert not any(hasattr(module, "_hf_hook") for module in largest.value.modules())
    assert output.notices == (
        f"{residency.budget / 1e9:.3g} GB of memory for models: the {largest.title}'s weights "
        "went to the GPU layer by layer, which takes far longer.",
    )


@pytest.mark.parametrize(("binds", "is_tiled"), [(True, True), (False, False)], ids=["GPU", "CPU"])
def test_an_autoencoder_whose_activations_do_not_fit_works_in_tiles(binds: bool, is_tiled: bool, repository: Path) -> None:
    """Its weights are little of it. A guess of free memory on a CPU changes no bits."""
    work, room = a_work(576, 576), VAE_PIXEL_BYTES * 4 * 576 * 576
    expected = load(repository).inpaint(work, Watcher()).picture
    residency = Residency("cpu", room, parks=binds)
    output = load(repository, residency).inpaint(work, Watcher())
    assert np.array_equal(output.picture, expected) != is_tiled
    assert output.notices == ((within_budget(residency.budget, "the picture was decoded in tiles"),) if is_tiled else ())


def test_on_a_gpu_parts_then_layers_are_fetched_when_needed(repository: Path, engine: DiffusersInpaint) -> None:
    work, residency = a_work(64), on_a_gpu()
    expected = engine.inpaint(work, Watcher()).picture
    gpu = load(repository, residency)
    assert np.array_equal(gpu.inpaint(work, Watcher()).picture, expected)
    assert residency.used == sum(sizes(gpu))
    assert gpu.reduce_memory() == PARTS
    assert np.array_equal(gpu.inpaint(work, Watcher()).picture, expected)
    assert [part for part, handle in gpu._parts._parts.items() if handle.is_on_device] == ["vae"]
    assert [gpu.reduce_memory(), gpu.reduce_memory(), gpu.reduce_memory_slowly(), gpu.reduce_memory_slowly()] == [
        SLICES,
        None,
        LAYERS,
        None,
    ]
    gpu._parts._measures._taken.remove(Measure.SLICED)  # one layer at a time changes no bit by itself
    assert np.array_equal(gpu.inpaint(work, Watcher()).picture, expected)
    assert not gpu._parts._parts["unet"].is_on_device
    gpu.restore()
    assert np.array_equal(gpu.inpaint(work, Watcher()).picture, expected) and residency.used == sum(sizes(gpu))


@pytest.mark.parametrize("at", [("encoding", 3), ("denoising", 1), ("decoding", 1)], ids=str)
def test_a_cancelled_run_lets_go_of_what_it_used(repository: Path, at: tuple[str, int]) -> None:
    residency = on_a_gpu()
    engine = load(repository, residency)
    while engine.reduce_memory():
        pass
    with pytest.raises(EditCancelled):
        engine.inpaint(a_work(64), Watcher(cancel_at=at))
    residency.evict_all_except()
    assert residency.used == 0 and not any(part.users for part in engine._parts._parts.values())


def test_memory_that_runs_out_while_a_part_is_loaded_is_said(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, work = load(repository), a_work(64)
    expected = load(repository).inpaint(work, Watcher()).picture

    def full(*_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "load_model", full)
        with pytest.raises(OutOfMemory):
            engine.inpaint(work, Watcher())
    assert np.array_equal(engine.inpaint(work, Watcher()).picture, expected)


def test_the_pipeline_computes_on_the_residencys_device(repository: Path) -> None:
    engine = load(repository, Residency("meta", ROOM))
    assert engine._pipeline._execution_device == torch.device("meta")
    assert load(repository)._pipeline._execution_device == torch.device("cpu")


def test_the_rungs_and_their_order(engine: DiffusersInpaint) -> None:
    engine.inpaint(a_work(576), Watcher())
    assert [engine.reduce_memory() for _ in range(4)] == [IN_MEMORY, SLICES, TILES, None] and engine.reduce_memory_slowly() is None
    engine.restore()
    assert engine.reduce_memory() == IN_MEMORY


@pytest.mark.parametrize(("parks", "how"), [(False, "let go"), (True, "moved off the GPU")], ids=["CPU", "GPU"])
def test_other_models_go_first_then_what_is_idle_of_its_own(parks: bool, how: str, repository: Path, sdxl_folder: Path) -> None:
    residency, work = Residency("cpu", ROOM, parks=parks), a_work(64)
    generator = SdxlTextToImage.load(str(sdxl_folder), device="cpu", dtype="float32", report=Watcher(), residency=residency)
    generator.generate(FROM_TEXT, Watcher())
    engine = load(repository, residency)
    expected = engine.inpaint(work, Watcher()).picture
    assert engine.reduce_memory() == f"other models were {how}" and residency.used == sum(sizes(engine))
    assert engine.reduce_memory() == (PARTS if parks else IN_MEMORY)
    assert np.array_equal(engine.inpaint(work, Watcher()).picture, expected)
    assert [part for part, handle in engine._parts._parts.items() if handle.is_on_device] == ["vae"]
    engine.restore()
    assert np.array_equal(engine.inpaint(work, Watcher()).picture, expected) and residency.used == sum(sizes(engine))


def test_tiles_are_not_named_where_they_would_change_nothing(engine: DiffusersInpaint) -> None:
    engine.inpaint(a_work(64), Watcher())
    assert [engine.reduce_memory() for _ in range(3)] == [IN_MEMORY, SLICES, None]


def test_a_transformer_has_no_slices(tmp_path: Path) -> None:
    engine = load(make_flux(tmp_path, fill=True))
    engine.inpaint(a_work(544), Watcher())
    assert [engine.reduce_memory() for _ in range(3)] == [IN_MEMORY, TILES, None]


def test_what_was_given_up_comes_back(engine: DiffusersInpaint) -> None:
    work = a_work(576)
    expected, tile = engine.inpaint(work, Watcher()).picture, engine._parts._parts["vae"].value.tile_sample_min_size
    while engine.reduce_memory():
        pass
    near = engine.inpaint(work, Watcher()).picture
    assert not np.array_equal(near, expected) and np.abs(near.astype(int) - expected).mean() < 20
    vae = engine._parts._parts["vae"].value
    assert vae.tile_sample_min_size == tile and not vae.use_tiling, "another pipeline may share it"
    engine.restore()
    assert np.array_equal(engine.inpaint(work, Watcher()).picture, expected)


def test_a_wrong_control_is_found_before_any_weights_are_read(loaded: list[str], tmp_path: Path) -> None:
    spec = ModelSpec(
        "mine",
        "Mine",
        "diffusers-inpaint",
        ("inpaint",),
        negative_prompt=True,
        file="mine.toml",
        sources={"pipeline": Source(str(make_flux(tmp_path, fill=True)))},
    )
    with pytest.raises(BadConfig, match="mine.toml: negative_prompt: FluxFillPipeline has no negative_prompt"):
        FAMILIES[spec.family]["inpaint"].load(spec, Runtime("cpu", None, tmp_path), Watcher())
    assert loaded == []


@pytest.mark.parametrize("family", ["sdxl", "diffusers-inpaint"])
def test_the_registry_hands_its_residency_on(
    family: str, repository: Path, sdxl_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_device, "choose_device", lambda name: name)
    folder, task = {"sdxl": (sdxl_folder, "generate"), "diffusers-inpaint": (repository, "inpaint")}[family]
    spec = ModelSpec("mine", "Mine", family, (task,), sources={"pipeline": Source(str(folder))})
    runtime = Runtime("cpu", None, tmp_path, Residency("cpu", ROOM))
    engine = FAMILIES[family][task].load(spec, runtime, Watcher())
    engine.bring(Watcher())
    assert runtime.residency.used == sum(sizes(engine)) > 0


@pytest.mark.parametrize("kind", ["generate", "inpaint"])
def test_the_work_of_a_part_follows_its_own_name_not_its_loading(
    kind: str, repository: Path, sdxl_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a step's seconds are booked to denoising, the first step's too."""
    watcher, at = Watcher(), dict[str, tuple[str, int, int]]()
    own = PipelineParts.take

    def noted(parts: PipelineParts, name: str) -> Any:
        part = own(parts, name)
        at.setdefault(name, (watcher.heard[-1].stage, watcher.heard[-1].step, watcher.heard[-1].total))
        return part

    monkeypatch.setattr(PipelineParts, "take", noted)
    if kind == "generate":
        SdxlTextToImage.load(str(sdxl_folder), device="cpu", dtype="float32", report=Watcher()).generate(FROM_TEXT, watcher)
    else:
        load(repository).inpaint(a_work(64), watcher)
    assert at.pop("vae")
    assert at == {"text_encoder": ("prior", 0, 0), "text_encoder_2": ("prior", 0, 0), "unet": ("denoising", 0, 2)}
