"""Device and number format, as torch knows them."""

from __future__ import annotations

import pytest
import torch

from inpaint.engines.runtime import torch_device
from inpaint.engines.runtime.torch_device import choose_device, choose_dtype
from inpaint.errors import InvalidRequest, MachineError


@pytest.fixture
def machine(monkeypatch):
    def build(cuda: int = 0, mps: bool = False, probed: str = "cpu") -> None:
        monkeypatch.setattr(torch_device, "probe_device", lambda: probed)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.cuda, "set_device", lambda index: None)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return build


@pytest.mark.parametrize(
    ("cuda", "mps", "name", "chosen"),
    [
        (0, False, None, "cpu"),
        (1, False, None, "cuda"),
        (0, True, None, "mps"),
        (2, False, "cuda:1", "cuda:1"),
        (1, False, "cpu", "cpu"),
        (1, False, "cuda", "cuda"),
        (0, True, "mps", "mps"),
    ],
)
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


@pytest.mark.parametrize(
    ("device", "name", "chosen"),
    [
        ("cpu", None, "float32"),
        ("cpu", "bfloat16", "bfloat16"),
        ("cuda", None, "float16"),
        ("cuda:1", "bfloat16", "bfloat16"),
        ("mps", None, "float16"),
    ],
)
def test_the_dtype_suits_the_device(device, name, chosen) -> None:
    assert choose_dtype(device, name) == chosen


@pytest.mark.parametrize(("device", "name"), [("cpu", "float16"), ("cuda", "int8"), ("cpu", "")])
def test_a_dtype_of_no_use_is_refused(device, name) -> None:
    with pytest.raises(InvalidRequest) as caught:
        choose_dtype(device, name)
    assert caught.value.field == "dtype"


@pytest.mark.parametrize(("name", "selected"), [("cuda:1", [1]), ("cuda:0", [0]), ("cuda", []), ("cpu", []), ("mps", [])])
def test_a_card_that_is_named_by_its_number_becomes_torch_s_current_one(machine, name, selected, monkeypatch) -> None:
    """Otherwise torch opens a context on card 0 for whatever names no card."""
    machine(cuda=2, mps=True)
    told: list[int] = []
    monkeypatch.setattr(torch.cuda, "set_device", told.append)
    choose_device(name)
    assert told == selected
