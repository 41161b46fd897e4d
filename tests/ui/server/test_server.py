"""The server as a process: SIGTERM with a running job, kill -9 and a restart, figures, one line for a wrong setting."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file

from inpaint.ui.security.signed_names import PERSON_COOKIE
from tests.fakes import block, save
from tests.serving import PATIENCE_SECONDS, Served, Servers, environment_without
from tests.ui.app_page import AppPage
from tests.ui.conftest import DESKTOP
from tests.ui.stage.stage_app import Seen

Start = Callable[..., Served]


@pytest.fixture
def start(served_app: Served, tmp_path: Path) -> Iterator[Start]:
    """Start a server of this test's own, on the session's tiny models; its log is tmp_path/log.txt."""
    servers = Servers(tmp_path)
    clean = environment_without("INPAINT_", "GRADIO_")

    def start_app(*flags: str, program: Sequence[str] = ("app.py",), config: Path = served_app.config, **variables: str) -> Served:
        return servers.start(*flags, program=program, config=config, environment=clean | variables)

    yield start_app
    servers.close()


def edit(served: Served, photo: Path, tmp_path: Path) -> Any:
    """An edit of a thousand steps, asked for by a caller of its own."""
    mask = save(block(400, 600, 100, 100, 200, 200), tmp_path / "mask.png")
    return Client(served.url, verbose=False, httpx_kwargs={"timeout": PATIENCE_SECONDS}).submit(
        handle_file(str(photo)), handle_file(str(mask)), prompt="a hat", model="tiny-kandinsky", num_inference_steps=1000, api_name="/edit"
    )


def long_edit(served: Served, photo: Path, tmp_path: Path) -> Any:
    """One that is on its way; returns when it runs."""
    job = edit(served, photo, tmp_path)
    wait(lambda: any((served.data / "running").glob("*/*.json")) or job.done())
    assert not job.done(), job.exception()
    return job


def patient(served_app: Served, tmp_path: Path, away_seconds: int) -> Path:
    """The session's settings, where whoever closes a page is waited for so long."""
    config = shutil.copytree(served_app.config, tmp_path / "config")
    (config / "app.toml").write_text(f"[queue]\naway_seconds = {away_seconds}\n")
    return config


def posted(served: Served, photo: Path, tmp_path: Path, cookies: Mapping[str, str] | None = None) -> str:
    """An edit of a thousand steps, asked for in plain HTTP; its event's id. Nobody listens yet."""
    mask = save(block(400, 600, 100, 100, 200, 200), tmp_path / "mask.png")
    api = f"{served.url}/gradio_api"
    files = [("files", (path.name, path.read_bytes())) for path in (photo, mask)]
    paths = httpx.post(f"{api}/upload", files=files, timeout=PATIENCE_SECONDS).json()
    data = [
        *({"path": path, "meta": {"_type": "gradio.FileData"}} for path in paths),
        "a hat",
        None,
        "tiny-kandinsky",
        1,
        1000,
        *[None] * 11,
    ]
    return httpx.post(f"{api}/call/edit", json={"data": data}, timeout=PATIENCE_SECONDS, cookies=dict(cookies or {})).json()["event_id"]


def waiting_edit(served: Served, photo: Path, tmp_path: Path) -> Any:
    """One behind it; returns when it waits."""
    job = edit(served, photo, tmp_path)
    wait(lambda: 'inpaint_jobs_unfinished{state="waiting"} 1.0' in figures(served) or job.done())
    assert not job.done(), job.exception()
    return job


def figures(served: Served) -> str:
    return httpx.get(f"{served.url}/metrics", timeout=PATIENCE_SECONDS).text


def wait(until: Callable[[], bool]) -> None:
    for _ in range(PATIENCE_SECONDS * 10):
        if until():
            return
        time.sleep(0.1)
    raise AssertionError("it never came")


def test_sigterm_ends_a_running_job_and_the_process_in_order(start: Start, photo: Path, tmp_path: Path) -> None:
    served = start("--log", "json")
    long_edit(served, photo, tmp_path)
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(PATIENCE_SECONDS) == 0
    log = (tmp_path / "log.txt").read_text()
    assert '"state": "cancelled"' in log and '"model": "tiny-kandinsky"' in log and "a hat" not in log
    assert "Traceback" not in log
    assert list((served.data / "running").glob("*/*.json")) == [] and served.results() == []


SILENT = """
from inpaint.core.progress import Progress
import runpy, time
from inpaint.models.catalog import Models

class Silent:
    def inpaint(self, work, report):
        report(Progress("denoising", 1, 9))
        time.sleep(600)

Models.engine = lambda *given: Silent()
runpy.run_path("app.py", run_name="__main__")
"""
"""The app with an engine that says nothing more within its first step, and that no thread can be stopped in."""

CONTAINERS_WAIT = 10


@pytest.mark.parametrize("program", [["app.py"], ["-c", SILENT]], ids=["an engine that listens", "a silent engine"])
def test_sigterm_tells_those_who_run_and_those_who_wait_before_a_container_is_killed(
    start: Start, photo: Path, tmp_path: Path, program: list[str]
) -> None:
    served = start(program=program)
    callers = [long_edit(served, photo, tmp_path), waiting_edit(served, photo, tmp_path)]
    assert 'inpaint_jobs_unfinished{state="running"} 1.0' in figures(served)
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(CONTAINERS_WAIT) == 0
    assert ["The server is stopping." in str(caller.exception(PATIENCE_SECONDS)) for caller in callers] == [True, True]
    assert "Traceback" not in (tmp_path / "log.txt").read_text()


@pytest.mark.browser
def test_sigterm_is_told_to_a_page_that_follows_its_run(start: Start, chromium: Any, photo: Path, tmp_path: Path) -> None:
    served = start()
    with chromium.new_context(**DESKTOP) as context:
        context.set_default_timeout(PATIENCE_SECONDS * 1000)
        page = AppPage(context.new_page(), Seen(), tmp_path)
        page.visit(served.url)
        page.open_file(photo)
        page.choose_model("Tiny Kandinsky")
        page.type_prompt("a hat")
        page.rectangle((0.25, 0.25), (0.5, 0.5))
        page.set_number("Steps", 1000)
        page.press_run()
        page.says("Painting, step", "#progress")
        served.process.send_signal(signal.SIGTERM)
        page.says("The server is stopping.", "#message")
    assert served.process.wait(CONTAINERS_WAIT) == 0


def test_kill_9_is_told_after_a_restart_and_leaves_no_half_result(start: Start, photo: Path, tmp_path: Path) -> None:
    killed = start()
    long_edit(killed, photo, tmp_path)
    killed.process.kill()
    killed.process.wait()
    restarted = start()
    assert "an earlier server was stopped in the middle of a job" in (tmp_path / "log.txt").read_text()
    assert 'inpaint_jobs_total{model="tiny-kandinsky",state="interrupted"} 1.0' in figures(restarted)
    assert restarted.results() == [] and list((restarted.data / "running").glob("*/*.json")) == []


CALLER = """
import sys
from gradio_client import Client, handle_file
Client(sys.argv[1], verbose=False).predict(handle_file(sys.argv[2]), handle_file(sys.argv[3]), prompt="a hat",
    model="tiny-kandinsky", num_inference_steps=1000, api_name="/edit")
"""


CANCELLED = 'inpaint_jobs_total{model="tiny-kandinsky",state="cancelled"} 1.0'


def test_the_job_of_a_program_that_leaves_ends_at_once(start: Start, served_app: Served, photo: Path, tmp_path: Path) -> None:
    """Although a closed page's would be kept for an hour here. While it listens, it is waited for."""
    served = start(config=patient(served_app, tmp_path, 3600))
    mask = save(block(400, 600, 100, 100, 200, 200), tmp_path / "mask.png")
    caller = subprocess.Popen([sys.executable, "-c", CALLER, served.url, str(photo), str(mask)])
    wait(lambda: any((served.data / "running").glob("*/*.json")) or caller.poll() is not None)
    time.sleep(3)
    assert caller.poll() is None and any((served.data / "running").glob("*/*.json"))
    caller.kill()
    caller.wait()
    wait(lambda: CANCELLED in figures(served))
    assert served.results() == []


@pytest.mark.parametrize("waits", [False, True], ids=["running", "waiting"])
def test_a_program_that_cancels_its_call_ends_the_job_at_once(
    start: Start, served_app: Served, photo: Path, tmp_path: Path, waits: bool
) -> None:
    served = start(config=patient(served_app, tmp_path, 3600))
    first = long_edit(served, photo, tmp_path)
    (waiting_edit(served, photo, tmp_path) if waits else first).cancel()
    wait(lambda: CANCELLED in figures(served))
    assert ('inpaint_jobs_unfinished{state="running"} 1.0' in figures(served)) == waits
    first.cancel()


def test_a_cancelled_call_leaves_the_callers_other_call_alone(start: Start, served_app: Served, photo: Path, tmp_path: Path) -> None:
    served = start(config=patient(served_app, tmp_path, 3600))
    mask = save(block(400, 600, 100, 100, 200, 200), tmp_path / "mask.png")
    client = Client(served.url, verbose=False, httpx_kwargs={"timeout": PATIENCE_SECONDS})

    def edit(steps: int) -> Any:
        files = handle_file(str(photo)), handle_file(str(mask))
        return client.submit(*files, prompt="a hat", model="tiny-kandinsky", num_inference_steps=steps, api_name="/edit")

    kept = edit(120)
    wait(lambda: any((served.data / "running").glob("*/*.json")) or kept.done())
    dropped = edit(1000)
    wait(lambda: 'inpaint_jobs_unfinished{state="waiting"} 1.0' in figures(served) or dropped.done())
    dropped.cancel()
    wait(lambda: CANCELLED in figures(served))
    files, report = kept.result(PATIENCE_SECONDS)
    assert len(files) == 1 and report["changed_outside"] == 0 and len(served.results()) == 1


def test_a_call_that_nobody_ever_listens_to_ends_too(start: Start, served_app: Served, photo: Path, tmp_path: Path) -> None:
    served = start(config=patient(served_app, tmp_path, 1))
    posted(served, photo, tmp_path)
    wait(lambda: CANCELLED in figures(served))
    assert served.results() == []


@pytest.mark.parametrize("invents", [False, True], ids=["no names", "names of their own"])
def test_calls_without_a_name_of_ours_share_the_limit_of_their_address(invents: bool, start: Start, photo: Path, tmp_path: Path) -> None:
    served = start()
    for number in range(3):
        posted(served, photo, tmp_path, {PERSON_COOKIE: f"invented-{number}.{'0' * 32}"} if invents else {})
    wait(lambda: "inpaint_queue_length 2.0" in figures(served))
    with httpx.stream("GET", f"{served.url}/gradio_api/call/edit/{posted(served, photo, tmp_path)}", timeout=PATIENCE_SECONDS) as told:
        assert "You have 3 runs going or waiting" in next(line for line in told.iter_lines() if line.startswith("data: {"))


def test_our_own_routes_stand_behind_the_login_under_any_prefix(start: Start) -> None:
    served = start("--auth", "ann:secret", GRADIO_ROOT_PATH="/inpaint")
    with httpx.Client(base_url=served.url, timeout=PATIENCE_SECONDS) as client:
        for prefix in ("", "/inpaint", "/inpaint/inpaint"):
            for name in ("metrics", "readyz"):
                assert client.get(f"{prefix}/{name}").status_code in (401, 404)
            assert client.get(f"{prefix}/config").status_code in (401, 404)
        assert client.get("/inpaint/metrics", auth=("ann", "secret")).status_code == 200
        assert client.get("/healthz").status_code == 200
        assert PERSON_COOKIE in client.get("/inpaint/").cookies
