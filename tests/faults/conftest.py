"""The shipped app as a process of its own, in an environment with nothing but what a test says. Must not know what is tested."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from tests.ui import conftest as pages
from tests.ui.conftest import ROOT, Served, _free_port, _wait_until_it_answers

chromium, photo = pages.chromium, pages.photo
BARE = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HF_HUB_OFFLINE": "1"}


class Serve(Protocol):
    """Starts the app; every keyword but `program` is a variable of its environment."""

    def __call__(self, *flags: str, program: Sequence[str] = ("app.py",), **variables: str) -> Served: ...


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """What the servers of a test wrote."""
    return tmp_path / "log.txt"


@pytest.fixture
def serve(tmp_path: Path, log: Path) -> Iterator[Serve]:
    """Everything that is started ends with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*flags: str, program: Sequence[str] = ("app.py",), **variables: str) -> Served:
        port = _free_port()
        with log.open("ab") as file:
            process = subprocess.Popen(
                [sys.executable, *program, "--port", str(port), "--device", "cpu", "--data-dir", str(tmp_path / "data"), *flags],
                cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, env=BARE | {"HOME": str(tmp_path)} | variables)
        started.append(process)
        served = Served(f"http://127.0.0.1:{port}", tmp_path, tmp_path / "data", process)
        _wait_until_it_answers(served, log)
        return served

    yield start
    for process in started:
        process.kill()
        process.wait()
