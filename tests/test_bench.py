"""The benches that need a GPU or ten gigabytes: that their code runs, on tiny weights."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from bench import gpu_check, memory, speed


def test_gpu_check_measures_every_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = argparse.Namespace(tiny=True, device="cpu", prior=None, decoder=None, side=768, steps=25)
    gpu_check.check(gpu_check.setup(options, tmp_path))
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")][1:]
    assert [len(row.split("|")) for row in rows] == [10] * 4, "a row that failed is shorter"


def test_gpu_check_without_a_card_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu_check.py"])
    monkeypatch.setattr(gpu_check.torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as left:
        gpu_check.main()
    assert left.value.code == 2 and "no CUDA" in capsys.readouterr().err


def test_speed_measures_every_variant_and_names_one_that_fails(monkeypatch: pytest.MonkeyPatch,
                                                               capsys: pytest.CaptureFixture[str]) -> None:
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
