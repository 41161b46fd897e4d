"""The main job in a real Chromium, against the real app: open, paint, run, look, keep; and everything that may go wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.serving import Served
from tests.ui.app_page import MOUNTING_MS, AppPage
from tests.ui.conftest import PHONE

pytestmark = pytest.mark.browser

BAND = 6
PROVED = "0 px changed beyond the 6 px blend band."
LONG_RUN = 1000
People = Callable[..., AppPage]


def read(path: Path) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(path).convert("RGB"))


def check_kept(original: Path, result: Path, mask: np.ndarray[Any, Any], band: int = BAND) -> None:
    """Full size, every pixel beyond the band as it was, and something new inside."""
    before, after = read(original), read(result)
    assert after.shape == before.shape == (*mask.shape, 3)
    far = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) > band
    differs = (before != after).any(axis=2)
    assert np.count_nonzero(differs & far) == 0
    assert np.count_nonzero(differs & mask) > 0.5 * np.count_nonzero(mask)


def paint(app: AppPage) -> None:
    app.drag((0.4, 0.5), (0.6, 0.5))


def opened_and_painted(app: AppPage, photo: Path, model: str = "") -> AppPage:
    app.open_file(photo)
    if model:
        app.choose_model(model)
    paint(app)
    app.can_run()
    return app


# From a photo to the edit


def test_a_12_mp_photo_is_erased_with_the_mouse(app: AppPage, large_photo: Path) -> None:
    app.open_file(large_photo)
    app.drag((0.3, 0.3), (0.5, 0.3))
    app.drag((0.3, 0.5), (0.5, 0.5))
    app.page.locator("[data-do=undo]").click()
    app.page.locator("[data-do=redo]").click()
    app.key("Control+z")
    app.page.locator("[data-tool=erase]").click()
    app.drag((0.45, 0.2), (0.45, 0.4))
    mask = app.saved_mask()
    assert mask.shape == (3000, 4000)
    assert mask[900, 1400] and not mask[1500, 1400] and not mask[900, 1800]
    app.press_run()
    app.result()
    assert app.line() == PROVED
    check_kept(large_photo, app.download(), mask)


def test_a_12_mp_photo_is_repainted_with_fingers_on_a_phone(phone: AppPage, large_photo: Path) -> None:
    phone.open_file(large_photo)
    phone.choose_model("Tiny Kandinsky")
    phone.type_prompt("a red hat")
    phone.touch([(0.3, 0.4), (0.4, 0.4), (0.5, 0.4)])
    phone.touch([(0.7, 0.2), (0.7, 0.3), (0.7, 0.4)])
    phone.page.wait_for_timeout(500)  # Chromium makes no click of a tap that comes within 0.3 s of another touch, as no person's does
    phone.page.locator("[data-do=undo]").tap()
    phone.page.wait_for_function("!document.querySelector('[data-do=redo]').disabled")  # a tap's click comes a moment after it
    mask = phone.saved_mask()
    assert mask[1200, 1600] and not mask[900, 2800]
    phone.can_run()
    phone.page.locator("#run-button").tap()
    phone.result()
    assert phone.line() == PROVED
    check_kept(large_photo, phone.download(), mask)


def test_a_rectangle_changes_that_rectangle(app: AppPage, photo: Path) -> None:
    app.open_file(photo)
    app.rectangle((0.25, 0.25), (0.5, 0.5))
    app.press_run()
    app.result()
    near = np.zeros((400, 600), bool)
    near[99:202, 149:302] = True
    check_kept(photo, app.download(), near)


def test_the_mask_crosses_the_network_once_after_each_change(app: AppPage, photo: Path) -> None:
    sent = list[bool]()
    app.page.on(
        "request",
        lambda request: sent.append("data:image/png;base64" in (request.post_data or "")) if "/queue/join" in request.url else None,
    )
    app.open_file(photo)
    app.choose_model("Tiny Kandinsky")
    app.drag((0.4, 0.5), (0.6, 0.5))
    app.can_run()
    assert sum(sent) == 1
    app.type_prompt("a red hat")
    app.set_number("Candidates", 2)
    app.press_run()
    app.result()
    app.page.locator("[data-candidate='1']").click()
    app.page.wait_for_function("document.querySelector('[data-candidate=\\'1\\']').getAttribute('aria-pressed') === 'true'")
    assert sum(sent) == 1 and len(sent) > 4, "words, Run and another candidate need no mask"
    app.page.locator("#another-button").click()
    app.result()
    assert sum(sent) == 1


def test_an_example_gives_a_result_in_one_click(app: AppPage) -> None:
    app.type_prompt("typed before")
    app.page.locator("[data-example=coffee]").click()
    app.result()
    assert app.line() == PROVED
    assert app.page.locator("#prompt textarea").input_value() == "typed before"
    app.page.locator("#back-button").click()
    assert app.saved_mask().any()


def test_a_generated_picture_is_edited(app: AppPage) -> None:
    app.page.get_by_role("tab", name="Generate").click()
    app.choose_model("Tiny SDXL", "#generate-model")
    app.page.locator("#generate-prompt textarea").fill("a dog")
    app.key("Control+Enter")
    app.says("Tiny SDXL on the CPU", "#generate-chip")
    app.page.locator("#edit-this-button").wait_for()
    assert re.fullmatch(r"Seed \d+, 1 step, [\d.]+ s, Tiny SDXL\.", app.page.locator("#generated-line").inner_text().strip())
    app.page.locator("#edit-this-button").click()
    app.page.wait_for_selector(".ip-stage[data-state=painting]")
    app.says("Erase on the CPU", "#edit-chip")
    assert not app.page.locator("#generate-chip").is_visible()
    assert "128 × 128 px" in app.about()
    paint(app)
    mask = app.saved_mask()
    app.press_run()
    app.result()
    assert app.line() == PROVED
    app.page.get_by_role("tab", name="Generate").click()
    made = app.download("#generated-download-button")
    app.page.get_by_role("tab", name="Edit").click()
    check_kept(made, app.download(), mask)


# After a run


def test_keep_back_and_another(app: AppPage, photo: Path) -> None:
    app.open_file(photo)
    app.choose_model("Tiny Kandinsky")
    app.more().get_by_label("Seed").fill("5")
    paint(app)
    mask = app.saved_mask()
    app.press_run()
    app.result()
    assert "Seed 5," in app.about()
    first = app.download()

    app.page.locator("#another-button").click()
    app.page.wait_for_function("!document.querySelector('[data-part=about]').innerText.includes('Seed 5,')")
    app.result()
    another = app.download()
    assert app.more().get_by_label("Seed").input_value() == "5"
    assert (read(first) != read(another)).any()

    app.page.locator("#back-button").click()
    app.page.wait_for_selector(".ip-stage[data-state=painting]")
    assert (app.saved_mask() == mask).all()
    app.press_run()
    app.result()
    assert (read(app.download()) == read(first)).all()

    app.page.locator("#keep-button").click()
    app.page.wait_for_selector(".ip-stage[data-state=painting]")
    app.says("Paint the part to change first.")
    app.rectangle((0.1, 0.1), (0.2, 0.2))
    app.press_run()
    app.result()
    kept = read(app.download())
    assert (kept[190:210, 250:350] == read(first)[190:210, 250:350]).all()
    assert (kept[45:75, 65:115] != read(first)[45:75, 65:115]).any()


def test_candidates_are_chosen_by_key_and_download_follows(app: AppPage, photo: Path) -> None:
    opened_and_painted(app, photo, "Tiny Kandinsky")
    app.more().get_by_label("Seed").fill("20")
    app.set_number("Candidates", 3)
    app.press_run()
    app.result()
    assert app.page.locator("[data-candidate]").count() == 3
    found = [read(app.download())]
    for key, seed in (("3", 22), ("2", 21)):
        app.page.locator("[data-part=pad]").focus()
        app.key(key)
        app.page.wait_for_function("seed => document.querySelector('[data-part=about]').innerText.includes(`Seed ${seed},`)", arg=seed)
        found.append(read(app.download(named=f"-{seed}.png")))
    assert all((one != other).any() for one, other in ((found[0], found[1]), (found[1], found[2]), (found[0], found[2])))


# What goes wrong


def test_run_says_why_it_cannot_be_pressed(app: AppPage, photo: Path) -> None:
    app.says("Open a picture first.")
    assert app.page.locator("#run-button").is_disabled()
    app.open_file(photo)
    app.says("Paint the part to change first.")
    assert app.page.locator("#run-button").is_disabled()
    paint(app)
    app.can_run()
    app.type_prompt("a red hat")
    app.says("Tiny Kandinsky", "#model-note")
    app.can_run()
    app.choose_model("Kandinsky 2.2")
    app.says("Kandinsky 2.2 is not on this machine.")
    app.says("about 19.5 GB to download, Apache-2.0.", "#model-note")
    assert app.page.locator("#run-button").is_disabled()
    app.choose_model("Erase")
    app.says("Erase fills from the picture itself and takes no prompt.")
    assert app.page.locator("#run-button").is_disabled()
    app.type_prompt("")
    app.can_run()
    app.choose_model("Automatic")
    app.can_run()


@pytest.mark.parametrize(
    ("name", "content"), [("broken.png", b"\x89PNG\r\n\x1a\n" + bytes(40)), ("letter.jpg", b"Dear Ada"), ("nothing.png", b"")]
)
def test_a_file_that_is_no_picture_leaves_everything_as_it_was(app: AppPage, photo: Path, name: str, content: bytes) -> None:
    opened_and_painted(app, photo)
    app.type_prompt("kept")
    mask = app.saved_mask()
    path = app.folder / name
    path.write_bytes(content)
    app.page.locator("#open-picture input[type=file]").set_input_files(path)
    app.says(name, "#message .ip-error")
    app.page.wait_for_selector("[data-part=opening]", state="hidden")
    assert "garden.jpg" in app.about() and (app.saved_mask() == mask).all()
    assert app.page.locator("#prompt textarea").input_value() == "kept"
    app.type_prompt("")
    app.press_run()
    app.result()


def test_what_was_typed_and_set_outlives_models_tabs_and_errors(app: AppPage, photo: Path) -> None:
    opened_and_painted(app, photo, "Tiny Kandinsky")
    app.type_prompt("a red hat")
    app.page.locator("#negative-box button.label-wrap").click()
    app.page.locator("#negative-prompt textarea").fill("a dog")
    app.more().get_by_label("Seed").fill("not a number")
    app.set_number("Steps", 3)
    app.press_run()
    app.says("Seed must be a number", "#message .ip-error")
    app.choose_model("Erase")
    app.page.locator("#more").get_by_label("number input for Steps", exact=True).wait_for(state="hidden")
    app.page.get_by_role("tab", name="Generate").click()
    app.page.get_by_role("tab", name="Edit").click()
    app.choose_model("Tiny Kandinsky")
    steps = app.page.locator("#more").get_by_label("number input for Steps", exact=True)
    steps.wait_for()
    assert steps.input_value() == "3"
    assert app.page.locator("#prompt textarea").input_value() == "a red hat"
    assert app.page.locator("#negative-prompt textarea").input_value() == "a dog"
    assert app.more().get_by_label("Seed").input_value() == "not a number"
    assert app.saved_mask().any()


def test_cancel_gives_the_mask_back_and_the_next_run_works(app: AppPage, photo: Path, served_app: Served) -> None:
    opened_and_painted(app, photo, "Tiny Kandinsky")
    mask, known = app.saved_mask(), len(served_app.results())
    app.set_number("Steps", LONG_RUN)
    app.press_run()
    app.says("Painting, step", "#progress")
    app.page.locator("#cancel-button").click()
    app.says("Cancelled.", "#message")
    app.page.wait_for_selector(".ip-stage[data-state=painting]")
    assert (app.saved_mask() == mask).all() and len(served_app.results()) == known
    app.set_number("Steps", 2)
    app.press_run()
    app.result()


def test_escape_cancels(app: AppPage, photo: Path) -> None:
    opened_and_painted(app, photo, "Tiny Kandinsky")
    app.set_number("Steps", LONG_RUN)
    app.press_run()
    app.says("Painting, step", "#progress")
    app.key("Escape")
    app.says("Cancelled.", "#message")


def test_cancel_works_with_as_many_tabs_as_a_person_may_run(people: People, photo: Path) -> None:
    """A browser keeps six connections to a server, and every run holds one."""
    first = people()
    tabs = [first, people(first), people(first)]
    for tab in tabs:
        opened_and_painted(tab, photo, "Tiny Kandinsky")
        tab.set_number("Steps", LONG_RUN)
        tab.press_run()
        tab.page.locator("#cancel-button").wait_for()
    fourth = opened_and_painted(people(first), photo)
    fourth.press_run()
    fourth.says("You have 3 runs going or waiting", "#message")
    for tab in tabs:
        tab.page.bring_to_front()
        tab.page.locator("#cancel-button").click()
        tab.says("Cancelled.", "#message")


def test_pressed_twice_it_runs_once(app: AppPage, photo: Path, served_app: Served) -> None:
    opened_and_painted(app, photo)
    known = len(served_app.results())
    app.page.locator("#run-button").dblclick()
    app.result()
    app.page.evaluate("""() => { for (let i = 0; i < 2; i++) window.dispatchEvent(
        new KeyboardEvent("keydown", {key: "Enter", ctrlKey: true, bubbles: true})) }""")
    app.page.wait_for_selector(".ip-stage:not([data-state=result])")
    app.result()
    app.page.wait_for_timeout(500)
    assert len(served_app.results()) == known + 2


def test_run_right_after_a_stroke_sends_that_stroke(app: AppPage, photo: Path) -> None:
    opened_and_painted(app, photo)
    app.drag((0.1, 0.1), (0.3, 0.1))
    app.key("Control+Enter")
    app.result()
    changed = (read(app.download()) != read(photo)).any(axis=2)
    assert changed[40, 60:180].mean() > 0.5 and changed[200, 250:350].mean() > 0.5


def test_two_people_do_not_meet(people: People, photo: Path, tmp_path: Path) -> None:
    other_photo = tmp_path / "other.png"
    Image.fromarray(read(photo)[::-1, ::-1]).save(other_photo)
    ada, bob = people(), people()
    opened_and_painted(ada, photo, "Tiny Kandinsky")
    bob.open_file(other_photo)
    bob.rectangle((0.1, 0.1), (0.3, 0.3))
    masks = ada.saved_mask(), bob.saved_mask()
    ada.press_run()
    bob.press_run()
    for person, picture, mask in ((ada, photo, masks[0]), (bob, other_photo, masks[1])):
        person.result()
        check_kept(picture, person.download(), mask)


def test_a_reload_during_a_run_finds_it_again_with_all_that_was_set(app: AppPage, photo: Path) -> None:
    opened_and_painted(app, photo, "Tiny Kandinsky")
    mask = app.saved_mask()
    app.type_prompt("a red hat")
    app.page.locator("#negative-box button.label-wrap").click()
    app.page.locator("#negative-prompt textarea").wait_for()
    app.page.wait_for_timeout(MOUNTING_MS)
    app.page.locator("#negative-prompt textarea").fill("a dog")
    app.page.locator("[data-part=feather]").fill("9")
    app.page.locator("[data-part=grow]").fill("2")
    app.set_number("Steps", LONG_RUN)
    app.more().get_by_label("Seed").fill("77")
    app.press_run()
    app.says("Painting, step", "#progress")
    app.page.reload()
    app.says("Painting, step", "#progress")
    app.page.wait_for_function("document.querySelector('#prompt textarea').value === 'a red hat'")
    app.page.locator("#cancel-button").click()
    app.says("Cancelled.", "#message")
    assert (app.saved_mask() == mask).all()
    app.page.locator("#negative-box button.label-wrap").click()
    app.page.locator("#negative-prompt textarea").wait_for()
    app.page.wait_for_timeout(MOUNTING_MS)
    assert app.page.locator("#negative-prompt textarea").input_value() == "a dog"
    assert app.page.locator("#model input").input_value() == "Tiny Kandinsky"
    assert app.more().get_by_label("Seed").input_value() == "77"
    steps = app.more().get_by_label("number input for Steps", exact=True)
    assert steps.input_value() == str(LONG_RUN)
    assert [app.page.locator(f"[data-part={name}]").input_value() for name in ("feather", "grow")] == ["9", "2"]
    app.set_number("Steps", 2)
    app.press_run()
    app.result()
    assert app.line() == "0 px changed beyond the 11 px blend band."
    assert "Seed 77," in app.about()


# The page itself


def test_light_or_dark_is_remembered(app: AppPage) -> None:
    for dark in (True, False):
        app.page.locator("#theme-button").click()
        app.page.reload()
        app.settled()
        assert app.page.evaluate("document.body.classList.contains('dark')") is dark
        assert app.page.locator("#theme-button").inner_text() == ("Light" if dark else "Dark")


def test_sdxl_turbo_has_no_guidance_and_is_offered_with_size_and_licence(app: AppPage) -> None:
    app.page.get_by_role("tab", name="Generate").click()
    app.choose_model("SDXL Turbo", "#generate-model")
    app.says("about 6.9 GB to download, Stability AI Community License.", "#generate-note")
    app.says("Download (about 6.9 GB, Stability AI Community License)", "#generate-download")
    app.page.locator("#generate-more button.label-wrap").click()
    app.page.locator("#generate-more").get_by_label("number input for Steps").wait_for()
    shown = app.page.locator(".tabitem:visible").inner_text()
    assert "Guidance" not in shown and "should not" not in shown
    app.page.locator("#generate-prompt textarea").fill("a dog")
    app.says("SDXL Turbo is not on this machine.", "#generate-missing")
    assert app.page.locator("#generate-button").is_disabled()
    assert app.page.locator("#generate-prompt textarea").input_value() == "a dog"


def test_an_empty_prompt_is_refused_in_words(app: AppPage) -> None:
    app.page.get_by_role("tab", name="Generate").click()
    app.page.locator("#generate-button").click()
    app.says("The prompt is empty.", "#generate-message")


def test_an_edit_with_the_keyboard_alone(app: AppPage, photo: Path) -> None:
    app.open_file(photo)
    app.page.locator("body").press("Tab")
    for _ in range(60):
        if app.page.evaluate("document.activeElement.matches('[data-part=pad]')"):
            break
        app.key("Tab")
    app.key("Enter", *["ArrowRight"] * 8, "Enter")
    app.can_run()
    app.key("Control+Enter")
    app.result()
    app.page.locator("#download-button").focus()
    with app.page.expect_download() as coming:
        app.key("Enter")
    assert coming.value.suggested_filename.startswith("garden")


def test_tab_leaves_no_list_open_over_run(app: AppPage, photo: Path) -> None:
    opened_and_painted(app, photo, "Erase")  # which has no list of things between Run and Model
    app.page.locator("#run-button").focus()
    app.key("Tab", "Shift+Tab")
    app.page.get_by_role("listbox").wait_for(state="detached")
    assert app.page.evaluate("document.activeElement.id") == "run-button"
    app.key("Tab")
    assert app.page.evaluate("document.activeElement.ariaLabel") == "Model"
    app.page.get_by_role("listbox", name="Model").wait_for()
    app.key("Tab")
    app.page.get_by_role("listbox").wait_for(state="detached")
    assert "More settings" in app.page.evaluate("document.activeElement.innerText")
    app.press_run()
    app.result()


def test_every_control_has_a_name(app: AppPage, photo: Path) -> None:
    opened_and_painted(app, photo, "Tiny Kandinsky")
    app.more()
    app.page.locator("#negative-box button.label-wrap").click()
    app.page.locator("#negative-prompt textarea").wait_for()
    assert app.nameless() == []
    assert app.page.get_by_role("heading").all_inner_texts()[0] == "Inpaint"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out(people: People, photo: Path, theme: str) -> None:
    app = people(color_scheme=theme)
    weak = app.weak_texts()
    opened_and_painted(app, photo, "Tiny Kandinsky")
    app.more()
    weak += app.weak_texts()
    app.more().get_by_label("Seed").fill("x")
    app.press_run()
    app.says("Seed must be a number", "#message .ip-error")
    weak += app.weak_texts()
    app.page.get_by_role("tab", name="Generate").click()
    app.page.locator("#generate-button").click()
    app.says("The prompt is empty.", "#generate-message")
    app.page.locator("#reimagine > button.label-wrap").click()
    app.page.locator("#reimagine-prompt textarea").wait_for()
    assert weak + app.weak_texts() == []


def test_on_a_phone_the_picture_has_the_width_and_run_stays_in_reach(people: People, photo: Path) -> None:
    app = people(**PHONE)
    app.open_file(photo)
    view = app.page.locator("[data-part=view]").bounding_box()
    assert view["x"] == 0 and view["width"] == 390
    for place in (0, 10_000):
        app.page.evaluate("place => scrollTo(0, place)", place)
        run = app.page.locator("#run-button").bounding_box()
        assert run["y"] > 600 and run["y"] + run["height"] <= 844
    assert app.page.evaluate("document.documentElement.scrollWidth") <= 390


OUT_OF_REACH = """() => [...document.querySelectorAll(".ip-tools :is(button, input)")].filter((tool) => {
  tool.scrollIntoView({ block: "nearest", inline: "center" });
  const { x, y, width, height } = tool.getBoundingClientRect();
  const hit = document.elementFromPoint(x + width / 2, y + height / 2);
  return hit !== tool && !(hit?.matches(".ip-size") && hit.contains(tool));
}).map((tool) => tool.ariaLabel)"""


@pytest.mark.parametrize("hand", [{}, {"has_touch": True, "is_mobile": True}], ids=["mouse", "fingers"])
def test_every_tool_can_be_hit_at_every_width(people: People, photo: Path, hand: dict[str, Any]) -> None:
    app = people(**hand)
    app.open_file(photo)
    missed: dict[tuple[int, int], list[str]] = {}
    for width, height in (
        (390, 844),
        (667, 375),
        (700, 900),
        (768, 1024),
        (834, 1112),
        (844, 390),
        (899, 700),
        (900, 700),
        (960, 700),
        (1024, 768),
        (1400, 900),
    ):
        app.page.set_viewport_size({"width": width, "height": height})
        app.page.wait_for_timeout(100)
        missed[width, height] = app.page.evaluate(OUT_OF_REACH)
        assert app.page.evaluate("document.documentElement.scrollWidth") <= width
    assert {size: tools for size, tools in missed.items() if tools} == {}
