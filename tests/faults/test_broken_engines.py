"""Engines that throw anything, return anything, are slow or die: the job ends with a sentence, and the next one is done."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.faults.calling import EDIT_FIELDS, erased, file_data, still_serves, uploaded, visitor
from tests.serving import BARE, PATIENCE_SECONDS, Serve, Served, Servers

SECRET, PLACE = "hf_what_nobody_may_read", "/home/ann/models"
BROKEN = f"""
import os, pathlib, runpy, subprocess, sys, time
import numpy as np
from inpaint.core.progress import Progress
from inpaint.engines.base import EngineOutput
from inpaint.engines.erase import fill_client
from inpaint.models.catalog import Models

class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("not even this")

class Base(BaseException):
    pass

def raises(error):
    def fail(work, report):
        raise error
    return fail

def returns(picture):
    return lambda work, report: EngineOutput(picture(work.picture))

def slow(work, report):
    for step in range(10_000):
        report(Progress("denoising", step + 1, 10_000))
        time.sleep(0.05)

def silent(work, report):
    report(Progress("denoising", 1, 9))
    time.sleep(600)

def crash(work, report):
    own = fill_client.fill_process.__file__
    fill_client.fill_process.__file__ = os.environ["CRASHES"]
    try:
        return engine.inpaint(work, report)
    finally:
        fill_client.fill_process.__file__ = own

FAULTS = {{
    "a bug": raises(ValueError("{PLACE}/a.bin {SECRET}")), "an error that cannot be shown": raises(Unprintable()), "a base exception": raises(Base("{SECRET}")),
    "an exit": raises(SystemExit(3)), "an interrupt": raises(KeyboardInterrupt()), "no memory": raises(MemoryError()), "no file": raises(OSError(2, "{PLACE}")),
    "nothing": lambda work, report: EngineOutput(None), "numbers that are none": returns(lambda p: np.full(p.shape, np.nan, np.float32)),
    "another size": returns(lambda p: p[:-1]), "grey": returns(lambda p: p[..., 0]), "floats": returns(lambda p: p / 255.0), "a crash": crash,
    "slow": slow, "silent": silent,
}}
engine, own = None, Models.engine

class Told:
    def __getattr__(self, name):
        return getattr(engine, name)

    def inpaint(self, work, report):
        fault = pathlib.Path(os.environ["FLAG"]).read_text()
        return FAULTS[fault](work, report) if fault else engine.inpaint(work, report)

def told(self, *given):
    global engine
    engine = own(self, *given)
    return Told()

Models.engine = told
runpy.run_path("app.py", run_name="__main__")
"""
"""The app with an engine that does what the file FLAG says."""


@pytest.fixture(scope="module")
def flag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the engine is told to do; nothing, at first."""
    folder = tmp_path_factory.mktemp("told")
    (folder / "crashes.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    (folder / "flag").write_text("")
    return folder / "flag"


def variables(flag: Path) -> dict[str, str]:
    return {"FLAG": str(flag), "CRASHES": str(flag.with_name("crashes.py"))}


@pytest.fixture(scope="module")
def server(flag: Path) -> Iterator[Served]:
    """One for all rows: what one engine's fault leaves behind would show in the next row."""
    servers = Servers(flag.parent)
    try:
        yield servers.start(program=("-c", BROKEN), environment=BARE | {"HOME": str(flag.parent)} | variables(flag))
    finally:
        servers.close()


@pytest.fixture
def client(server: Served) -> Iterator[httpx.Client]:
    with visitor(server) as client:
        yield client


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        *(
            (fault, "Something went wrong")
            for fault in ("a bug", "an error that cannot be shown", "a base exception", "an exit", "an interrupt", "no file", "nothing")
        ),
        ("no memory", "memory"),
        *((fault, "The model returned ") for fault in ("numbers that are none", "another size", "grey", "floats")),
        ("a crash", "PatchMatch crashed while it filled (SIGSEGV)"),
    ],
)
def test_a_fault_of_an_engine_ends_its_job_alone(
    fault: str, says: str, server: Served, client: httpx.Client, flag: Path, tmp_path: Path
) -> None:
    places, before = uploaded(client, tmp_path), server.results()
    flag.write_text(fault)
    kind, told = erased(client, places)
    flag.write_text("")
    assert kind == "error" and says in told["error"], told
    assert SECRET not in str(told) and PLACE not in str(told) and str(server.data) not in str(told)
    assert server.results() == before, "nothing was saved"
    still_serves(client, tmp_path)


def running(client: httpx.Client, flag: Path, fault: str, folder: Path) -> str:
    """Begins an edit whose engine does this; returns its event once it runs."""
    places = uploaded(client, folder)
    flag.write_text(fault)
    data = [*map(file_data, places), *[None] * len(EDIT_FIELDS)]
    event = client.post("/gradio_api/call/edit", json={"data": data}).json()["event_id"]
    wait(lambda: 'state="running"} 1.0' in client.get("/metrics").text)
    return event


def wait(until: Callable[[], bool]) -> None:
    for _ in range(PATIENCE_SECONDS * 10):
        if until():
            return
        time.sleep(0.1)
    raise AssertionError("it never came")


def test_beside_a_slow_engine_all_else_is_served_and_a_cancel_is_heard_at_the_next_step(
    client: httpx.Client, flag: Path, tmp_path: Path
) -> None:
    event = running(client, flag, "slow", tmp_path)
    flag.write_text("")
    assert [client.get(path).status_code for path in ("/healthz", "/readyz", "/", "/config")] == [200] * 4
    uploaded(client, tmp_path)
    assert client.post("/gradio_api/cancel", json={"session_hash": event, "fn_index": 0, "event_id": event}).status_code == 200
    still_serves(client, tmp_path)


def test_a_second_signal_ends_a_server_whose_engine_does_not_listen(serve: Serve, flag: Path, tmp_path: Path) -> None:
    """The first alone lets the running job have its moment, and ends with 0."""
    served = serve(program=("-c", BROKEN), **variables(flag))
    with visitor(served) as client:
        running(client, flag, "silent", tmp_path)
        flag.write_text("")
    served.process.send_signal(signal.SIGTERM)
    for _ in range(PATIENCE_SECONDS * 10):
        if served.process.poll() is not None:
            break
        served.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
    assert served.process.returncode == 128 + signal.SIGTERM
