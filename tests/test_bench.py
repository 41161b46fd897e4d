"""The benches that need a GPU or ten gigabytes: that their code runs, on tiny weights."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from bench import gpu_check, memory, real_size, speed
from inpaint.core.progress import Progress
from inpaint.editing.run import StageClock


def test_gpu_check_measures_every_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = argparse.Namespace(tiny=True, device="cpu", prior=None, decoder=None, side=768, steps=25)
    gpu_check.check(gpu_check.setup(options, tmp_path))
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")][1:]
    assert [len(row.split("|")) for row in rows] == [10] * 4, "a row that failed is shorter"


def test_gpu_check_takes_a_single_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = argparse.Namespace(tiny=True, device="cpu", prior=None, decoder=None, side=768, steps=25)
    setup = dataclasses.replace(gpu_check.setup(options, tmp_path), steps=1)
    gpu_check.row("stock", setup, lambda: gpu_check.stock(setup))
    assert len(capsys.readouterr().out.split("|")) == 10


def test_gpu_check_names_what_failed_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    setup = gpu_check.Setup("cpu", "float32", tmp_path, tmp_path, 64, 1, tmp_path)

    def fail() -> Any:
        raise AttributeError("no\nunet")

    gpu_check.row("stock", setup, fail)
    assert capsys.readouterr().out == "| stock | AttributeError: no unet |\n"


@pytest.mark.parametrize(("given", "said"), [(["--prior", "here"], "go together"), (["--prior", "x", "--decoder", "y"], "holds no model")])
def test_gpu_check_refuses_wrong_folders(
    given: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu_check.py", "--device", "cpu", *given])
    with pytest.raises(SystemExit) as left:
        gpu_check.main()
    assert left.value.code == 2 and said in capsys.readouterr().err


def test_a_card_is_waited_for_within_the_stage_that_asked_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock on which only waiting takes time: a second for whatever was asked since the last report."""
    now = [0.0]

    def wait(_device: str) -> None:
        now[0] += 1

    monkeypatch.setattr(gpu_check, "synchronize", wait)
    monkeypatch.setattr("inpaint.editing.run.time", SimpleNamespace(perf_counter=lambda: now[0]))
    clock = StageClock(lambda progress: None)
    report = gpu_check.waiting("cuda", clock)
    for stage in ("loading", "denoising", "denoising", "decoding"):
        report(Progress(stage))
    clock.stop()
    assert clock.seconds == {"loading": 1, "denoising": 2, "decoding": 0}


def test_a_part_whose_writing_was_ended_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """save_pretrained writes config.json before the weights."""

    class Ended(torch.nn.Linear):
        def save_pretrained(self, folder: Path, **_options: object) -> None:
            folder.mkdir()
            (folder / "config.json").write_text("{}")
            if not is_ended:
                save_file({"weight": self.weight, "bias": self.bias}, folder / "model.safetensors")
            else:
                raise KeyboardInterrupt

    is_ended, folder = True, tmp_path / "unet"
    with pytest.raises(KeyboardInterrupt):
        real_size._write_once(lambda: Ended(2, 3), folder, 9)
    assert not folder.exists()
    folder.mkdir()
    (folder / "config.json").write_text("as an earlier version left it")
    is_ended = False
    real_size._write_once(lambda: Ended(2, 3), folder, 9)
    written = (folder / "model.safetensors").stat()
    real_size._write_once(lambda: Ended(2, 3), folder, 9)
    assert (folder / "model.safetensors").stat().st_mtime_ns == written.st_mtime_ns and [path.name for path in tmp_path.iterdir()] == [
        "unet"
    ]


def test_gpu_check_without_a_card_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu_check.py"])
    monkeypatch.setattr(gpu_check.torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as left:
        gpu_check.main()
    assert left.value.code == 2 and "no CUDA" in capsys.readouterr().err


def test_speed_measures_every_variant_and_names_one_that_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(_unet: object) -> None:
        raise RuntimeError("no C++ compiler")

    monkeypatch.setattr(speed.torch, "compile", refuse)
    config = json.loads(speed.MINI.read_text(encoding="utf-8"))
    speed.measure((*speed.MINI_VARIANTS, speed.Variant(run="torch.compile")), config, 64, 1)
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()]
    assert [len(row) for row in rows] == [5] + [7] * 8 and "no C++ compiler" in rows[0][-1]
    assert rows[1][:4] == ["| float32", "contiguous", "sdpa", "eager"] and rows[1][-1] == "1.00 |"


@pytest.mark.skipif(not memory.STATUS.exists(), reason="the memory bench reads /proc")
def test_the_peak_of_memory_is_seen() -> None:
    """Also of what has gone since."""
    before = memory.resident()[0]
    with memory.Peak() as peak:
        block = np.ones(64 << 20, np.uint8)
        for _ in range(2):  # the first look may have begun before
            peak.looked.clear()
            assert peak.looked.wait(60)
        del block
    assert peak.both >= peak.anonymous >= before + (32 << 20)
