"""What a pipeline gives up for memory: in which order, only where it helps, and all of it back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from inpaint.core.request import SamplingParams
from inpaint.core.spec import ModelSpec, Source
from inpaint.engines import diffusion, registry
from inpaint.engines.base import EngineInput
from inpaint.engines.diffusers_inpaint import DiffusersInpaint
from inpaint.engines.memory import count_parameters
from inpaint.engines.relief import Place, Relief, choose_place
from inpaint.engines.residency import Residency
from inpaint.errors import EditCancelled
from tests.engines.conftest import Watcher, a_picture, blob
from tests.tiny_models import make_flux, make_sdxl_inpaint

SLICES, TILES = "attention was computed in slices", "the picture was decoded in tiles"
PARTS = "each part of the model was on the GPU only while it worked"
LAYERS = "each layer of the model was on the GPU only while it worked, which is slow"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sdxl_inpaint(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def engine(repository: Path) -> DiffusersInpaint:
    return load(repository)


def load(folder: Path) -> DiffusersInpaint:
    return DiffusersInpaint.load(str(folder), device="cpu", dtype="float32", report=Watcher(), model="mine")


def a_work(width: int, height: int = 64) -> EngineInput:
    sampling = SamplingParams(prompt="a red hat", seed=5, num_inference_steps=2, guidance_scale=4.0, strength=1.0)
    return EngineInput(a_picture(width, height), blob(width, height), sampling)


class OnAGpu:
    """Lets an engine believe that it runs on a GPU: diffusers' own offloading, with the CPU as the device to move parts to."""

    def __init__(self, engine: DiffusersInpaint, monkeypatch: pytest.MonkeyPatch, place: Place = "whole") -> None:
        self.moved: list[str] = []
        pipeline = engine._pipeline
        own = {name: getattr(pipeline, name) for name in ("enable_model_cpu_offload", "to")}

        def offload_parts(device: Any) -> None:
            self.moved.append(f"parts {torch.device(device).type}")
            own["enable_model_cpu_offload"](device="cpu")

        def offload_layers(device: Any) -> None:
            self.moved.append(f"layers {torch.device(device).type}")

        def to(device: Any, **options: Any) -> None:
            self.moved.append(f"to {torch.device(device).type}")
            own["to"]("cpu", **options)

        for stand_in, name in ((offload_parts, "enable_model_cpu_offload"), (offload_layers, "enable_sequential_cpu_offload"), (to, "to")):
            monkeypatch.setattr(pipeline, name, stand_in)
        engine._relief = Relief(pipeline, "cuda", place)


def test_on_a_gpu_parts_then_layers_are_fetched_when_needed(engine: DiffusersInpaint, monkeypatch: pytest.MonkeyPatch) -> None:
    work = a_work(64)
    expected = engine.inpaint(work, Watcher()).picture
    gpu = OnAGpu(engine, monkeypatch)
    assert [engine.relieve(), engine.relieve(), engine.relieve()] == [SLICES, PARTS, None]
    assert gpu.moved[0] == "parts cuda" and engine._pipeline._all_hooks
    engine._pipeline.unet.set_attn_processor(dict(engine._relief._at_once))  # offloading alone changes no bit
    assert np.array_equal(engine.inpaint(work, Watcher()).picture, expected)
    assert [engine.relieve_last(), engine.relieve_last()] == [LAYERS, None] and gpu.moved[-1] == "layers cuda"
    engine.restore()
    assert gpu.moved[-1] == "to cuda" and not engine._pipeline._all_hooks
    assert np.array_equal(engine.inpaint(work, Watcher()).picture, expected)


def test_a_cancelled_run_leaves_no_part_behind_on_the_gpu(engine: DiffusersInpaint, monkeypatch: pytest.MonkeyPatch) -> None:
    """diffusers sends the last part back at the end of a run only, which a cancelled one does not reach."""
    gpu = OnAGpu(engine, monkeypatch)
    engine.inpaint(a_work(64), Watcher())
    while engine.relieve():
        pass
    engine.inpaint(a_work(64), Watcher())
    before = gpu.moved.count("to cpu")
    with pytest.raises(EditCancelled):
        engine.inpaint(a_work(64), Watcher(cancel_at=("denoising", 1)))
    assert gpu.moved.count("to cpu") > before


def test_the_rungs_and_their_order(engine: DiffusersInpaint) -> None:
    engine.inpaint(a_work(576), Watcher())
    assert [engine.relieve(), engine.relieve(), engine.relieve(), engine.relieve_last()] == [SLICES, TILES, None, None]
    engine.restore()
    assert engine.relieve() == SLICES


@pytest.mark.parametrize(("budget", "device", "place"), [
    (110, "cuda", "whole"), (109, "cuda:1", "parts"), (80, "cuda", "parts"), (79, "cuda", "layers"), (1, "cpu", "whole"), (1, "mps", "whole"),
])
def test_as_much_is_on_the_gpu_as_the_budget_takes(budget: int, device: str, place: Place) -> None:
    assert choose_place([20, 70, 10], working=10, budget=budget, device=device) == place


def test_an_engine_of_a_small_gpu_goes_back_to_its_parts(engine: DiffusersInpaint, monkeypatch: pytest.MonkeyPatch) -> None:
    work = a_work(64)
    expected = engine.inpaint(work, Watcher()).picture
    gpu = OnAGpu(engine, monkeypatch, "parts")
    assert np.array_equal(engine.inpaint(work, Watcher()).picture, expected)
    assert [engine.relieve(), engine.relieve(), engine.relieve_last()] == [SLICES, None, LAYERS]
    engine.restore()
    assert [move for move in gpu.moved if move.endswith("cuda")] == ["parts cuda", "layers cuda", "parts cuda"]


def test_tiles_are_not_named_where_they_would_change_nothing(engine: DiffusersInpaint) -> None:
    engine.inpaint(a_work(64), Watcher())
    assert [engine.relieve(), engine.relieve()] == [SLICES, None]


def test_a_transformer_has_no_slices(tmp_path: Path) -> None:
    engine = load(make_flux(tmp_path, fill=True))
    engine.inpaint(a_work(544), Watcher())
    assert [engine.relieve(), engine.relieve()] == [TILES, None]


def test_what_was_given_up_comes_back(engine: DiffusersInpaint) -> None:
    work = a_work(576)
    expected, vae = engine.inpaint(work, Watcher()).picture, engine._pipeline.vae
    tile = vae.tile_sample_min_size
    while engine.relieve():
        pass
    near = engine.inpaint(work, Watcher()).picture
    assert not np.array_equal(near, expected) and np.abs(near.astype(int) - expected).mean() < 20
    engine.restore()
    assert np.array_equal(engine.inpaint(work, Watcher()).picture, expected) and vae.tile_sample_min_size == tile


@pytest.mark.parametrize(("room", "place"), [("all", "whole"), ("all but a byte", "parts"), ("the largest but a byte", "layers")])
def test_the_registry_asks_for_what_the_budget_takes(room: str, place: Place, repository: Path, tmp_path: Path,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diffusion, "choose_device", lambda name: name)
    halves = [2 * count_parameters(folder, None) for folder in repository.iterdir() if folder.is_dir()]
    budget = {"all": sum(halves), "all but a byte": sum(halves) - 1, "the largest but a byte": max(halves) - 1}[room]
    spec = ModelSpec("mine", "Mine", "diffusers-inpaint", ("inpaint",), sources={"pipeline": Source(str(repository))})
    runtime = registry.Runtime("cuda", None, tmp_path, Residency("cuda", registry.WORKING_BYTES + budget))
    assert registry._pipeline(spec, runtime)["place"] == place
