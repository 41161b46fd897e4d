"""Downloads asked for on the page: who may, one at a time, stopped, told; with a stand-in for what really fetches."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from inpaint.config.load import load_config
from inpaint.config.settings import Settings
from inpaint.core.spec import ModelSpec, Task
from inpaint.errors import Busy, EditCancelled, ModelUnavailable
from inpaint.hub.transfer import Transfer
from inpaint.service import Service
from inpaint.ui.downloads.fetcher import Fetch, Fetcher, may_download
from inpaint.ui.downloads.line import FetchHandlers, FetchLine, Look
from inpaint.ui.page import build_page
from inpaint.ui.runs.identity import PERSON_COOKIE
from tests.fakes import run_apart

SPECS = load_config(environment={}).models
TURBO, HEART, ERASE = SPECS["sdxl-turbo"], SPECS["kandinsky-2.2"], SPECS["erase"]
PATIENCE_SECONDS = 30


class Hub:
    """Stands in for the hub: 100 bytes, ten at a time, each when the test lets it."""

    def __init__(self, fails: BaseException | None = None) -> None:
        self.fails, self.asked = fails, []
        self.go = threading.Semaphore(0)
        self.arrived: set[str] = set()

    def plan(self, spec: Any, parts: Any) -> Any:
        self.asked.append((spec.name, tuple(parts)))
        return SimpleNamespace(missing_bytes=100, all_bytes=100, model=spec.name)

    def download(self, plan: Any, report: Callable[[Transfer], None]) -> None:
        for done in range(10, 101, 10):
            assert self.go.acquire(timeout=PATIENCE_SECONDS)
            report(Transfer("unet", done, 100))
        if self.fails:
            raise self.fails
        self.arrived.add(plan.model)


def wait(until: Callable[[], bool]) -> None:
    for _ in range(PATIENCE_SECONDS * 100):
        if until():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never came")


@pytest.mark.parametrize(
    ("settings", "environment", "allowed"),
    [
        pytest.param({}, {}, True, id="localhost"),
        pytest.param({"host": "127.0.0.1"}, {}, True, id="localhost by number"),
        pytest.param({"host": "[::1]"}, {}, True, id="localhost in the new spelling"),
        pytest.param({"host": "127.0.0.2"}, {}, True, id="another address of localhost"),
        pytest.param({"host": "0.0.0.0"}, {}, False, id="the whole network"),
        pytest.param({"host": "::"}, {}, False, id="the whole network in the new spelling"),
        pytest.param({"allowed_hosts": ("inpaint.example",)}, {}, False, id="localhost behind a name"),
        pytest.param({"trusted_proxies": ("127.0.0.1",)}, {}, False, id="localhost behind a proxy"),
        pytest.param({}, {"GRADIO_SERVER_NAME": "0.0.0.0"}, False, id="the whole network, by Gradio's variable"),
        pytest.param({"share": True}, {}, False, id="a shared link"),
        pytest.param({}, {"SPACE_ID": "me/inpaint"}, False, id="a Space"),
        pytest.param({"host": "0.0.0.0", "page_downloads": "on"}, {}, True, id="on"),
        pytest.param({"page_downloads": "on"}, {"SPACE_ID": "me/inpaint"}, True, id="on, in a Space"),
        pytest.param({"page_downloads": "off"}, {}, False, id="off"),
    ],
)
def test_who_may_have_models_downloaded(settings: Mapping[str, Any], environment: Mapping[str, str], allowed: bool) -> None:
    assert may_download(Settings(**settings), environment) is allowed


@pytest.mark.parametrize(("options", "allowed"), [({}, True), ({"share": True}, False), ({"server_name": "0.0.0.0"}, False)])
def test_who_launches_the_page_by_hand_decides_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], allowed: bool
) -> None:
    monkeypatch.setattr(gr.Blocks, "launch", lambda self, *args, **options: None)
    page = build_page(Service.build(load_config(environment={}, flags={"device": "cpu", "data_dir": str(tmp_path), "open": True})))
    page.launch(**options)
    assert page.fetches.allowed is allowed


def test_one_download_at_a_time_over_all_people() -> None:
    hub = Hub()
    fetcher = Fetcher(hub.plan, hub.download)
    first = fetcher.start(TURBO, "generate")
    assert fetcher.start(TURBO, "generate") is first and fetcher.current is first
    with pytest.raises(Busy, match="SDXL Turbo is being downloaded"):
        fetcher.start(HEART, "inpaint")
    hub.go.release(10)
    wait(lambda: first.is_finished)
    assert first.error is None and (first.done_bytes, first.all_bytes) == (100, 100) and hub.arrived == {"sdxl-turbo"}
    second = fetcher.start(HEART, "inpaint")
    hub.go.release(10)
    wait(lambda: second.is_finished)
    assert hub.asked == [("sdxl-turbo", ("pipeline",)), ("kandinsky-2.2", ("prior", "decoder"))]


def test_another_task_of_the_same_model_needs_other_parts_and_so_waits() -> None:
    hub = Hub()
    fetcher = Fetcher(hub.plan, hub.download)
    going = fetcher.start(HEART, "inpaint")
    with pytest.raises(Busy, match="Kandinsky 2.2 is being downloaded"):
        fetcher.start(HEART, "image-to-image")
    assert going.brings(HEART, "inpaint") and not going.brings(HEART, "image-to-image")
    going.cancel()
    hub.go.release(1)
    wait(lambda: going.is_finished)
    assert hub.asked == [("kandinsky-2.2", ("prior", "decoder"))]


def test_a_download_is_stopped_and_begun_again() -> None:
    hub = Hub()
    fetcher = Fetcher(hub.plan, hub.download)
    stopped = fetcher.start(TURBO, "generate")
    hub.go.release(3)
    wait(lambda: stopped.done_bytes == 30)
    stopped.cancel()
    hub.go.release()
    wait(lambda: stopped.is_finished)
    assert isinstance(stopped.error, EditCancelled) and hub.arrived == set()
    again = fetcher.start(TURBO, "generate")
    hub.go.release(10)
    wait(lambda: again.is_finished)
    assert again.error is None and hub.arrived == {"sdxl-turbo"}


@pytest.mark.parametrize(
    ("fails", "said"),
    [
        pytest.param(ModelUnavailable("There is no network.", "Check it."), "There is no network.", id="a refusal"),
        pytest.param(RuntimeError("secret /home/me"), "Something went wrong inside the app", id="a bug"),
    ],
)
def test_what_goes_wrong_is_told(fails: BaseException, said: str) -> None:
    hub = Hub(fails)
    hub.go.release(10)
    fetch = Fetch(TURBO, "generate")
    fetch.run(hub.plan, hub.download)
    assert fetch.is_finished and fetch.error is not None and said in fetch.error.message and "secret" not in str(fetch.error)


@pytest.mark.parametrize(
    ("heard", "left"),
    [
        pytest.param([], None, id="nothing came"),
        pytest.param([(1, 900, 0)], None, id="what was here is checked, quickly"),
        pytest.param([(1, 900, 0), (11, 950, 50)], 10.0, id="then half of the rest came in ten seconds"),
        pytest.param([(1, 900, 0), (11, 950, 50), (14, 950, 50), (19, 975, 75)], 5.0, id="a pause to check what came counts for nothing"),
        pytest.param([(10, 50, 50), (20, 100, 100)], None, id="all came"),
        pytest.param([(10, 100, 160)], None, id="more came than was missing: something was damaged"),
    ],
)
def test_the_time_left_is_told_by_what_was_fetched(heard: list[tuple[float, int, int]], left: float | None) -> None:
    """heard: seconds, done, fetched; of 1000 bytes, of which 900 were here."""
    ticks = iter([0.0, *(seconds for seconds, _, _ in heard)])
    fetch = Fetch(TURBO, "generate", clock=lambda: next(ticks))
    fetch.missing_bytes = 100
    for _, done, fetched in heard:
        fetch.report(Transfer("unet", done, 1000, fetched))
    assert fetch.seconds_left == left


def asks(person: str) -> Any:
    return SimpleNamespace(cookies={PERSON_COOKIE: person}, session_hash=f"page of {person}")


def handlers(hub: Hub, allowed: bool = True) -> tuple[FetchHandlers, FetchLine]:
    models: Any = SimpleNamespace(is_available=lambda spec, task: spec.name in hub.arrived, specs=SPECS)
    with gr.Blocks():
        line, found = FetchLine.build("test"), FetchHandlers(models, Fetcher(hub.plan, hub.download), allowed)
        found.bind(line, "generate", lambda values: TURBO, {line.button}, Look(lambda: None, {line.button}, []))
    return found, line


def press(found: FetchHandlers, line: FetchLine, person: str = "anna", spec: ModelSpec = TURBO, task: Task = "generate") -> dict[Any, Any]:
    return found.begin(line, task, lambda values: spec, {}, asks(person))


def watched(found: FetchHandlers, number: int, person: str = "anna") -> list[dict[Any, Any]]:
    async def all_of_it() -> list[dict[Any, Any]]:
        return [updates async for updates in found.follow(number, asks(person))]

    return run_apart(all_of_it())


def test_the_button_leads_to_a_model_that_is_ready_without_a_restart() -> None:
    hub = Hub()
    found, line = handlers(hub)
    offered = found.offer(line, TURBO, "generate")[line.button]
    assert offered["visible"] and offered["value"] == "Download (about 6.9 GB, Stability AI Community License)"
    assert press(found, line) == {found.going: 1}
    threading.Timer(1.0, hub.go.release, (10,)).start()
    told = watched(found, 1)
    assert told[0][line.stop]["visible"] and not told[-1][line.stop]["visible"] and told[-1][line.progress] == ""
    assert not found.offer(line, TURBO, "generate")[line.button]["visible"] and found.find_again() == 0


def test_a_page_that_comes_later_sees_the_download_and_who_began_it_can_stop_it() -> None:
    hub = Hub()
    found, line = handlers(hub)
    press(found, line, "anna")
    assert found.find_again() == 1
    found.stop(asks("bert"))
    hub.go.release(3)
    fetch = found.fetcher.numbered(1)
    assert fetch is not None
    wait(lambda: fetch.done_bytes == 30)
    assert fetch.error is None, "somebody else's Stop was heard"
    other = found.offer(line, HEART, "inpaint")[line.button]
    assert other["visible"] and not other["interactive"], "another model's button, while one is downloaded"

    async def first(person: str) -> dict[Any, Any]:
        return await anext(found.follow(1, asks(person)))

    assert [run_apart(first(person))[line.stop]["visible"] for person in ("bert", "anna")] == [False, True]
    found.stop(asks("anna"))
    hub.go.release()
    wait(lambda: fetch.is_finished)
    assert isinstance(fetch.error, EditCancelled)
    assert found.offer(line, HEART, "inpaint")[line.button]["interactive"]


def test_an_end_that_comes_before_the_page_looks_is_told() -> None:
    hub = Hub(ModelUnavailable("There is no network.", "Check it."))
    found, line = handlers(hub)
    number = press(found, line)[found.going]
    hub.go.release(10)
    fetch = found.fetcher.numbered(number)
    assert fetch is not None
    wait(lambda: fetch.is_finished)
    assert "There is no network." in watched(found, number)[-1][line.progress]


def test_a_number_of_long_ago_is_no_download() -> None:
    found, line = handlers(Hub())
    assert watched(found, 7) == [{line.progress: "", line.stop: gr.update(visible=False)}]


@pytest.mark.parametrize("why", ["not allowed", "here already", "nothing to fetch", "a local folder"])
def test_what_cannot_be_downloaded_is_not(why: str) -> None:
    hub = Hub()
    found, line = handlers(hub, allowed=why != "not allowed")
    local = dataclasses.replace(TURBO, sources={"pipeline": dataclasses.replace(TURBO.sources["pipeline"], repo_id="./here")})
    spec = {"nothing to fetch": ERASE, "a local folder": local}.get(why, TURBO)
    hub.arrived = {"sdxl-turbo"} if why == "here already" else set()
    task: Any = spec.tasks[0]
    assert not found.offer(line, spec, task)[line.button]["visible"]

    assert "There is nothing to download here." in press(found, line, spec=spec, task=task)[line.progress]
    assert hub.asked == []
