"""What a crash interrupted is told once; what ended is not; servers on one folder leave each other alone; a broken journal is no
reason not to start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from inpaint.storage.journal import Interrupted, Journal
from inpaint.storage.results import LITTER_SECONDS, sweep

ROOT = Path(__file__).parents[2]
PATIENCE = 60
SERVER = """
import sys
from pathlib import Path
from inpaint.storage.journal import Journal
journal = Journal(Path(sys.argv[1]))
for job, begun in (("b-2", 20.0), ("a-1", 30.0), ("c-3", 10.0)):
    journal.begin(job, "kandinsky-2.2", begun)
journal.end("c-3")
print("begun", flush=True)
sys.stdin.read()
"""


def start_server(folder: Path) -> subprocess.Popen[str]:
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(folder)], cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert server.stdout is not None and server.stdout.readline() == "begun\n"
    return server


@pytest.mark.parametrize("ends", ["kill -9", "by itself"])
def test_what_a_server_left_is_told_once_when_it_has_ended_and_never_before(tmp_path: Path, ends: str) -> None:
    folder = tmp_path / "running"
    server = start_server(folder)
    assert Journal(folder).take_interrupted() == []
    if ends == "kill -9":
        server.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    server.communicate(timeout=PATIENCE)
    restarted = Journal(folder)
    assert restarted.take_interrupted() == [Interrupted("b-2", "kandinsky-2.2", 20.0), Interrupted("a-1", "kandinsky-2.2", 30.0)]
    assert restarted.take_interrupted() == []
    assert [path for path in folder.iterdir() if path.is_dir()] == []


def test_two_servers_on_one_folder_keep_their_own_jobs(tmp_path: Path) -> None:
    first, second = Journal(tmp_path), Journal(tmp_path)
    first.begin("a-1", "erase", 1.0)
    assert second.take_interrupted() == []
    second.begin("b-1", "erase", 2.0)
    assert first.take_interrupted() == [] and second.take_interrupted() == []
    second.end("a-1")
    assert len(list(tmp_path.glob("*/a-1.json"))) == 1
    first.end("a-1")
    assert list(tmp_path.glob("*/a-1.json")) == [] and len(list(tmp_path.glob("*/b-1.json"))) == 1


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"model": "x"}', b'{"model": 1, "begun": "soon"}', b"\xff\xfe"], ids=repr)
def test_a_damaged_entry_is_dropped(tmp_path: Path, content: bytes) -> None:
    left = tmp_path / "0a1b2c3d"
    left.mkdir()
    (left / "x.json").write_bytes(content)
    (left / ".inpaint-half").write_bytes(b"half")
    assert Journal(tmp_path).take_interrupted() == []
    assert not left.exists()


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
