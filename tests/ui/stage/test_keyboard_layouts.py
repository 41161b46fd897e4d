"""The stage's keys on keyboards of other layouts, as Chromium reports them: key is what is typed, code is the key's place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.ui.stage.conftest import Served, open_page
from tests.ui.stage.stage_page import StagePage

pytestmark = pytest.mark.browser

ALT, CTRL, META, SHIFT = 1, 2, 4, 8
"""As the browser's own protocol counts modifiers."""


@pytest.fixture(scope="module")
def one_page(stage_desktop: Any, served_stage: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StagePage]:
    """One page with a picture open for the whole table."""
    pages = open_page(stage_desktop, served_stage, tmp_path_factory.mktemp("keys"))
    stage = next(pages)
    stage.open()
    yield stage
    next(pages, None)


@pytest.fixture
def painted(one_page: StagePage) -> StagePage:
    """The brush in hand, and one stroke painted."""
    one_page.page.click("[data-tool=brush]")
    if not one_page.page.locator("[data-do=clear]").is_disabled():
        one_page.page.click("[data-do=clear]")
    one_page.drag((0.2, 0.2), (0.3, 0.2))
    return one_page


def press(stage: StagePage, key: str, code: str, modifiers: int = 0, text: str = "") -> None:
    """A real key press, as the browser gets it from a system with that layout."""
    session = stage.page.context.new_cdp_session(stage.page)
    for kind in ("keyDown" if text else "rawKeyDown", "keyUp"):
        session.send("Input.dispatchKeyEvent", {"type": kind, "key": key, "code": code, "modifiers": modifiers, "text": text})


def press_with_alt_graph(stage: StagePage, key: str, code: str, **how: Any) -> bool:
    """AltGr as a modifier of its own, which the protocol cannot send. Returns whether the page took the key."""
    return not stage.page.evaluate(
        """how => document.querySelector("[data-part=pad]").dispatchEvent(
        new KeyboardEvent("keydown", {bubbles: true, cancelable: true, ...how}))""",
        {"key": key, "code": code, **how},
    )


def tool(stage: StagePage) -> str:
    return stage.page.locator("[data-tool][aria-pressed=true]").get_attribute("data-tool")


@pytest.mark.parametrize(
    ("key", "code", "chosen"),
    [
        pytest.param("у", "KeyE", "erase", id="Russian E"),
        pytest.param("К", "KeyR", "rectangle", id="Russian R, caps lock"),
        pytest.param("д", "KeyL", "lasso", id="Russian L"),
        pytest.param("ε", "KeyE", "erase", id="Greek E"),
        pytest.param("λ", "KeyL", "lasso", id="Greek L"),
        pytest.param("ק", "KeyE", "erase", id="Hebrew E"),
        pytest.param("ث", "KeyE", "erase", id="Arabic E"),
        pytest.param("ำ", "KeyE", "erase", id="Thai E"),
        pytest.param("ा", "KeyE", "erase", id="Devanagari E, a mark"),
        pytest.param("ㄷ", "KeyE", "erase", id="Korean E"),
        pytest.param("e", "KeyD", "erase", id="Dvorak E lies on D"),
        pytest.param("é", "KeyE", "brush", id="a letter of a Latin layout"),
        pytest.param("µ", "KeyE", "brush", id="a sign of a Latin layout"),
        pytest.param("d", "KeyE", "brush", id="Latin D on the place of E"),
        pytest.param("Dead", "KeyE", "brush", id="a dead key"),
        pytest.param("Process", "KeyE", "brush", id="an input method"),
        pytest.param("у", "", "brush", id="no place known"),
    ],
)
def test_tool_keys_by_letter_or_by_place(painted: StagePage, key: str, code: str, chosen: str) -> None:
    press(painted, key, code)
    assert tool(painted) == chosen


@pytest.mark.parametrize(
    ("key", "code", "undone"),
    [
        pytest.param("я", "KeyZ", True, id="Russian"),
        pytest.param("ζ", "KeyZ", True, id="Greek"),
        pytest.param("ז", "KeyZ", True, id="Hebrew"),
        pytest.param("z", "KeyW", True, id="AZERTY Z"),
        pytest.param("w", "KeyZ", False, id="AZERTY W lies on Z"),
        pytest.param("z", "KeyY", True, id="QWERTZ Z"),
        pytest.param("н", "KeyY", False, id="Russian Y redoes"),
    ],
)
@pytest.mark.parametrize("command", [CTRL, META], ids=["Ctrl", "Cmd"])
def test_undo(painted: StagePage, key: str, code: str, undone: bool, command: int) -> None:
    press(painted, key, code, command)
    assert painted.mask().any() != undone


def test_redo_with_a_cyrillic_layout(painted: StagePage) -> None:
    for key, code, modifiers in (("Я", "KeyZ", CTRL | SHIFT), ("н", "KeyY", CTRL)):
        press(painted, "я", "KeyZ", CTRL)
        assert not painted.mask().any()
        press(painted, key, code, modifiers)
        assert painted.mask().any()


def size(stage: StagePage) -> float:
    return float(stage.page.locator("[data-part=size]").input_value())


@pytest.mark.parametrize(
    ("key", "code", "modifiers", "grows"),
    [
        pytest.param("ъ", "BracketRight", 0, True, id="Russian ]"),
        pytest.param("х", "BracketLeft", 0, False, id="Russian ["),
        pytest.param("]", "Digit9", CTRL | ALT, True, id="German ], Windows"),
        pytest.param("[", "Digit8", CTRL | ALT, False, id="German [, Windows"),
        pytest.param("]", "Digit6", ALT, True, id="German ], Mac"),
        pytest.param("[", "Digit5", ALT, False, id="German [, Mac"),
        pytest.param("]", "Minus", ALT | SHIFT, True, id="French ], Mac"),
    ],
)
def test_brackets_change_the_brush(painted: StagePage, key: str, code: str, modifiers: int, grows: bool) -> None:
    before = size(painted)
    for _ in range(3):
        press(painted, key, code, modifiers)
    assert (size(painted) > before) == grows and size(painted) != before


@pytest.mark.parametrize("ctrl_alt", [False, True], ids=["Linux", "Windows"])
def test_brackets_with_alt_graph(painted: StagePage, ctrl_alt: bool) -> None:
    before = size(painted)
    assert press_with_alt_graph(painted, "]", "Digit9", modifierAltGraph=True, ctrlKey=ctrl_alt, altKey=ctrl_alt)
    assert size(painted) > before


@pytest.mark.parametrize(
    ("key", "code", "modifiers"),
    [
        pytest.param("e", "KeyE", ALT, id="Alt+E opens a menu"),
        pytest.param("0", "Digit0", ALT, id="Alt+0 is the browser's"),
        pytest.param("π", "KeyE", ALT, id="Option types a Greek letter"),
        pytest.param("z", "KeyZ", CTRL | ALT, id="Ctrl+Alt+Z is no undo"),
        pytest.param("ж", "Semicolon", 0, id="a letter whose place is no command"),
        pytest.param("ч", "KeyX", CTRL, id="Ctrl+X"),
    ],
)
def test_what_is_no_command_stays_the_browsers(painted: StagePage, key: str, code: str, modifiers: int) -> None:
    before = painted.mask()
    painted.page.evaluate(
        "window.taken = []; window.addEventListener('keydown', event => taken.push(event.defaultPrevented), {once: true})"
    )
    press(painted, key, code, modifiers)
    assert painted.page.evaluate("window.taken") == [False]
    assert tool(painted) == "brush" and (painted.mask() == before).all()


def test_the_list_of_keys_and_candidates_by_place(stage: StagePage) -> None:
    stage.open()
    press(stage, "ฦ", "Slash", SHIFT)
    stage.page.locator("dialog.ip-keys").wait_for()
    stage.key("Escape")
    stage.push("result")
    stage.state("result")
    for key, code, index in (("é", "Digit2", 1), ('"', "Digit3", 2), ("۱", "Digit1", 0), ("4", "Numpad4", 3)):
        press(stage, key, code)
        assert stage.page.locator(f"[data-candidate='{index}']").get_attribute("aria-pressed") == "true"


def test_cyrillic_letters_typed_in_the_prompt_are_letters(stage: StagePage) -> None:
    stage.open()
    stage.page.click("#prompt textarea")
    for key, code in (("у", "KeyE"), ("ш", "KeyI"), ("ъ", "BracketRight"), ("[", "Digit8")):
        press(stage, key, code, ALT if key == "[" else 0, key)
    assert stage.page.input_value("#prompt textarea") == "ушъ["
    assert tool(stage) == "brush" and not stage.mask().any()


def test_what_an_input_method_composes_is_no_command(painted: StagePage) -> None:
    painted.page.evaluate("""() => document.querySelector("[data-part=pad]").dispatchEvent(
        new KeyboardEvent("keydown", {key: "ㄷ", code: "KeyE", isComposing: true, bubbles: true}))""")
    assert tool(painted) == "brush"
