"""Memory that runs out in a real UNet: the whole ladder of a job, and a next job that finds everything as it was."""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from inpaint.core.masks.mask import Mask
from inpaint.core.picture import Picture
from inpaint.core.plan import plan_edit, plan_whole
from inpaint.core.request import EditRequest, ReimagineRequest, SamplingParams
from inpaint.core.result import EditResult
from inpaint.core.spec import WorkingLimits
from inpaint.editing.run import StageClock, run_edit, run_reimagine
from inpaint.engines.kandinsky.engine import Kandinsky22, Kandinsky22ImageToImage
from inpaint.engines.memory.residency import Residency
from tests.engines.conftest import Repositories, Watcher, a_picture, blob

LIMITS = WorkingLimits(multiple=64, max_pixels=128 * 128, native_pixels=128 * 128)
SAMPLING = SamplingParams(
    "a red hat", seed=3, num_inference_steps=2, guidance_scale=4.0, prior_num_inference_steps=2, prior_guidance_scale=4.0
)
PICTURE = Picture(a_picture(128, 128))
RUNGS = (
    "Memory ran out, so the prior was moved off the GPU.",
    "Memory ran out, so attention was computed in slices.",
    "Memory ran out, so one part of the model was on the GPU at a time.",
    "Memory ran out, so the model saw 64 x 64 instead of 128 x 128 pixels.",
)


def edited(engine: Any) -> EditResult:
    request = EditRequest(PICTURE, Mask(blob(128, 128)), "tiny", SAMPLING, work_area="full")
    return run_edit(request, plan_edit(request, LIMITS), engine, StageClock(Watcher()))


def reimagined(engine: Any) -> EditResult:
    sampling = SamplingParams(**{**vars(SAMPLING), "strength": 0.7})
    return run_reimagine(ReimagineRequest(PICTURE, "tiny", sampling), plan_whole(PICTURE.extent, LIMITS), engine, StageClock(Watcher()))


Loaded = Callable[[], Any]
Run = Callable[[Any], EditResult]


@pytest.fixture(params=["inpaint", "image-to-image"])
def task(request: pytest.FixtureRequest, learned: Repositories, learned_image: Repositories, tmp_path: Path) -> tuple[Loaded, Run]:
    """How to load an engine, whose device counts as a GPU but is the CPU, and how to run it."""
    kind, from_, run = {"inpaint": (Kandinsky22, learned, edited), "image-to-image": (Kandinsky22ImageToImage, learned_image, reimagined)}[
        request.param
    ]

    def load() -> Any:
        return kind.load(
            str(from_.prior),
            str(from_.decoder),
            device="cpu",
            dtype="float32",
            cache_dir=tmp_path / "cache",
            report=Watcher(),
            residency=Residency("cpu", 10**9, parks=True),
        )

    return load, run


@contextmanager
def room_for_64_pixels(unet: torch.nn.Module) -> Any:
    def fail(_module: torch.nn.Module, _positional: object, named: dict[str, Any]) -> None:
        if named["sample"].shape[-1] > 64 // 8:
            raise torch.OutOfMemoryError("CUDA out of memory")

    handle = unet.register_forward_pre_hook(fail, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def tensor_bytes() -> int:
    """Of every tensor that anything refers to."""
    gc.collect()
    storages = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
        for tensor in gc.get_objects()
        if type(tensor) in (torch.Tensor, torch.nn.Parameter) and tensor.device.type == "cpu"
    }
    return sum(storages.values())


def test_the_next_job_is_as_if_memory_had_never_run_out(task: tuple[Loaded, Run]) -> None:
    load, run = task
    engine = load()
    expected = run(engine).candidates[0].picture.pixels
    before = tensor_bytes()
    with room_for_64_pixels(engine._decoder._unet.value):
        cramped = run(engine)
    assert cramped.notices == RUNGS
    again = run(engine)
    assert np.array_equal(again.candidates[0].picture.pixels, expected) and again.notices == ()
    assert tensor_bytes() == before
