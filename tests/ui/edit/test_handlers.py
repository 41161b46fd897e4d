"""The Edit tab's handlers, called as the page calls them, without a browser."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from inpaint.config.settings import AppConfig
from inpaint.core.geometry import Bounds
from inpaint.core.masks.mask import Mask
from inpaint.core.picture import Picture
from inpaint.engines.base import EngineInput
from inpaint.jobs.job import Job
from inpaint.models.catalog import Models
from inpaint.service import Service
from inpaint.storage.results import save_picture
from inpaint.storage.uploads import Upload
from inpaint.ui.edit.context import EditContext
from inpaint.ui.edit.handlers import EditHandlers
from inpaint.ui.edit.tab import AUTOMATIC, build_edit_tab
from inpaint.ui.form import able
from inpaint.ui.images import data_url_png
from inpaint.ui.runs.identity import PERSON_COOKIE
from inpaint.ui.stage.stage import HeldValue, Stage
from tests.fakes import FakeEngine, Pixels, block, noise, run_apart, save

PATIENCE = 30
SIDE = 64
ANN: Any = SimpleNamespace(cookies={PERSON_COOKIE: "ann"}, session_hash="ann's page")


class Gate:
    """Paints when it is let."""

    def __init__(self) -> None:
        self.running, self.open = threading.Event(), threading.Event()

    def __call__(self, work: EngineInput) -> Pixels:
        self.running.set()
        assert self.open.wait(PATIENCE)
        return work.picture


def handlers(service: Service) -> EditHandlers:
    fetches: Any = SimpleNamespace(offer=lambda *of: {}, status=lambda *of: {}, can_fetch=lambda *of: False)
    with gr.Blocks():
        tab = build_edit_tab(
            able(service.models.specs.values(), "inpaint"), service.models.specs["erase"], Stage(render=False), "", {}, False
        )
        return EditHandlers(EditContext(service, tab, gr.HTML(), {}, fetches))


def painted(picture_id: str, left: int) -> dict[str, object]:
    """What the stage sends: a square from there."""
    return {"picture": picture_id, "mask": data_url_png(block(SIDE, SIDE, 20, left, 40, left + 20)), "grow": 0, "feather": 0}


def opened(editor: EditHandlers, photo: Path) -> dict[Any, Any]:
    """What the widgets say once a photo is open, a square is painted and an edit is typed."""
    values = {widget: widget.value for widget in editor.page.tab.inputs()} | {
        editor.page.tab.form.shown: "kandinsky-2.2",
        editor.page.tab.form.chosen: {},
    }
    session = editor.opening.opened(Upload.own(photo))[editor.page.session]
    settings = editor.page.tab.form.settings.widgets
    return values | {
        editor.page.session: session,
        editor.page.held: HeldValue(),
        editor.page.tab.stage: painted(session.picture_id, 10),
        editor.page.tab.form.prompt: "a red hat",
        editor.page.tab.form.model: "kandinsky-2.2",
        settings["num_inference_steps"]: 30,
        settings["seed"]: "7",
    }


def change_everything(editor: EditHandlers, values: dict[Any, Any]) -> None:
    """Other words, numbers and strokes, in place, and the events that come with them."""
    settings = editor.page.tab.form.settings.widgets
    values |= {editor.page.tab.form.prompt: "a blue dog", settings["num_inference_steps"]: 99, settings["seed"]: "8"}
    values[editor.page.tab.stage].update(painted(values[editor.page.session].picture_id, 30))
    editor.readiness.refresh(values)


def test_what_is_changed_while_a_run_waits_changes_nothing_in_it(
    config: AppConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = FakeEngine(Gate())
    monkeypatch.setattr(Models, "engine", lambda *given: engine)
    monkeypatch.setattr(Models, "is_available", lambda *given: True)
    service = Service.build(config)
    editor = handlers(service)
    values = opened(editor, save(noise(SIDE, SIDE), tmp_path / "photo.png"))
    other = service.edit_request(Picture(noise(SIDE, SIDE)), Mask(block(SIDE, SIDE, 0, 0, 9, 9)), {"model": "erase"})
    before: Job[Any] = service.start_edit(other, "ben")
    assert engine.paint.running.wait(PATIENCE)

    waited = list[Bounds]()

    async def run() -> list[dict[Any, Any]]:
        told = list[dict[Any, Any]]()
        async for updates in editor.running.run(values, ANN):
            told.append(updates)
            mine = editor.page.own_job(ANN)
            if mine is not None and mine.state == "waiting" and not waited:
                waited.append(mine.work.request.mask.bounds())
                await asyncio.to_thread(change_everything, editor, values)
                engine.paint.open.set()
        return told

    shown = run_apart(run())[-1]
    assert before.wait(PATIENCE) and len(engine.seen) == 2
    seen = engine.seen[1].sampling
    assert (seen.prompt, seen.num_inference_steps, seen.seed) == ("a red hat", 30, 7)
    assert waited == [Bounds(10, 20, 20, 20)]
    assert "Seed 7, 30 steps" in shown[editor.page.tab.stage]["result"]["items"][0]["label"]


def asker(page_id: str) -> Any:
    """A request of one of Ann's pages."""
    return SimpleNamespace(cookies={PERSON_COOKIE: "ann"}, session_hash=page_id)


@pytest.mark.parametrize("ends", ["while it paints", "while it is saved", "before anybody comes back"])
def test_a_reload_shows_the_one_result_that_the_worker_saved(
    ends: str, config: AppConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page is closed at some moment of its run, and another one of the same person is opened."""
    gate, saving, save_on = Gate(), threading.Event(), threading.Event()
    monkeypatch.setattr(Models, "engine", lambda *given: FakeEngine(gate))
    monkeypatch.setattr(Models, "is_available", lambda *given: True)
    service = Service.build(config)

    def slowly(picture: Picture, path: Path) -> Any:
        saving.set()
        assert save_on.wait(PATIENCE)
        return save_picture(picture, path)

    monkeypatch.setattr("inpaint.saving.save_picture", slowly)
    editor = handlers(service)
    values = opened(editor, save(noise(SIDE, SIDE), tmp_path / "photo.png"))

    async def closed_and_opened() -> dict[Any, Any]:
        first = editor.running.run(values, asker("first page"))
        await anext(first)
        job = editor.page.own_job(asker("first page"))
        assert job is not None
        if ends != "while it paints":
            gate.open.set()
            assert await asyncio.to_thread(saving.wait, PATIENCE)
        if ends == "before anybody comes back":
            save_on.set()
            assert await asyncio.to_thread(job.wait, PATIENCE)
        await first.aclose()
        found = await editor.running.find_again(asker("second page"))
        gate.open.set()
        save_on.set()
        session = found[editor.page.session]
        return [updates async for updates in editor.running.follow_again({editor.page.session: session}, asker("second page"))][-1]

    shown = run_apart(closed_and_opened())
    (result,) = (config.data_dir / "results").glob("*/*.png")
    assert shown[editor.page.session].results == (str(result),)
    assert "Seed 7, 30 steps" in shown[editor.page.tab.stage]["result"]["items"][0]["label"]


@pytest.mark.parametrize(("prompt", "chosen"), [("a red hat", "sdxl-inpaint"), ("", "erase")], ids=["words", "no words"])
def test_a_gpu_machine_that_has_only_sdxl_inpainting_paints_words_with_it(
    prompt: str, chosen: str, config: AppConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the page as for a program: HTTP and the command line ask the service."""
    monkeypatch.setattr("inpaint.hub.weights.are_on_disk", lambda spec, parts: not parts or spec.name in ("sdxl-inpaint", "kandinsky-mini"))
    service = Service.build(config)
    service.models.device = "cuda"
    editor = handlers(service)
    values = opened(editor, save(noise(SIDE, SIDE), tmp_path / "photo.png")) | {
        editor.page.tab.form.model: AUTOMATIC,
        editor.page.tab.form.prompt: prompt,
    }
    choice, missing = editor.readiness.choice(values)
    asked = service.edit_request(Picture(noise(SIDE, SIDE)), Mask(block(SIDE, SIDE, 10, 10, 20, 20)), {"prompt": prompt})
    assert choice is not None and missing is None and choice.spec.name == asked.model == chosen
    assert choice.reason in asked.notices[0]
