"""The benches that need a GPU or ten gigabytes: that their code runs, on tiny weights."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pytest

from bench import gpu_check, memory


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
