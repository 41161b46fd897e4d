"""The Generate tab in a real Chromium: the chain, ready words, what is found again after a reload, and two tabs of one person."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.serving import Served
from tests.ui.app_page import MOUNTING_MS, AppPage

pytestmark = pytest.mark.browser

LONG_RUN = 1000
People = Callable[..., AppPage]


def read(path: Path) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(path).convert("RGB"))


def generate_tab(app: AppPage) -> None:
    app.page.get_by_role("tab", name="Generate").click()
    app.page.locator("#generate-button").wait_for()


def open_for_chain(app: AppPage, photo: Path) -> None:
    with app.page.expect_file_chooser() as chooser:
        app.page.locator("#open-for-chain-button").click()
    chooser.value.set_files(photo)
    app.page.locator("#edit-this-button").wait_for()


def unfold(app: AppPage, press: str = "#reimagine-this-button") -> None:
    app.page.locator(press).click()
    app.page.locator("#reimagine-prompt textarea").wait_for()
    app.page.wait_for_timeout(MOUNTING_MS)


def set_steps(app: AppPage, fold: str, steps: int) -> None:
    app.page.locator(f"{fold} > button.label-wrap").click()
    app.page.locator(fold).get_by_label("number input for Steps", exact=True).wait_for()
    app.page.wait_for_timeout(MOUNTING_MS)
    type_steps(app, fold, steps)


def type_steps(app: AppPage, fold: str, steps: int) -> None:
    field = app.page.locator(fold).get_by_label("number input for Steps", exact=True)
    field.fill(str(steps))
    field.press("Tab")


def labels(app: AppPage) -> list[str]:
    return app.page.locator(".ip-chain span").all_inner_texts()


def test_a_chain_is_made_looked_at_and_edited(app: AppPage, photo: Path) -> None:
    generate_tab(app)
    app.says("Tiny SDXL on the CPU", "#generate-note")
    app.page.locator("#generate-prompt textarea").fill("a dog")
    app.key("Control+Enter")
    app.page.locator("#edit-this-button").wait_for()
    open_for_chain(app, photo)
    app.page.locator(".ip-chain button:nth-child(2)").wait_for()
    unfold(app)
    app.page.locator("#reimagine-prompt textarea").fill("a cat")
    app.says("Tiny Kandinsky on the CPU", "#reimagine-note")
    app.page.locator("#reimagine-prompt textarea").focus()
    app.key("Control+Enter")
    app.page.locator(".ip-chain button:nth-child(3)[aria-pressed=true]").wait_for()
    assert labels(app) == ["1 generated", "2 opened", "3 reimagined, strength 0.3"]
    app.page.locator("#generated [aria-label='The shown picture']").wait_for()
    assert app.nameless() == [] and app.weak_texts() == []
    assert app.page.locator("#generate-prompt textarea").input_value() == "a dog"
    assert app.page.locator("#reimagine-prompt textarea").input_value() == "a cat"

    pictures: list[np.ndarray[Any, Any]] = []
    for number in (1, 2, 3):
        app.page.locator(f".ip-chain button:nth-child({number})").click()
        app.page.wait_for_function("n => document.querySelector(`.ip-chain button:nth-child(${n})`).ariaPressed === 'true'", arg=number)
        app.page.wait_for_timeout(MOUNTING_MS)
        pictures.append(read(app.download("#generated-download-button")))
    assert [picture.shape[:2] for picture in pictures[:2]] == [(128, 128), (400, 600)]
    assert (pictures[1] == read(photo)).all() and pictures[2].shape[0] % 64 == 0

    app.page.locator("#edit-this-button").click()
    app.page.wait_for_selector(".ip-stage[data-state=painting]")
    app.drag((0.4, 0.5), (0.6, 0.5))
    app.press_run()
    app.result()
    app.page.locator("#send-to-chain-button").click()
    app.page.locator(".ip-chain button:nth-child(4)").wait_for()
    assert labels(app)[3] == "4 edited"


def test_ready_words_fill_the_form_and_run_nothing(app: AppPage, served_app: Served) -> None:
    known = len(served_app.results())
    app.page.locator("[data-filling]").click()
    app.page.wait_for_selector(".ip-stage[data-state=painting]")
    app.says("Kandinsky 2.2 is not on this machine.")
    assert app.page.locator("#prompt textarea").input_value() == "Oil painting of a woman wearing a surgical mask, Vermeer"
    assert app.saved_mask()[100:200, 180:270].any()
    app.page.locator("#negative-box button.label-wrap").click()
    app.page.locator("#negative-prompt textarea").wait_for()
    app.page.wait_for_timeout(MOUNTING_MS)
    assert app.page.locator("#negative-prompt textarea").input_value() == "bad anatomy, deformed, ugly, disfigured"

    generate_tab(app)
    app.page.get_by_role("button", name="A robot that draws itself").click()
    app.says("SDXL Turbo is not on this machine", "#generate-note")
    assert app.page.locator("#generate-prompt textarea").input_value().startswith("A friendly humanoid robot sits at a wooden table")
    assert app.page.locator("#generate-size input").input_value() == "512 x 512 (square)"
    set_steps(app, "#generate-more", 1)
    assert app.page.locator("#generate-more").get_by_label("Seed").input_value() == "148607185"
    unfold(app, "#reimagine > button.label-wrap")
    app.page.get_by_role("button", name="The dog as a photo").click()
    app.says("Kandinsky 2.2 is not on this machine", "#reimagine-note")
    app.says("Generate or open a picture first.", "#reimagine-reason")
    assert app.page.locator("#reimagine-button").is_disabled()
    assert app.page.locator("#reimagine-prompt textarea").input_value() == "A photo of a friendly dog. High details, realistic"
    assert len(served_app.results()) == known


REMEMBER_CANCEL = """() => new MutationObserver(() => {
    window.cancelWasSeen ||= Boolean(document.querySelector("#cancel-button")?.offsetParent);
}).observe(document.body, {subtree: true, childList: true, attributes: true})"""


def test_a_small_model_says_what_it_knows(app: AppPage, photo: Path) -> None:
    app.page.evaluate(REMEMBER_CANCEL)
    app.page.locator("[data-example=strawberry]").click()
    app.result()
    assert app.page.evaluate("window.cancelWasSeen"), "a run that nobody can stop"
    assert app.page.locator("#prompt textarea").input_value() == "a strawberry", "or another run would erase"
    app.page.locator("#back-button").click()
    app.page.wait_for_selector(".ip-stage[data-state=painting]")
    app.open_file(photo)
    app.choose_model("Tiny Kandinsky")
    app.says("it draws 4 things, as simple drawings. For real pictures get Kandinsky 2.2.", ".ip-knows")
    app.type_prompt("a cathedral")
    app.says("It may not know 'a cathedral'", ".ip-knows")
    box = app.page.locator("#knows-tiny-kandinsky input")
    box.click()
    box.fill("dog")
    app.page.get_by_role("option", name="a dog", exact=True).click()
    app.page.wait_for_function("document.querySelector('#prompt textarea').value === 'a dog'")
    app.page.wait_for_function("!document.querySelector('.ip-knows').innerText.includes('It may not know')")


def test_a_reload_finds_a_reimagined_picture_and_its_settings_again(app: AppPage, photo: Path) -> None:
    generate_tab(app)
    open_for_chain(app, photo)
    unfold(app)
    app.page.locator("#reimagine-prompt textarea").fill("a cat")
    field = app.page.locator("#reimagine").get_by_label("number input for Strength", exact=True)
    field.fill("1")
    field.press("Tab")
    set_steps(app, "#reimagine-more", LONG_RUN)
    app.page.locator("#reimagine-more").get_by_label("Seed").fill("77")
    app.page.locator("#reimagine-button").click()
    app.says("Painting, step", "#generate-progress")
    app.page.reload()
    app.says("Painting, step", "#generate-progress")
    app.page.locator("#generated-preview img").wait_for()
    assert not app.page.locator("#generated").is_visible()
    unfold(app)
    app.page.locator("#generate-cancel-button").click()
    app.says("Cancelled.", "#generate-message")
    app.page.locator("#generated").wait_for()
    assert app.page.locator("#reimagine-prompt textarea").input_value() == "a cat"
    assert field.input_value() == "1"
    set_steps(app, "#reimagine-more", 4)
    assert app.page.locator("#reimagine-more").get_by_label("Seed").input_value() == "77"
    app.page.locator("#reimagine-button").click()
    app.page.locator(".ip-chain button:nth-child(2)").wait_for()
    assert labels(app) == ["1 opened", "2 reimagined, strength 1"]
    type_steps(app, "#reimagine-more", LONG_RUN)
    app.page.locator("#reimagine-button").click()
    app.says("Painting, step", "#generate-progress")
    app.page.locator("#generate-as-is-button").click()
    app.says("Stopped at step", "#generate-message")
    app.page.locator(".ip-chain button:nth-child(3)").wait_for()
    assert not app.page.locator("#generate-as-is-button").is_visible()


def test_two_tabs_of_one_person_keep_to_their_own_runs(app: AppPage, photo: Path, tmp_path: Path) -> None:
    """The second tab, opened while the first one runs, neither takes that run over nor shows its result."""
    app.open_file(photo)
    app.choose_model("Tiny Kandinsky")
    app.drag((0.4, 0.5), (0.6, 0.5))
    app.set_number("Steps", LONG_RUN)
    app.press_run()
    app.says("Painting, step", "#progress")
    second = AppPage(app.page.context.new_page(), app.seen, tmp_path)
    second.visit(app.page.url)
    second.open_file(photo)
    second.rectangle((0.1, 0.1), (0.3, 0.3))
    second.press_run()
    second.says("1 job ahead of you", "#progress")
    app.page.bring_to_front()
    app.page.locator("#as-is-button").click()
    app.result()
    second.page.bring_to_front()
    second.result()
    assert second.troubles == []
    differs = [(read(page.download()) != read(photo)).any(axis=2) for page in (app, second)]
    assert differs[0][180:220, 260:340].any() and not differs[0][:130].any()
    assert differs[1][60:100, 80:160].any() and not differs[1][140:].any()
