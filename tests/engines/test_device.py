"""Which device is there, without torch."""

from __future__ import annotations

import ctypes

import pytest

from inpaint.engines import device
from inpaint.engines.device import missing_device, probe_device
from inpaint.errors import BadConfig


class Driver:
    """libcuda as ctypes shows it."""

    def __init__(self, count: int, broken: bool = False) -> None:
        self.count, self.broken = count, broken

    def cuInit(self, flags: int) -> int:
        return 100 if self.broken else 0

    def cuDeviceGetCount(self, pointer: object) -> int:
        ctypes.cast(pointer, ctypes.POINTER(ctypes.c_int))[0] = self.count
        return 0


@pytest.mark.parametrize(
    ("driver", "expected"),
    [(Driver(2), "cuda"), (Driver(0), "cpu"), (Driver(2, broken=True), "cpu")],
    ids=["two GPUs", "none visible", "a driver that does not start"],
)
def test_auto_asks_the_driver(driver: Driver, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device.sys, "platform", "linux")
    monkeypatch.setattr(device.ctypes, "CDLL", lambda name: driver)
    assert probe_device() == expected


@pytest.mark.parametrize(
    ("system", "machine", "expected"), [("darwin", "arm64", "mps"), ("darwin", "x86_64", "cpu"), ("linux", "x86_64", "cpu")]
)
def test_auto_without_a_driver(system: str, machine: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(device.sys, "platform", system)
    monkeypatch.setattr(device.platform, "machine", lambda: machine)
    monkeypatch.setattr(device.ctypes, "CDLL", missing)
    assert probe_device() == expected


@pytest.mark.parametrize(("wanted", "kind"), [("cpu", "cpu"), ("cuda", "cuda"), ("cuda:1", "cuda"), ("mps", "mps")])
def test_a_device_by_name_is_taken_at_its_word(wanted: str, kind: str) -> None:
    assert probe_device(wanted) == kind


@pytest.mark.parametrize("wanted", ["gpu", "cuda:one", "cuda:", "", "CPU", "cuda\n"])
def test_other_names_are_refused(wanted: str) -> None:
    with pytest.raises(BadConfig, match="There is no device"):
        probe_device(wanted)


@pytest.mark.parametrize(
    ("wanted", "cards", "said"),
    [
        pytest.param("auto", 0, "", id="auto"),
        pytest.param("cpu", 0, "", id="cpu"),
        pytest.param("cuda", 1, "", id="a card"),
        pytest.param("cuda:1", 2, "", id="the second card"),
        pytest.param("cuda", 0, "no CUDA driver answers", id="no card"),
        pytest.param("cuda:1", 1, "the CUDA driver shows 1 card on", id="a card that is not there"),
        pytest.param("mps", 0, "this is no Mac", id="no Mac"),
    ],
)
def test_a_device_that_seems_not_to_be_there_is_said(wanted: str, cards: int, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device.sys, "platform", "linux")
    monkeypatch.setattr(device.ctypes, "CDLL", lambda name: Driver(cards))
    sentence = missing_device(wanted)
    assert said in sentence and bool(sentence) == bool(said)
