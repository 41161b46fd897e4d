"""Device and dtype, memory, schedulers: what holds for every diffusion engine."""

from __future__ import annotations

import weakref

import pytest
import torch
from diffusers import DDPMScheduler

from inpaint.engines.runtime import diffusion
from inpaint.engines.runtime.diffusion import (
    choose_device,
    choose_dtype,
    guard_memory,
    is_out_of_memory,
    make_scheduler,
    predicted_original,
)
from inpaint.errors import InvalidRequest, MachineError, OutOfMemory


@pytest.fixture
def machine(monkeypatch):
    def build(cuda: int = 0, mps: bool = False, probed: str = "cpu") -> None:
        monkeypatch.setattr(diffusion, "probe_device", lambda: probed)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    return build


@pytest.mark.parametrize(("cuda", "mps", "name", "chosen"), [
    (0, False, None, "cpu"), (1, False, None, "cuda"), (0, True, None, "mps"), (2, False, "cuda:1", "cuda:1"),
    (1, False, "cpu", "cpu"), (1, False, "cuda", "cuda"), (0, True, "mps", "mps")])
def test_the_device_is_the_one_named_or_the_best(machine, cuda, mps, name, chosen) -> None:
    machine(cuda, mps)
    assert choose_device(name) == chosen


@pytest.mark.parametrize("name", ["cuda", "cuda:1", "mps", "tpu", "", "cuda:-1", "cuda:x", "cpu:1", "cuda:0:0", "\ud800"])
def test_a_device_that_is_not_there_is_refused(machine, name) -> None:
    machine()
    with pytest.raises(InvalidRequest) as caught:
        choose_device(name)
    assert caught.value.field == "device"


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps"])
def test_a_gpu_that_torch_cannot_use_is_the_machine_s_fault_and_no_wrong_request(machine, name) -> None:
    """A person who left the device to the app named none: the driver was asked, and found it."""
    machine(probed=name.partition(":")[0])
    with pytest.raises(MachineError, match="as installed here cannot use it") as caught:
        choose_device(name)
    assert "--device cpu" in caught.value.hint


@pytest.mark.parametrize(("device", "name", "chosen"), [
    ("cpu", None, "float32"), ("cpu", "bfloat16", "bfloat16"), ("cuda", None, "float16"), ("cuda:1", "bfloat16", "bfloat16"),
    ("mps", None, "float16")])
def test_the_dtype_suits_the_device(device, name, chosen) -> None:
    assert choose_dtype(device, name) == chosen


@pytest.mark.parametrize(("device", "name"), [("cpu", "float16"), ("cuda", "int8"), ("cpu", "")])
def test_a_dtype_of_no_use_is_refused(device, name) -> None:
    with pytest.raises(InvalidRequest) as caught:
        choose_dtype(device, name)
    assert caught.value.field == "dtype"


OUT_OF_MEMORY = [torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB"), MemoryError(),
                 RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"),
                 RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"),
                 RuntimeError("MPS backend out of memory (MPS allocated: 17.9 GB)")]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: str(error)[:20] or "MemoryError")
def test_every_way_of_running_out_of_memory_is_one_error(error) -> None:
    def work() -> None:
        raise error

    with pytest.raises(OutOfMemory, match="an edit of 9 x 9 px") as caught:
        guard_memory(work, "an edit of 9 x 9 px")
    assert caught.value.hint and caught.value.__cause__ is None and caught.value.__context__ is None


def test_memory_is_released_once_the_failed_work_is_let_go(monkeypatch) -> None:
    """Released any earlier, the traceback would still hold every tensor."""
    held: list[weakref.ref[torch.Tensor]] = []
    at_release: list[torch.Tensor | None] = []
    monkeypatch.setattr(diffusion, "release_memory", lambda: at_release.append(held[0]()))

    def work() -> None:
        activations = torch.zeros(1000)
        held.append(weakref.ref(activations))
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(OutOfMemory):
        guard_memory(work, "an edit")
    assert at_release == [None]


def test_a_real_allocation_beyond_the_machine_is_recognised() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**55)
    assert is_out_of_memory(caught.value)


@pytest.mark.parametrize("name", ["ddpm", "ddim", "dpm++"])
def test_the_preview_sees_the_same_original_in_every_scheduler(name) -> None:
    """x0 = (x - sqrt(1 - a) e) / sqrt(a), whichever scheduler computes it (DDIM, arXiv 2010.02502, formula 12)."""
    own = DDPMScheduler(beta_start=0.00085, beta_end=0.012, clip_sample=False)
    scheduler = make_scheduler(own, name)
    scheduler.set_timesteps(5)
    noise, sample = (torch.randn(1, 4, 8, 8, generator=diffusion.seeded(seed)) for seed in (1, 2))
    timestep = scheduler.timesteps[0]
    step = scheduler.step(noise, timestep, sample, generator=diffusion.seeded(0))
    alpha = own.alphas_cumprod[timestep]
    torch.testing.assert_close(predicted_original(scheduler, step), (sample - (1 - alpha) ** 0.5 * noise) / alpha**0.5,
                               rtol=1e-3, atol=1e-3)
