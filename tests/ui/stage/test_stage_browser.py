"""The stage in a real Chromium: open, paint, undo, compare, keys. Points are parts of the picture.

Must not know how the stage is written: it presses, drags, and reads what reached the server.
"""

from __future__ import annotations

import io
import json
import math
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.ui.stage.stage_app import photo
from tests.ui.stage.stage_page import Point, StagePage, around, png_bytes

pytestmark = pytest.mark.browser

SQUARE: list[Point] = [(0.2, 0.2), (0.6, 0.2), (0.6, 0.6), (0.2, 0.6), (0.2, 0.2)]


def is_painted(mask: np.ndarray[Any, Any], point: Point) -> bool:
    height, width = mask.shape
    return bool(mask[int(point[1] * height), int(point[0] * width)])


# Opening


def test_the_untouched_file_is_opened(stage: StagePage) -> None:
    path = stage.open()
    stage.state("painting")
    assert stage.seen.uploads == [path.read_bytes()]
    assert "photo.png, 960 × 640 px" in stage.page.locator(".ip-status").inner_text()


def test_open_button_asks_for_a_file(stage: StagePage) -> None:
    path = stage.folder / "chosen.png"
    path.write_bytes(png_bytes(photo(64, 48)))
    for _ in range(2):  # the same file twice: the control must not keep it
        with stage.page.expect_file_chooser() as chooser:
            stage.page.locator("[data-do=open]:visible").first.click()
        known = len(stage.seen.uploads)
        chooser.value.set_files(path)
        stage.wait(lambda known=known: len(stage.seen.uploads) > known)
        stage.state("painting")


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_a_file_dropped_or_pasted_is_opened(stage: StagePage, event: str) -> None:
    data = png_bytes(photo(300, 200))
    stage.give_file(event, ("cat.png", "image/png", data))
    stage.state("painting")
    assert stage.seen.uploads == [data]


def test_of_several_files_the_first_is_taken(stage: StagePage) -> None:
    data = png_bytes(photo(64, 48))
    stage.give_file("drop", ("one.png", "image/png", data), ("two.png", "image/png", png_bytes(photo(32, 32))))
    stage.wait(lambda: "One picture at a time: took one.png." in stage.status())
    stage.state("painting")
    assert stage.seen.uploads == [data]


def test_pasting_text_into_the_prompt_opens_nothing(stage: StagePage) -> None:
    stage.give_file("paste", ("cat.png", "image/png", png_bytes(photo(64, 48))), text="a cat", target="#prompt textarea")
    stage.page.wait_for_timeout(300)
    assert stage.seen.uploads == []


@pytest.mark.parametrize("way", ["drop", "paste", "choose"])
@pytest.mark.parametrize(("name", "kind"), [("noending", ""), ("photo.txt", "text/plain"), ("..jpg", "image/jpeg"), ("x.PNG", "image/png")])
def test_a_file_of_any_name_is_handed_to_the_server(stage: StagePage, way: str, name: str, kind: str) -> None:
    data = png_bytes(photo(64, 48))
    if way == "choose":
        stage.page.locator("#open-picture input[type=file]").set_input_files({"name": name, "mimeType": kind, "buffer": data})
    else:
        stage.give_file(way, (name, kind, data))
    stage.state("painting")
    assert stage.seen.uploads == [data] and name in stage.page.locator(".ip-status").inner_text()


def test_a_picture_opened_with_the_keyboard_has_the_focus(stage: StagePage) -> None:
    path = stage.folder / "chosen.png"
    path.write_bytes(png_bytes(photo(64, 48)))
    stage.page.locator(".ip-empty .ip-open").focus()
    with stage.page.expect_file_chooser() as chooser:
        stage.page.wait_for_timeout(200)  # the browser is told of the waiting a moment later
        stage.key("Enter")
    chooser.value.set_files(path)
    stage.state("painting")
    stage.page.wait_for_timeout(300)
    assert stage.page.evaluate("document.activeElement.dataset.part") == "pad"
    stage.key("Enter", "Enter")
    assert stage.mask().any()


def test_an_example_tells_its_name(stage: StagePage) -> None:
    stage.page.click("[data-example=cat]")
    stage.state("painting")
    assert stage.seen.examples == ["cat"]


def test_a_notice_is_shown(stage: StagePage) -> None:
    stage.open()
    stage.push("notice")
    stage.page.wait_for_function("document.querySelector('[data-part=status]').textContent === 'That is not a picture.'")


# Painting


def test_mouse_stroke_lands_where_it_was_drawn(stage: StagePage) -> None:
    stage.open()
    stage.drag((0.3, 0.5), (0.6, 0.5))
    mask = stage.mask()
    assert mask.shape == (640, 960)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    size = 0.05 * 960
    assert abs(columns[0] - (0.3 * 960 - size / 2)) < 3 and abs(columns[-1] - (0.6 * 960 + size / 2)) < 3
    assert abs(rows[0] - (320 - size / 2)) < 3 and abs(rows[-1] - (320 + size / 2)) < 3
    assert '"bounds":[' in stage.seen.raw[-1]


def test_run_at_once_sends_the_stroke_that_was_just_drawn(stage: StagePage) -> None:
    stage.open()
    stage.drag((0.1, 0.1), (0.2, 0.1))
    stage.run()
    stage.drag((0.7, 0.7), (0.8, 0.7))
    assert is_painted(stage.mask(), (0.75, 0.7))


def test_ctrl_enter_in_the_prompt_sends_the_newest_stroke(stage: StagePage) -> None:
    stage.open()
    stage.page.fill("#prompt textarea", "a cat")
    stage.drag((0.4, 0.4), (0.6, 0.4))
    stage.page.locator("#prompt textarea").evaluate("box => box.focus()")
    known = len(stage.seen.values)
    stage.key("Control+Enter")
    stage.wait_for_run(known)
    found = stage.seen.values[-1].mask
    assert found is not None and is_painted(found.pixels > 0, (0.5, 0.4))


def test_stroke_event_comes_once_with_the_value(stage: StagePage) -> None:
    stage.open()
    stage.drag((0.4, 0.4), (0.5, 0.4))
    stage.drag((0.4, 0.5), (0.5, 0.5))
    stage.wait(lambda: len(stage.seen.strokes) > 0)
    value = stage.run() and stage.seen.raw[-1]
    stage.wait(lambda: stage.seen.strokes[-1] == value)
    assert len(stage.seen.strokes) <= 2


def test_finger_paints(stage_phone: StagePage) -> None:
    stage_phone.open()
    stage_phone.touch([(0.3, 0.5), (0.4, 0.5), (0.5, 0.5)])
    mask = stage_phone.mask()
    assert is_painted(mask, (0.4, 0.5)) and not is_painted(mask, (0.8, 0.8))


def test_two_fingers_zoom_and_paint_nothing(stage_phone: StagePage) -> None:
    stage_phone.open()
    before = stage_phone.page.locator("[data-part=world]").bounding_box()["width"]
    steps = [0.02 * i for i in range(6)]
    stage_phone.touch([(0.45 - step, 0.5) for step in steps], [(0.55 + step, 0.5) for step in steps])
    assert stage_phone.page.locator("[data-part=world]").bounding_box()["width"] > 1.5 * before
    assert not stage_phone.mask().any()
    stage_phone.touch([(0.48, 0.5), (0.5, 0.5), (0.52, 0.5)])
    mask = stage_phone.mask()
    assert is_painted(mask, (0.5, 0.5))
    assert abs(np.flatnonzero(mask.any(0)).mean() - 0.5 * 960) < 3


def test_wheel_zooms_at_the_pointer_and_paint_lands_right(stage: StagePage) -> None:
    stage.open()
    stage.page.mouse.move(*stage.at((0.7, 0.3)))
    held = stage.at((0.7, 0.3))
    stage.page.mouse.wheel(0, -240)
    stage.page.mouse.wheel(0, -240)
    stage.page.wait_for_function("document.querySelector('[data-part=zoomLevel]').textContent === '261 %'")
    assert math.dist(stage.at((0.7, 0.3)), held) < 2
    stage.drag((0.68, 0.3), (0.72, 0.3))
    mask = stage.mask()
    assert is_painted(mask, (0.7, 0.3))
    middle = np.flatnonzero(mask.any(0)).mean(), np.flatnonzero(mask.any(1)).mean()
    assert math.dist(middle, (0.7 * 960, 0.3 * 640)) < 3


@pytest.mark.parametrize("how", ["middle", "shift", "keys"])
def test_pan_moves_the_picture_and_paints_nothing(stage: StagePage, how: str) -> None:
    stage.open()
    stage.page.mouse.move(*stage.at((0.5, 0.5)))
    stage.key("+", "+", "+")
    before = stage.at((0, 0))
    if how == "keys":
        stage.page.focus("[data-part=pad]")
        stage.key("Shift+ArrowRight")
    else:
        if how == "shift":
            stage.page.keyboard.down("Shift")
        stage.drag((0.5, 0.5), (0.45, 0.5), button="middle" if how == "middle" else "left")
        stage.page.keyboard.up("Shift")
    assert stage.at((0, 0))[0] < before[0] - 20
    assert not stage.mask().any()
    stage.key("0")
    assert stage.page.locator("[data-part=zoomLevel]").inner_text() == "100 %"


def test_undo_redo_clear_and_invert(stage: StagePage) -> None:
    stage.open()
    stage.drag((0.2, 0.2), (0.3, 0.2))
    one = stage.mask()
    stage.drag((0.6, 0.6), (0.7, 0.6))
    two = stage.mask()
    stage.key("Control+z")
    np.testing.assert_array_equal(stage.mask(), one)
    stage.key("Control+Shift+Z")
    np.testing.assert_array_equal(stage.mask(), two)
    stage.key("i")
    inverted = stage.mask()
    assert (inverted != two).mean() > 0.999
    stage.page.click("[data-do=clear]")
    assert not stage.mask().any()
    for expected in (inverted, two, one):
        stage.page.click("[data-do=undo]")
        np.testing.assert_array_equal(stage.mask(), expected)
    stage.page.click("[data-do=undo]")
    assert not stage.mask().any()
    assert stage.page.locator("[data-do=undo]").is_disabled()


def test_many_strokes_are_undone_one_by_one(stage: StagePage) -> None:
    stage.open()
    for i in range(24):
        stage.drag((0.05 + 0.035 * i, 0.2), (0.05 + 0.035 * i, 0.3), steps=1)
    full = stage.mask()
    stage.key(*["Control+z"] * 24)
    assert not stage.mask().any()
    stage.key(*["Control+y"] * 24)
    np.testing.assert_array_equal(stage.mask(), full)


def test_eraser_takes_paint_away(stage: StagePage) -> None:
    stage.open()
    stage.drag((0.2, 0.5), (0.8, 0.5))
    stage.key("e")
    stage.drag((0.5, 0.4), (0.5, 0.6))
    mask = stage.mask()
    assert is_painted(mask, (0.3, 0.5)) and not is_painted(mask, (0.5, 0.5)) and is_painted(mask, (0.7, 0.5))


def test_rectangle_is_exact_and_alt_erases_one(stage: StagePage) -> None:
    stage.open()
    stage.key("r")
    stage.drag((0.25, 0.25), (0.75, 0.5))
    mask = stage.mask()
    assert abs(int(mask.sum()) - 480 * 160) < 0.02 * 480 * 160
    assert mask[200:300, 260:700].all()
    stage.page.keyboard.down("Alt")
    stage.drag((0.4, 0.2), (0.6, 0.6))
    stage.page.keyboard.up("Alt")
    assert not is_painted(stage.mask(), (0.5, 0.4))


def test_lasso_fills_what_it_encloses(stage: StagePage) -> None:
    stage.open()
    stage.key("l")
    stage.drag(*around((0.5, 0.5), (0.2, 0.3)), steps=2)
    mask = stage.mask()
    assert mask.mean() == pytest.approx(math.pi * 0.2 * 0.3, rel=0.03)


def test_brush_outline_fills_and_one_undo_takes_the_filling_alone(stage: StagePage) -> None:
    stage.open()
    stage.drag(*around((0.5, 0.5), (0.2, 0.3)), steps=2)
    assert is_painted(stage.mask(), (0.5, 0.5))
    assert "Undo takes back the filling alone" in stage.status()
    stage.key("Control+z")
    outline = stage.mask()
    assert not is_painted(outline, (0.5, 0.5)) and is_painted(outline, (0.7, 0.5))
    stage.key("Control+z")
    assert not stage.mask().any()


NO_OUTLINE: dict[str, list[Point]] = {
    "dabbing back and forth": [(0.3 + 0.1 * (i % 2), 0.5 + 0.004 * i) for i in range(12)],
    "there and back": [(0.2, 0.5), (0.8, 0.52), (0.2, 0.5)],
    "zigzag and back to the start": [(0.2 + 0.4 * (i % 2), 0.2 + 0.05 * i) for i in range(10)] + [(0.2, 0.2)],
    "small circles": around((0.5, 0.5), (0.02, 0.03)) * 3,
    "an open curve": around((0.5, 0.5), (0.2, 0.3))[:20],
    "a dot": [(0.5, 0.5), (0.5, 0.5)],
}


@pytest.mark.parametrize("path", NO_OUTLINE.values(), ids=NO_OUTLINE.keys())
def test_brush_that_draws_no_outline_fills_nothing(stage: StagePage, path: list[Point]) -> None:
    stage.open()
    stage.drag(*path, steps=3)
    stroke = stage.mask()
    assert stroke.any()
    stage.key("Control+z")
    assert not stage.mask().any(), "a filling came on top of the stroke"


def test_keyboard_alone_paints(stage: StagePage) -> None:
    stage.open()
    stage.page.focus("[data-part=pad]")
    stage.key("Enter", *["ArrowRight"] * 10, "Enter")
    mask = stage.mask()
    scale = stage.page.locator("[data-part=world]").bounding_box()["width"]
    assert is_painted(mask, (0.5, 0.5)) and is_painted(mask, (0.5 + 90 / scale, 0.5))
    assert not is_painted(mask, (0.5 - 60 / scale, 0.5))
    stage.page.focus("[data-part=pad]")
    stage.key("r", "ArrowDown", "Enter", *["ArrowDown"] * 8, *["ArrowRight"] * 8, "Escape")
    np.testing.assert_array_equal(stage.mask(), mask)


# Numbers and files


def test_grow_and_feather_reach_the_server(stage: StagePage) -> None:
    stage.open()
    stage.page.click("[data-do=grow-more]")
    stage.page.fill("[data-part=feather]", "20")
    value = stage.run()
    assert (value.grow, value.feather) == (1, 20)
    stage.push("band")
    stage.wait(lambda: (stage.run().grow, stage.seen.values[-1].feather) == (4, 12))
    stage.page.fill("[data-part=feather]", "-5")
    stage.key("Tab")
    assert stage.run().feather == 0


def test_mask_file_goes_out_and_comes_back(stage: StagePage) -> None:
    stage.open(photo(2000, 1500), "big.png")
    stage.drag(*around((0.5, 0.5), (0.2, 0.3)), steps=2)
    mask = stage.mask()
    with stage.page.expect_download() as download:
        stage.page.click("[data-do=mask-save]")
    path = stage.folder / download.value.suggested_filename
    download.value.save_as(path)
    assert path.name == "big-mask.png"
    with Image.open(path) as saved:
        assert (saved.mode, saved.size) == ("L", (2000, 1500))
        written = np.asarray(saved)
    assert set(np.unique(written)) == {0, 255}
    assert ((written > 0) != mask).mean() < 1e-4
    stage.page.click("[data-do=clear]")
    stage.page.locator("[data-part=maskInput]").set_input_files(path)
    stage.page.wait_for_function("document.querySelector('[data-part=status]').textContent.startsWith('Opened the mask')")
    assert (stage.mask() != mask).mean() < 2e-3
    stage.key("Control+z")
    assert not stage.mask().any()


def test_mask_file_of_another_size_is_refused_in_a_sentence(stage: StagePage) -> None:
    stage.open()
    stage.drag((0.2, 0.2), (0.3, 0.2))
    before = stage.mask()
    for name, data, said in (
        ("small.png", png_bytes(np.full((10, 10), 255, np.uint8)), "10 x 10 px, the picture is 960 x 640"),
        ("notes.png", b"hello", "notes.png is not a picture"),
    ):
        (stage.folder / name).write_bytes(data)
        stage.page.locator("[data-part=maskInput]").set_input_files(stage.folder / name)
        stage.wait(lambda said=said: said in stage.status())
    np.testing.assert_array_equal(stage.mask(), before)


def test_transparent_white_in_a_mask_file_is_not_painted(stage: StagePage) -> None:
    stage.open()
    mask = np.full((640, 960, 4), 255, np.uint8)
    mask[:, 480:, 3] = 0
    (stage.folder / "mask.png").write_bytes(png_bytes(mask))
    stage.page.locator("[data-part=maskInput]").set_input_files(stage.folder / "mask.png")
    stage.wait(lambda: "Opened" in stage.status())
    found = stage.mask()
    assert found[:, :479].all() and not found[:, 481:].any()


@pytest.mark.parametrize("name", ["noending", "mask.png_large", "..png", "mask.txt"])
def test_a_mask_file_of_any_name_is_opened(stage: StagePage, name: str) -> None:
    stage.open()
    mask = png_bytes(np.full((640, 960), 255, np.uint8))
    stage.page.locator("[data-part=maskInput]").set_input_files({"name": name, "mimeType": "", "buffer": mask})
    stage.wait(lambda: stage.status() == f"Opened the mask {name}.")


def grey_mask(*values: int) -> np.ndarray[Any, Any]:
    """uint8 [640, 960]: columns of these values, from left to right."""
    return np.repeat(np.array(values, np.uint8), 960 // len(values))[None].repeat(640, 0)


@pytest.mark.parametrize(
    ("values", "painted", "said"),
    [
        ((0, 255), (False, True), "Opened the mask mask.png."),
        ((100, 200), (False, True), "Opened the mask mask.png. Grey parts of it were cut at half: light ones count as painted."),
        ((127, 128, 0), (False, True, False), "Opened the mask mask.png. Grey parts of it were cut at half: light ones count as painted."),
        ((3, 252), (False, True), "Opened the mask mask.png."),
        ((100,), (False,), "That mask marks nothing: it is darker than half all over."),
        ((0,), (False,), "That mask marks nothing: it is black all over."),
        ((0, 1), (False, False), "That mask marks nothing: its brightest value is 1 of 255, and white repaints."),
    ],
    ids=str,
)
def test_grey_in_a_mask_file_is_cut_before_it_is_seen(
    stage: StagePage, values: tuple[int, ...], painted: tuple[bool, ...], said: str
) -> None:
    stage.open()
    (stage.folder / "mask.png").write_bytes(png_bytes(grey_mask(*values)))
    stage.page.locator("[data-part=maskInput]").set_input_files(stage.folder / "mask.png")
    stage.wait(lambda: stage.status() == said)
    shown = stage.page.evaluate("""() => {
        const canvas = document.querySelector("[data-part=mask]");
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return Array.from({ length: canvas.width }, (_, x) => data[4 * x + 3]);
    }""")
    expected = np.repeat(painted, 960 // len(painted))
    np.testing.assert_array_equal(shown, expected * 255)
    np.testing.assert_array_equal(stage.mask(), np.broadcast_to(expected, (640, 960)))


def test_grey_in_a_mask_file_of_a_large_picture_is_cut_at_the_files_own_size(stage: StagePage) -> None:
    stage.open(photo(2560, 1706), "large.png")
    y, x = np.mgrid[0:1706, 0:2560].astype(np.float32)
    soft = np.clip(128 + 20 * (400 - np.hypot(x - 1280, y - 853)), 20, 235).astype(np.uint8)
    (stage.folder / "mask.png").write_bytes(png_bytes(soft))
    stage.page.locator("[data-part=maskInput]").set_input_files(stage.folder / "mask.png")
    stage.wait(lambda: "cut at half" in stage.status())
    assert (stage.mask() != (soft >= 128)).mean() < 5e-4


# What the server sends


def test_ready_mask_is_one_undoable_step_and_taken_once(stage: StagePage) -> None:
    stage.open()
    stage.drag((0.8, 0.8), (0.9, 0.8))
    mine = stage.mask()
    stage.push("mask")
    stage.wait(lambda: is_painted(stage.mask(), (0.4, 0.4)))
    theirs = stage.mask()
    assert not is_painted(theirs, (0.85, 0.8))
    stage.key("Control+z")
    stage.push("area")
    stage.page.wait_for_selector("[data-part=area]:visible")
    np.testing.assert_array_equal(stage.mask(), mine)


def test_previews_disturb_no_stroke(stage: StagePage) -> None:
    stage.open()
    stage.push("preview")
    stage.page.wait_for_selector("[data-part=preview]:visible")
    for i in range(12):
        stage.drag((0.05 + 0.07 * i, 0.1), (0.05 + 0.07 * i, 0.9), steps=4)
    stage.page.wait_for_function("document.querySelector('[data-part=areaLabel]').textContent === 'step 24 of 24'")
    mask = stage.mask()
    assert all(is_painted(mask, (0.05 + 0.07 * i, y)) for i in range(12) for y in (0.12, 0.5, 0.88))
    box = stage.page.locator("[data-part=preview]").bounding_box()
    left, top = stage.at((0.25, 0.25))
    assert abs(box["x"] - left) < 1 and abs(box["y"] - top) < 1


def test_running_locks_painting_and_keeps_the_mask(stage: StagePage) -> None:
    stage.open()
    stage.drag((0.2, 0.2), (0.3, 0.2))
    before = stage.mask()
    stage.push("run-on")
    stage.state("running")
    assert stage.status() == "Painting"
    stage.drag((0.6, 0.6), (0.7, 0.6))
    stage.key("i", "Control+z")
    np.testing.assert_array_equal(stage.mask(), before)
    stage.give_file("drop", ("cat.png", "image/png", png_bytes(photo(64, 48))))
    assert "Cancel the run" in stage.status()
    stage.push("run-off")
    stage.state("painting")
    np.testing.assert_array_equal(stage.mask(), before)
    stage.drag((0.6, 0.6), (0.7, 0.6))
    assert is_painted(stage.mask(), (0.65, 0.6))


def shown_after(stage: StagePage) -> float:
    return int(stage.page.locator("[data-part=handle]").get_attribute("aria-valuenow")) / 100


def test_result_slider_candidates_and_the_way_back(stage: StagePage) -> None:
    stage.open()
    stage.drag((0.2, 0.2), (0.3, 0.2))
    before = stage.mask()
    stage.push("result")
    stage.state("result")
    assert "0 px changed beyond the 6 px blend band" in stage.page.locator(".ip-status").inner_text()
    stage.drag((0.5, 0.5), (0.7, 0.5))
    assert shown_after(stage) == pytest.approx(0.7, abs=0.02)
    stage.key("ArrowLeft", "ArrowLeft")
    assert shown_after(stage) == pytest.approx(0.66, abs=0.02)
    stage.key("3")
    assert stage.page.locator("[data-candidate='2']").get_attribute("aria-pressed") == "true"
    stage.wait(lambda: stage.seen.candidates == [2])
    stage.page.click("[data-candidate='1']")
    stage.wait(lambda: stage.seen.candidates == [2, 1])
    stage.push("back")
    stage.state("painting")
    np.testing.assert_array_equal(stage.mask(), before)
    stage.key("Control+z")
    assert not stage.mask().any()


@pytest.mark.parametrize(
    ("left", "right", "starts"),
    [(0.05, 0.1, 0.3), (0.3, 0.6, 0.65), (0.6, 0.9, 0.95), (0.7, 0.98, 1.0), (0.0, 1.0, 1.0)],
    ids=["at the left", "in the middle", "towards the right", "at the right", "all over"],
)
def test_the_first_look_at_a_result_shows_the_whole_change(stage: StagePage, left: float, right: float, starts: float) -> None:
    stage.open()
    stage.key("r")
    stage.drag((left, 0.4), (right, 0.6))
    stage.push("single")
    stage.state("result")
    assert shown_after(stage) == pytest.approx(starts, abs=0.02)


def test_one_result_shows_no_thumbnails(stage: StagePage) -> None:
    stage.open()
    stage.push("single")
    stage.state("result")
    assert stage.page.locator(".ip-candidates button").count() == 0


def pixel(stage: StagePage, point: Point) -> Any:
    x, y = stage.at(point)
    with Image.open(io.BytesIO(stage.page.screenshot())) as shot:
        return np.asarray(shot.convert("RGB"))[int(y), int(x)].astype(int)


def test_space_shows_the_picture_before(stage: StagePage) -> None:
    stage.open()
    stage.key("r")
    stage.drag((0.2, 0.2), (0.8, 0.8))
    stage.page.mouse.move(2, 2)
    plain = photo()[320, 480].astype(int)
    assert np.abs(pixel(stage, (0.5, 0.5)) - plain).max() > 30
    stage.page.keyboard.down("Space")
    assert np.abs(pixel(stage, (0.5, 0.5)) - plain).max() < 12
    stage.page.keyboard.up("Space")
    stage.push("result")
    stage.state("result")
    stage.drag((0.5, 0.5), (0.9, 0.5))
    stage.page.mouse.move(2, 2)
    assert np.abs(pixel(stage, (0.5, 0.5)) - np.roll(plain, 1)).max() < 12
    stage.page.keyboard.down("Space")
    assert np.abs(pixel(stage, (0.5, 0.5)) - plain).max() < 12
    stage.page.keyboard.up("Space")


def test_strokes_end_with_their_picture_only(stage: StagePage) -> None:
    path = stage.open()
    stage.drag((0.2, 0.2), (0.3, 0.2))
    before = stage.mask()
    stage.give_file("drop", (path.name, "image/png", path.read_bytes()))  # the same picture again
    stage.wait(lambda: len(stage.seen.uploads) == 2)
    stage.page.wait_for_timeout(300)
    np.testing.assert_array_equal(stage.mask(), before)
    stage.open(photo(500, 400), "other.png")
    value = stage.run()
    assert value.mask is None and json.loads(stage.seen.raw[-1])["picture"] == stage.seen.picture_id
    assert stage.page.locator("[data-do=undo]").is_disabled()


def test_strokes_survive_a_component_that_is_built_anew(stage: StagePage) -> None:
    stage.open()
    stage.drag((0.2, 0.2), (0.3, 0.2))
    stage.page.fill("[data-part=feather]", "9")
    before = stage.mask()
    stage.push("hide")
    stage.page.wait_for_selector(".ip-stage", state="detached")
    stage.push("show")
    stage.page.wait_for_selector("[data-do=clear]:enabled")
    np.testing.assert_array_equal(stage.mask(), before)
    assert stage.seen.values[-1].feather == 9
    stage.key("r")
    stage.drag((0.5, 0.5), (0.7, 0.7))
    assert is_painted(stage.mask(), (0.6, 0.6))


def test_picture_taken_away_returns_to_the_invitation(stage: StagePage) -> None:
    stage.open()
    stage.push("gone")
    stage.state("empty")
    assert stage.page.locator("[data-part=invite]").is_visible()


def test_twelve_megapixels_are_painted_as_a_proxy(stage: StagePage) -> None:
    stage.open(photo(4000, 3000), "large.png")
    assert stage.page.locator("[data-part=mask]").evaluate("canvas => [canvas.width, canvas.height]") == [1280, 960]
    stage.key("r")
    stage.drag((0.25, 0.25), (0.5, 0.5))
    mask = stage.mask()
    assert mask.shape == (3000, 4000)
    assert mask.mean() == pytest.approx(1 / 16, rel=0.03)


# Keys


def test_letters_typed_in_the_prompt_are_letters(stage: StagePage) -> None:
    stage.open()
    stage.page.click("#prompt textarea")
    stage.page.keyboard.type("bel ir [?] 1")
    assert stage.page.input_value("#prompt textarea") == "bel ir [?] 1"
    assert stage.page.locator("[data-tool=brush]").get_attribute("aria-pressed") == "true"
    assert not stage.mask().any()


def test_keys_rest_while_another_tab_is_shown(stage: StagePage) -> None:
    stage.open()
    stage.page.get_by_role("tab", name="Other").click()
    stage.key("e", "i", "?")
    stage.page.get_by_role("tab", name="Edit").click()
    assert stage.page.locator("[data-tool=brush]").get_attribute("aria-pressed") == "true"
    stage.drag((0.2, 0.2), (0.3, 0.2))
    assert stage.mask().mean() < 0.1


@pytest.mark.parametrize(("key", "tool"), [("e", "erase"), ("r", "rectangle"), ("l", "lasso"), ("E", "erase")])
def test_tool_keys(stage: StagePage, key: str, tool: str) -> None:
    stage.open()
    stage.key(key)
    assert stage.page.locator(f"[data-tool={tool}]").get_attribute("aria-pressed") == "true"
    stage.key("b")
    assert stage.page.locator("[data-tool=brush]").get_attribute("aria-pressed") == "true"


def test_size_keys_change_the_stroke(stage: StagePage) -> None:
    stage.open()
    stage.drag((0.2, 0.2), (0.3, 0.2))
    thin = np.flatnonzero(stage.mask().any(1)).size
    stage.key("Control+z", *["]"] * 5)
    stage.drag((0.2, 0.2), (0.3, 0.2))
    assert np.flatnonzero(stage.mask().any(1)).size == pytest.approx(thin * 1.15**5, rel=0.06)


def test_escape_presses_cancel(stage: StagePage) -> None:
    stage.open()
    stage.key("Escape")
    stage.wait(lambda: stage.seen.cancels == 1)


def test_question_mark_opens_the_list_of_keys(stage: StagePage) -> None:
    stage.open()
    stage.key("?")
    assert stage.page.locator("dialog.ip-keys").is_visible()
    stage.key("Escape")
    assert not stage.page.locator("dialog.ip-keys").is_visible()
    assert stage.seen.cancels == 0


def test_every_control_has_a_name_and_is_a_button(stage: StagePage) -> None:
    stage.open()
    nameless = stage.page.eval_on_selector_all(
        ".ip-stage button, .ip-stage input:not([hidden])",
        "all => all.filter(one => !(one.ariaLabel || one.textContent.trim())).map(one => one.outerHTML)",
    )
    assert nameless == []
    assert stage.page.locator("[data-part=status]").get_attribute("aria-live") == "polite"
