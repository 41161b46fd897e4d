"""How the server starts, or does not: one line where something is wrong, proxies, signals in the first seconds, a folder that goes bad."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from gradio_client import Client, handle_file

from tests.fakes import block, save
from tests.serving import BARE, PATIENCE_SECONDS, ROOT, Serve, Served, free_port

DEAD_PROXY = "http://127.0.0.1:9"
PROGRAMS = {"app.py": ["app.py"], "inpaint serve": ["-m", "inpaint", "serve"]}


def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False, env=BARE | variables
    )


def health(served: Served, **variables: str) -> subprocess.CompletedProcess[str]:
    """What the image's health check says of this process."""
    return run("-m", "inpaint.health", str(served.process.pid), **variables)


def erased(served: Served, tmp_path: Path) -> dict[str, object]:
    """The report of an edit over HTTP."""
    photo = save(block(60, 80, 0, 0, 30, 80), tmp_path / "photo.png")
    mask = save(block(60, 80, 20, 20, 30, 30), tmp_path / "mask.png")
    client = Client(served.url, verbose=False, httpx_kwargs={"timeout": PATIENCE_SECONDS, "trust_env": False})
    _, report = client.predict(handle_file(str(photo)), handle_file(str(mask)), prompt="", api_name="/edit")
    return report


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        pytest.param(["--auth", "nobody"], 2, "--auth must be user:password", id="auth"),
        pytest.param(["--port", "x"], 2, "--port: invalid int value", id="no number"),
        pytest.param(["--port", "99999"], 2, "--port: 99999 is not between 0 and 65535", id="no port"),
        pytest.param(["--config", "nowhere"], 2, "does not exist", id="config"),
        pytest.param(["--device", "toaster"], 2, "--device: There is no device 'toaster'", id="device"),
        pytest.param(
            ["--data-dir", "app.py"], 2, "app.py is a file. Move that file away, or name another with --data-dir.", id="data folder"
        ),
        pytest.param(["--data-dir", "/proc/nowhere"], 1, "/proc/nowhere cannot be written", id="a folder that cannot be"),
        pytest.param(["--host", "192.0.2.1"], 2, "This machine has no address 192.0.2.1", id="another machine's address"),
        pytest.param(["--host", "no.such.name.invalid"], 2, "no address of the name", id="no name"),
        pytest.param(["--prot", "7860"], 2, "Unrecognized arguments: --prot", id="no flag"),
    ],
)
def test_what_is_wrong_is_one_line(program: list[str], flags: list[str], code: int, said: str) -> None:
    done = run(*program, *flags)
    assert done.returncode == code
    assert said in done.stderr and len(done.stderr.strip().splitlines()) == 1 and done.stdout == ""


@pytest.mark.parametrize("words", [["app.py", "--port", "0"], ["-m", "inpaint", "models"]], ids=["a server", "the command line"])
def test_a_variable_that_is_no_setting_is_named_with_the_one_that_may_be_meant(words: list[str], tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, *words, "--data-dir", str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=BARE | {"INPAINT_DATADIR": "x", "INPAINT_COLOUR": "blue", "INPAINT_MAX_SIDE": "99", "INPAINT_MEMORY_GB": "auto"},
    )
    assert process.stderr is not None
    line = process.stderr.readline()
    process.kill()
    process.communicate()
    assert line == (
        "inpaint: WARNING: No setting has this name, so it has no effect: INPAINT_COLOUR, "
        "INPAINT_DATADIR (did you mean INPAINT_DATA_DIR?).\n"
    )


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_taken_port_is_one_line(program: list[str], host: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = run(*program, "--host", host, "--port", str(port), "--data-dir", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == (
        f"inpaint: Port {port} is taken: another program listens at {host}. Stop that one, or choose another with --port.\n"
    )


@pytest.mark.parametrize(
    "variables",
    [
        pytest.param({}, id="nothing"),
        pytest.param(dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"), DEAD_PROXY), id="a dead proxy"),
        pytest.param({"http_proxy": DEAD_PROXY, "no_proxy": "intranet.example"}, id="exceptions of its own"),
        pytest.param({"ALL_PROXY": "socks5://127.0.0.1:9"}, id="a SOCKS proxy"),
    ],
)
def test_a_proxy_is_asked_nothing(serve: Serve, tmp_path: Path, variables: dict[str, str]) -> None:
    served = serve(**variables)
    assert erased(served, tmp_path)["changed_outside"] == 0
    assert health(served, **variables).returncode == 0


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
@pytest.mark.parametrize("flags", [[], ["--auth", "ann:pässword"], ["--host", "0.0.0.0", "--open"], ["--host", "::1"]], ids=" ".join)
def test_the_health_check_finds_port_and_login(serve: Serve, program: list[str], flags: list[str]) -> None:
    served = serve(*flags, program=program)
    done = health(served)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_folder_that_goes_bad_is_seen_by_readyz_and_by_the_health_check(serve: Serve, tmp_path: Path) -> None:
    served = serve("--auth", "ann:secret")
    shutil.rmtree(served.data)
    served.data.write_text("in its place")
    time.sleep(1.1)
    answer = httpx.get(f"{served.url}/readyz", auth=("ann", "secret"), trust_env=False)
    assert answer.status_code == 503 and answer.json()["reason"] == "The folder for uploads and results cannot be written."
    assert str(served.data) not in answer.text
    assert httpx.get(f"{served.url}/healthz", trust_env=False).status_code == 200
    assert (health(served).returncode, health(served).stderr) == (1, "inpaint: The folder for uploads and results cannot be written.\n")
    served.data.unlink()
    time.sleep(1.1)
    assert health(served).returncode == 0


def test_a_folder_that_is_deleted_while_it_serves_is_made_again(serve: Serve, tmp_path: Path) -> None:
    served = serve()
    shutil.rmtree(served.data)
    assert erased(served, tmp_path)["changed_outside"] == 0
    assert health(served).returncode == 0


def test_no_server_is_not_healthy() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()", "app.py", "--port", str(free_port())], stdin=subprocess.PIPE) as silent:
        done = run("-m", "inpaint.health", str(silent.pid))
    assert done.returncode == 1 and len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_the_first_process_of_a_container_obeys_in_its_first_seconds(program: list[str], number: signal.Signals, tmp_path: Path) -> None:
    """The kernel drops a signal that such a process has no handler for: it would go on importing, and serve."""
    if subprocess.run(["unshare", "--pid", "--fork", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not make a process the first of its kind")
    command = [
        "unshare",
        "--pid",
        "--fork",
        "--kill-child",
        sys.executable,
        "-X",
        "importtime",
        *program,
        "--port",
        str(free_port()),
        "--data-dir",
        str(tmp_path / "data"),
    ]
    with subprocess.Popen(command, cwd=ROOT, env=BARE | {"HOME": str(tmp_path)}, stderr=subprocess.PIPE, text=True) as process:
        impatient = threading.Timer(PATIENCE_SECONDS, process.kill)
        impatient.start()
        said = "".join(_told_at(process, " inpaint.config.settings\n", number))
        impatient.cancel()
        assert process.wait(PATIENCE_SECONDS) in (128 + number, number)
    assert "Traceback" not in said and " gradio\n" not in said and not (tmp_path / "data" / "running").exists()


def _told_at(process: subprocess.Popen[str], last: str, number: signal.Signals) -> Iterator[str]:
    """What it writes; the line that ends like this has its child sent the signal."""
    assert process.stderr is not None
    for line in process.stderr:
        yield line
        if line.endswith(last):
            child = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0]
            os.kill(int(child), number)
