"""The command line's streams, whatever they are: closed, full, of another encoding; and where its errors are kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

from inpaint import cli, console
from inpaint.engines.erase import fill_client
from tests.fakes import block, noise, save

ROOT = Path(__file__).resolve().parent.parent
ODD_NAME = "結果-\N{LATIN SMALL LETTER E WITH ACUTE}\N{SMILING FACE WITH SUNGLASSES}.png"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(noise(48, 64), tmp_path / "photo.png")
    save(block(48, 64, 16, 20, 30, 40), tmp_path / "mask.png")
    return tmp_path


def environment(**more: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LC_"))} | {"PYTHONPATH": str(ROOT)} | more


def edit(folder: Path, output: str = "out.png", redirected: str = "", **more: str) -> subprocess.CompletedProcess[bytes]:
    """Run through a shell, with what it puts behind the command."""
    script = f'exec "$0" -m inpaint edit photo.png --mask mask.png --seed 1 --output "$1" --data-dir data {redirected}'
    return subprocess.run(
        ["bash", "-c", script, sys.executable, output], cwd=folder, env=environment(**more), capture_output=True, timeout=120, check=False
    )


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("utf-8", ODD_NAME.encode()),
        ("cp1252", b"\\u7d50\\u679c-\xe9\\U0001f60e.png"),
        ("ascii", b"\\u7d50\\u679c-\\xe9\\U0001f60e.png"),
        ("cp932", "結果-".encode("cp932") + b"\\xe9\\U0001f60e.png"),
    ],
)
def test_what_the_console_cannot_show_is_escaped(encoding: str, shown: bytes, folder: Path) -> None:
    done = edit(folder, ODD_NAME, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stdout.strip()) == (0, shown)
    assert (folder / ODD_NAME).is_file()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param(["edit", ODD_NAME, "--mask", "mask.png", "--output", "o.png"], 2, id="a refusal that names it"),
        pytest.param(["models", "--config", "own"], 0, id="a title of one's own"),
        pytest.param(["edit", "photo.png", "--mask", "mask.png", "--output", ODD_NAME, "--json"], 0, id="json"),
        pytest.param(["--help"], 0, id="help"),
    ],
)
@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_no_command_ends_by_an_encoding(arguments: list[str], code: int, encoding: str, folder: Path) -> None:
    (folder / "own" / "models").mkdir(parents=True)
    (folder / "own" / "app.toml").touch()
    (folder / "own" / "models" / "own.toml").write_text(
        f'name = "own-model"\ntitle = "{ODD_NAME}"\nfamily = "diffusers-inpaint"\ntasks = ["inpaint"]\nlicence = "{ODD_NAME}"\n'
        'sources = { pipeline = { repo_id = "me/own" } }\n',
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, "-m", "inpaint", *arguments],
        cwd=folder,
        env=environment(PYTHONIOENCODING=encoding),
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code and b"Traceback" not in done.stderr
    if "--json" in arguments:
        assert json.loads(done.stdout)["outputs"] == [ODD_NAME]


@pytest.mark.parametrize("redirected", ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_file_of_ours(redirected: str, folder: Path) -> None:
    """Were the number taken by the result, what is printed would land in it."""
    assert edit(folder, "whole.png").returncode == 0
    done = edit(folder, "out.png", redirected)
    assert done.returncode == 0
    assert (folder / "out.png").read_bytes() == (folder / "whole.png").read_bytes()
    assert done.stdout == (b"" if ">&-" in redirected.replace("2>&-", "") else b"out.png\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize(
    ("redirected", "code"),
    [
        pytest.param("2>/dev/full", 0, id="messages on a full disk"),
        pytest.param(">/dev/full 2>/dev/full", 1, id="and the report"),
    ],
)
def test_messages_that_cannot_be_written_leave_the_exit_code_as_it_is(redirected: str, code: int, folder: Path) -> None:
    """Unbuffered, Python keeps nothing that it could fail at; so the variable is not passed on."""
    assert edit(folder, "out.png", redirected).returncode == code
    assert (folder / "out.png").is_file()


def test_a_full_pipe_that_does_not_block_is_waited_for(folder: Path) -> None:
    """As Node and ssh leave it: a write would fail at once instead of waiting for the reader."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    filling = b"." * 4096
    try:
        while True:
            os.write(writer, filling)
    except BlockingIOError:
        pass
    command = subprocess.Popen(
        [sys.executable, "-m", "inpaint", "edit", "photo.png", "--mask", "mask.png", "--output", "out.png"],
        cwd=folder,
        env=environment(),
        stdout=writer,
        stderr=subprocess.PIPE,
    )
    os.close(writer)
    while not (folder / "out.png").exists() and command.poll() is None:
        threading.Event().wait(0.05)
    with os.fdopen(reader, "rb") as kept:
        read = kept.read()
    assert command.wait(60) == 0 and read.strip(b".") == b"out.png\n"


def test_an_error_of_the_app_is_one_line_that_names_the_log(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "broken.py").write_text("raise OSError('obtaining file position failed')")
    monkeypatch.setattr(fill_client.fill_process, "__file__", str(folder / "broken.py"))
    monkeypatch.chdir(folder)
    assert cli.main(["edit", "photo.png", "--mask", "mask.png", "--output", "o.png", "--data-dir", "data"]) == 1
    told = capsys.readouterr().err
    log = folder / "data" / "log" / "command-line.log"
    assert told.startswith("inpaint: The program that fills failed: OSError: obtaining file position failed. ") and told.endswith(
        f" Log: {log}\n"
    )
    assert told.count("\n") == 1 and log.read_text().count("Traceback") == 1


@pytest.mark.parametrize(
    "arguments",
    [["--mask", "nothing.png"], ["--mask", "mask.png", "--prompt", "x", "--model", "kandinsky-2.2"]],
    ids=["a wrong request", "no weights"],
)
def test_what_is_no_fault_of_the_app_names_no_log(
    arguments: list[str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    hub: Mapping[str, str] = {"HF_HUB_CACHE": str(tmp_path_factory.mktemp("hub"))}
    monkeypatch.chdir(folder)
    assert cli.main(["edit", "photo.png", "--output", "o.png", "--data-dir", "data", "--cache-dir", hub["HF_HUB_CACHE"], *arguments]) in (
        1,
        2,
    )
    assert "Log:" not in capsys.readouterr().err and not (folder / "data" / "log").exists()


def test_a_log_that_cannot_be_written_costs_nothing_else(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "broken.py").write_text("raise OSError('odd')")
    (folder / "data").write_text("a file where the folder should be")
    monkeypatch.setattr(fill_client.fill_process, "__file__", str(folder / "broken.py"))
    monkeypatch.chdir(folder)
    assert cli.main(["edit", "photo.png", "--mask", "mask.png", "--output", "o.png", "--data-dir", "data"]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "OSError: odd" in told and "Log:" not in told


def test_ctrl_c_before_the_bar_is_there_cancels_the_job_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first import of what draws the bar takes a moment, in which the job runs already."""
    asked = list[str]()

    def interrupted(job: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(console, "_wait_with_a_bar", interrupted)
    job = SimpleNamespace(cancel=lambda: asked.append("cancel"), wait=lambda seconds: asked.append("wait"))
    with pytest.raises(KeyboardInterrupt):
        console.watched(job)  # pyright: ignore[reportArgumentType]
    assert asked == ["cancel", "wait"]
