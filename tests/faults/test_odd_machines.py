"""What happens to a server on a machine whose clock jumps, whose files run out, whose log cannot be written, or that has no network."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.calling import erased, still_serves, uploaded, visitor
from tests.serving import Serve

START = "runpy.run_path('app.py', run_name='__main__')\n"
CLOCK = (
    """
import os, pathlib, runpy, time
real = time.time
time.time = lambda: real() + float(pathlib.Path(os.environ["FLAG"]).read_text() or 0)
"""
    + START
)
FEW_FILES = "import resource, runpy\nresource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))\n" + START
FULL_LOG = "import os, runpy\nfull = os.open('/dev/full', os.O_WRONLY)\nos.dup2(full, 1)\nos.dup2(full, 2)\n" + START
NO_TUNNEL = (
    """
import runpy
from gradio import networking

def setup_tunnel(*given, **options):
    raise OSError("there is no network")

networking.setup_tunnel = setup_tunnel
"""
    + START
)
HOUR = 3600


def test_a_clock_that_jumps_costs_nothing(serve: Serve, tmp_path: Path) -> None:
    """An hour back, then half a day forward: durations stay durations, and no result takes another's place."""
    flag = tmp_path / "clock"
    flag.write_text("0")
    served = serve(program=("-c", CLOCK), FLAG=str(flag))
    with visitor(served) as client:
        for number, jump in enumerate((0, -HOUR, 12 * HOUR, 0), start=1):
            flag.write_text(str(jump))
            kind, told = erased(client, uploaded(client, tmp_path))
            assert kind == "complete" and all(0 <= seconds < HOUR for seconds in told[1]["seconds"].values()), told
            assert len(served.results()) == number
        assert client.get("/readyz").status_code == 200


def test_when_open_files_run_out_the_server_comes_back(serve: Serve, tmp_path: Path, log: Path) -> None:
    served = serve(program=("-c", FEW_FILES))
    name, _, port = served.url.removeprefix("http://").rpartition(":")
    with ExitStack() as open_connections:
        for _ in range(400):
            open_connections.enter_context(socket.create_connection((name, int(port)), 60))
    with visitor(served) as client:
        still_serves(client, tmp_path)
    assert log.stat().st_size < 1_000_000, "the log is not filled by it"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("variables", [{}, {"PYTHONUNBUFFERED": "1"}], ids=["in blocks", "at once"])
def test_output_that_cannot_be_written_costs_no_edit(variables: dict[str, str], serve: Serve, tmp_path: Path) -> None:
    with visitor(serve(program=("-c", FULL_LOG), **variables)) as client:
        still_serves(client, tmp_path)
        assert client.get("/readyz").status_code == 200


def test_without_a_tunnel_the_server_serves_this_machine(serve: Serve, tmp_path: Path, log: Path) -> None:
    served = serve("--share", "--open", program=("-c", NO_TUNNEL))
    with visitor(served) as client:
        still_serves(client, tmp_path)
    assert "Could not create share link" in log.read_text()
