"""The process that fills: its answer arrives whole whatever Python prints, it ends with its caller, and its failures are told as they are."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from inpaint.core.progress import Progress
from inpaint.engines.erase import fill_client, fill_process
from inpaint.errors import BadOutput, EditCancelled, InpaintError, MachineError, OutOfMemory
from tests.fakes import Pixels, block, noise

SIDE = 60
HOLE = block(SIDE, SIDE, 20, 20, 45, 45)
ROOT = Path(__file__).resolve().parents[3]


def fill(picture: Pixels, mask: Pixels, report: Callable[[Progress], None] = lambda progress: None) -> Pixels:
    return fill_client.fill(picture, mask, 3, 5, report)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts another program in the place of fill_process.py."""

    def put(text: str) -> None:
        script = tmp_path / "other.py"
        script.write_text(textwrap.dedent(text))
        monkeypatch.setattr(fill_client.fill_process, "__file__", str(script))

    return put


REAL = f"import runpy; runpy.run_path({fill_process.__file__!r}, run_name='__main__')"


@pytest.mark.parametrize(
    "around",
    [
        pytest.param("import time; time.sleep(1)", id="slow to begin"),
        pytest.param("print('a greeting of sitecustomize', flush=True)", id="printed before"),
        pytest.param(
            "import numpy; load = numpy.load; numpy.load = lambda *a, **k: (print('by a library'), load(*a, **k))[1]",
            id="printed meanwhile",
        ),
        pytest.param("import atexit, os; atexit.register(lambda: os.write(1, b'at the end'))", id="printed at the end"),
        pytest.param("import sys; sys.stderr.write('x' * 2_000_000)", id="much on stderr"),
    ],
)
def test_the_answer_arrives_whole(around: str, program: Callable[[str], None]) -> None:
    picture, mask = noise(700, 700), block(700, 700, 20, 20, 30, 30)
    plain = fill(picture, mask)
    program(f"{around}\n{REAL}")
    assert np.array_equal(fill(picture, mask), plain)


@pytest.mark.parametrize(
    ("text", "error", "sentence"),
    [
        pytest.param("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", OutOfMemory, "too small", id="the system needs its memory"),
        pytest.param("import sys; sys.exit(3)", OutOfMemory, "too small", id="no room for an array"),
        pytest.param(
            "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
            BadOutput,
            "crashed while it filled (SIGSEGV)",
            id="a fault in machine code",
        ),
        pytest.param(
            "raise OSError('obtaining file position failed')", MachineError, "OSError: obtaining file position failed", id="an exception"
        ),
        pytest.param("import sys; sys.exit(9)", MachineError, "exit status 9", id="a status without a word"),
        pytest.param("pass", BadOutput, "without a picture", id="no answer"),
        pytest.param(
            f"import sys; sys.stdout.buffer.write({fill_process.ANSWER!r} + b'half')", BadOutput, "without a picture", id="half an answer"
        ),
        pytest.param(
            f"import sys, numpy, io; b = io.BytesIO(); numpy.save(b, numpy.zeros((2, 2, 3), numpy.uint8)); "
            f"sys.stdout.buffer.write({fill_process.ANSWER!r} + b.getvalue())",
            BadOutput,
            "without a picture",
            id="another size",
        ),
    ],
)
def test_a_failure_is_told_as_it_is_and_logged_once(
    text: str, error: type[InpaintError], sentence: str, program: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    program(text)
    with caplog.at_level(logging.ERROR, "inpaint"), pytest.raises(error) as raised:
        fill(noise(SIDE, SIDE), HOLE)
    assert sentence in str(raised.value)
    assert len(caplog.records) == (0 if error is OutOfMemory else 1)
    assert caplog.text.count("Traceback") == ("raise" in text)


def test_no_room_for_an_array_is_told_by_the_exit_status(program: Callable[[str], None]) -> None:
    program(f"import numpy\ndef no_room(*given): raise MemoryError\nnumpy.load = no_room\n{REAL}")
    with pytest.raises(OutOfMemory):
        fill(noise(SIDE, SIDE), HOLE)


def test_a_system_that_starts_no_process_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fill_client.sys, "executable", "/nowhere/python")
    with pytest.raises(MachineError, match="could not be started: No such file"):
        fill(noise(SIDE, SIDE), HOLE)


@pytest.mark.parametrize("looks", [1, 2, 3])
def test_a_cancel_ends_a_fill_in_the_middle(looks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fill that would take minutes; its process is gone when the cancel comes out."""
    started: list[subprocess.Popen[bytes]] = []

    class Seen(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            started.append(self)

    monkeypatch.setattr(fill_client.subprocess, "Popen", Seen)
    reports: list[Progress] = []

    def stop(progress: Progress) -> None:
        reports.append(progress)
        if len(reports) >= looks:
            raise EditCancelled

    with pytest.raises(EditCancelled):
        fill(noise(1500, 1500), block(1500, 1500, 100, 100, 1400, 1400), stop)
    assert len(reports) == looks and [process.returncode for process in started] == [-signal.SIGKILL]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT], ids=lambda how: how.name)
def test_a_fill_ends_with_the_command_line_however_that_ends(how: signal.Signals, tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(noise(2000, 2000)).save(tmp_path / "photo.png")
    Image.fromarray(block(2000, 2000, 100, 100, 1900, 1900)).save(tmp_path / "mask.png")
    command = subprocess.Popen(
        [sys.executable, "-m", "inpaint", "edit", "photo.png", "--mask", "mask.png", "--output", "out.png"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
    )
    fills = _waited(
        lambda: [child for child in psutil.Process(command.pid).children(recursive=True) if "fill_process" in " ".join(child.cmdline())]
    )
    _waited(lambda: [child for child in fills if child.cpu_times().user > 1])  # past its imports: at work in machine code
    command.send_signal(how)
    command.wait(30)
    gone, alive = psutil.wait_procs(fills, timeout=10)
    assert gone and not alive


def _waited(found: Callable[[], list[psutil.Process]], seconds: float = 60) -> list[psutil.Process]:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if processes := found():
            return processes
        time.sleep(0.05)
    raise AssertionError("nothing was found in time")


def test_the_fill_sees_neither_secrets_nor_switches_of_python() -> None:
    given = {
        "PATH": "/bin",
        "PYTHONPATH": "/p",
        "HF_TOKEN": "secret",
        "INPAINT_AUTH": "me:secret",
        "PYTHONINSPECT": "1",
        "PYTHONWARNINGS": "error",
    }
    assert fill_client.child_environment(given) == {"PATH": "/bin", "PYTHONPATH": "/p"}
