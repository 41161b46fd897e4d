"""What a crash interrupted is told once; what ended is not; a broken journal is no reason not to start."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from inpaint.storage.journal import Interrupted, Journal
from inpaint.storage.results import LITTER_SECONDS, sweep


def test_a_job_that_never_ended_is_told_once_after_a_restart(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "running")
    journal.begin("b-2", "kandinsky-2.2", 20.0)
    journal.begin("a-1", "erase", 30.0)
    journal.begin("c-3", "erase", 10.0)
    journal.end("c-3")
    restarted = Journal(tmp_path / "running")
    assert restarted.take_interrupted() == [Interrupted("b-2", "kandinsky-2.2", 20.0), Interrupted("a-1", "erase", 30.0)]
    assert restarted.take_interrupted() == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"model": "x"}', b'{"model": 1, "begun": "soon"}', b"\xff\xfe"],
                         ids=repr)
def test_a_damaged_entry_is_dropped(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    (tmp_path / ".inpaint-half").write_bytes(b"half")
    assert Journal(tmp_path).take_interrupted() == []
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_costs_the_journal_and_not_the_job(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    journal = Journal(tmp_path / "file" / "running")
    journal.begin("a-1", "erase", 1.0)
    journal.end("a-1")
    assert journal.take_interrupted() == []


def test_litter_of_a_killed_process_is_swept_and_young_files_and_results_stay(tmp_path: Path) -> None:
    folder = tmp_path / "results" / "20260101-a"
    folder.mkdir(parents=True)
    old, young, result = folder / ".inpaint-old.png", folder / ".inpaint-young.png", folder / "photo-1.png"
    for path in (old, young, result):
        path.write_bytes(b"x")
    now = young.stat().st_mtime
    for path in (old, result):
        os.utime(path, (now - LITTER_SECONDS - 1,) * 2)
    sweep(tmp_path, now)
    assert sorted(folder.iterdir()) == sorted([young, result])
    sweep(tmp_path / "nowhere", now)
