"""Pen, palm, fingers and mouse on the stage in a real Chromium: the pointer that began a stroke owns it.

Events come from the browser's own input, so that capture, pointer ids and what the browser cancels are real.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.ui.stage.stage_app import photo
from tests.ui.stage.stage_page import Point, StagePage

pytestmark = pytest.mark.browser

PEN_WAY: list[Point] = [(0.2, 0.3), (0.3, 0.3), (0.4, 0.3), (0.5, 0.3), (0.6, 0.3), (0.7, 0.3)]


class Hand:
    """A pen and fingers over one page. A finger keeps its number while it is down."""

    def __init__(self, stage: StagePage) -> None:
        self.stage = stage
        self.session = stage.page.context.new_cdp_session(stage.page)
        self.down: dict[int, dict[str, float]] = {}

    def pen(self, kind: str, point: Point) -> None:
        x, y = self.stage.at(point)
        down = kind != "mouseReleased"
        self.session.send(
            "Input.dispatchMouseEvent",
            {
                "type": kind,
                "x": x,
                "y": y,
                "pointerType": "pen",
                "force": 0.5 if down else 0,
                "buttons": int(down),
                "button": "left",
                "clickCount": 1,
            },
        )

    def pen_down(self, point: Point) -> None:
        self.pen("mousePressed", point)

    def pen_to(self, *points: Point) -> None:
        for point in points:
            self.pen("mouseMoved", point)

    def pen_up(self, point: Point) -> None:
        self.pen("mouseReleased", point)

    def finger(self, number: int, point: Point) -> None:
        """Puts a finger down, or moves the one that is."""
        kind = "touchMove" if number in self.down else "touchStart"
        x, y = self.stage.at(point)
        self.down[number] = {"x": x, "y": y, "id": number}
        self._tell(kind)

    def lift(self, number: int) -> None:
        del self.down[number]
        self._tell("touchEnd")

    def cancel_fingers(self) -> None:
        self.down.clear()
        self._tell("touchCancel")

    def _tell(self, kind: str) -> None:
        self.session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": list(self.down.values())})


@pytest.fixture
def hand(stage_phone: StagePage) -> Hand:
    stage_phone.open()
    return Hand(stage_phone)


def pen_alone(hand: Hand) -> np.ndarray[Any, Any]:
    """The mask of the pen's way when nothing disturbs it; the picture is unpainted after it."""
    stroke(hand)
    mask = hand.stage.mask()
    hand.stage.key("Control+z")
    assert not hand.stage.mask().any()
    return mask


def stroke(hand: Hand, disturb: Callable[[int], None] = lambda step: None) -> None:
    hand.pen_down(PEN_WAY[0])
    for step, point in enumerate(PEN_WAY[1:]):
        disturb(step)
        hand.pen_to(point)
    hand.pen_up(PEN_WAY[-1])


def zoom(hand: Hand) -> str:
    return hand.stage.page.locator("[data-part=zoomLevel]").text_content()


PALM: Point = (0.5, 0.8)
ELSEWHERE: Point = (0.8, 0.7)


def palm_comes(hand: Hand, step: int) -> None:
    if step == 1:
        hand.finger(7, PALM)


def palm_taps(hand: Hand, step: int) -> None:
    if step == 1:
        hand.finger(7, PALM)
        hand.lift(7)


def palm_slides(hand: Hand, step: int) -> None:
    hand.finger(7, (0.4 + 0.08 * step, 0.8))


def palm_is_cancelled(hand: Hand, step: int) -> None:
    if step == 1:
        hand.finger(7, PALM)
    if step == 3:
        hand.cancel_fingers()


def two_fingers_pinch(hand: Hand, step: int) -> None:
    hand.finger(1, (0.45 - 0.05 * step, 0.7))
    hand.finger(2, (0.55 + 0.05 * step, 0.7))


@pytest.mark.parametrize(
    "disturb",
    [palm_comes, palm_taps, palm_slides, palm_is_cancelled, two_fingers_pinch],
    ids=["comes and stays", "taps", "slides", "is cancelled", "pinches"],
)
def test_a_touch_while_a_pen_draws_changes_nothing(hand: Hand, disturb: Callable[[Hand, int], None]) -> None:
    alone = pen_alone(hand)
    stroke(hand, lambda step: disturb(hand, step))
    if hand.down:
        hand.finger(next(iter(hand.down)), ELSEWHERE)  # it slides on when the pen is up
        hand.cancel_fingers()
    np.testing.assert_array_equal(hand.stage.mask(), alone)
    assert zoom(hand) == "100 %"
    hand.stage.key("Control+z")
    assert not hand.stage.mask().any(), "it was one stroke"


@pytest.mark.parametrize("palms", [1, 2])
def test_a_palm_that_was_there_before_the_pen_paints_and_pinches_nothing(hand: Hand, palms: int) -> None:
    alone = pen_alone(hand)
    for number in range(palms):
        hand.finger(number, (0.5 + 0.1 * number, 0.8))
    stroke(hand, lambda step: hand.finger(0, (0.4, 0.8 - 0.04 * step)))
    np.testing.assert_array_equal(hand.stage.mask(), alone)
    assert zoom(hand) == "100 %"
    hand.finger(0, (0.2, 0.9))  # the pen is up, the palm still slides, and a knuckle comes down beside it
    hand.finger(9, (0.3, 0.9))
    hand.finger(9, (0.6, 0.6))
    hand.cancel_fingers()
    assert zoom(hand) == "100 %"


def test_a_hand_beside_the_picture_presses_nothing_while_the_pen_is_down(hand: Hand) -> None:
    alone = pen_alone(hand)
    button = hand.stage.page.locator("[data-tool=erase]").bounding_box()
    left, top = hand.stage.at((0, 0))
    right, bottom = hand.stage.at((1, 1))
    beside = ((button["x"] + 20 - left) / (right - left), (button["y"] + 20 - top) / (bottom - top))

    def press(step: int) -> None:
        if step == 1:
            hand.finger(3, beside)
            hand.lift(3)

    stroke(hand, press)
    hand.stage.page.wait_for_timeout(400)  # a tap becomes a click a moment later
    assert hand.stage.page.locator("[data-tool=erase]").get_attribute("aria-pressed") == "false"
    np.testing.assert_array_equal(hand.stage.mask(), alone)
    hand.stage.page.locator("[data-tool=erase]").tap()
    assert hand.stage.page.locator("[data-tool=erase]").get_attribute("aria-pressed") == "true"


def test_fingers_paint_and_pinch_again_after_the_pen(hand: Hand) -> None:
    stroke(hand, lambda step: palm_slides(hand, step))
    hand.lift(7)
    before = hand.stage.mask()
    hand.stage.touch([(0.3, 0.7), (0.4, 0.7), (0.5, 0.7)])
    after = hand.stage.mask()
    assert (after & ~before).any() and not (before & ~after).any()
    hand.stage.touch([(0.45 - 0.03 * i, 0.5) for i in range(5)], [(0.55 + 0.03 * i, 0.5) for i in range(5)])
    assert zoom(hand) != "100 %"
    np.testing.assert_array_equal(hand.stage.mask(), after)


def test_a_finger_that_has_drawn_for_long_is_kept_when_a_pen_comes_and_owns_its_stroke_against_fingers(hand: Hand) -> None:
    for x in (0.2, 0.35, 0.5):
        hand.finger(1, (x, 0.6))
    hand.stage.page.wait_for_timeout(1200)
    hand.finger(1, (0.55, 0.6))
    hand.finger(2, (0.6, 0.8))  # would pinch, had the first not drawn for long
    hand.finger(1, (0.7, 0.6))
    assert zoom(hand) == "100 %"
    stroke(hand)
    hand.cancel_fingers()
    both = hand.stage.mask()
    hand.stage.key("Control+z")
    finger = hand.stage.mask()
    rows = np.flatnonzero(finger.any(1))
    assert finger[384, 200:660].all() and rows.min() > 330 and both.sum() > finger.sum()


@pytest.mark.parametrize(
    ("way", "painted"),
    [
        pytest.param([(0.3, 0.5), (0.45, 0.5), (0.6, 0.5)], True, id="a stroke"),
        pytest.param([(0.3, 0.5), (0.31, 0.5)], False, id="what the system takes for a palm"),
    ],
)
def test_a_cancelled_finger(hand: Hand, way: list[Point], painted: bool) -> None:
    for point in way:
        hand.finger(1, point)
    hand.cancel_fingers()
    assert hand.stage.mask().any() == painted
    assert hand.stage.page.locator("[data-do=undo]").is_enabled() == painted


END_OF_POINTER = """([kind]) => {
    const pad = document.querySelector("[data-part=pad]");
    pad.dispatchEvent(new PointerEvent(kind, { pointerId: window.lastPointer, pointerType: window.lastType, bubbles: true }));
}"""
WATCH_POINTER = """() => document.querySelector("[data-part=pad]").addEventListener("pointerdown", (event) => {
    [window.lastPointer, window.lastType] = [event.pointerId, event.pointerType];
}, true)"""


@pytest.mark.parametrize("kind", ["pointercancel", "lostpointercapture"])
@pytest.mark.parametrize("tool", ["pen", "mouse"])
def test_a_stroke_whose_pointer_is_lost_is_kept_and_undone_as_one(hand: Hand, tool: str, kind: str) -> None:
    stage = hand.stage
    stage.page.evaluate(WATCH_POINTER)
    if tool == "pen":
        hand.pen_down(PEN_WAY[0])
        hand.pen_to(*PEN_WAY[1:4])
    else:
        stage.page.mouse.move(*stage.at(PEN_WAY[0]))
        stage.page.mouse.down()
        stage.page.mouse.move(*stage.at(PEN_WAY[3]), steps=4)
    assert stage.page.evaluate("window.lastType") == tool
    stage.page.evaluate(END_OF_POINTER, [kind])
    if tool == "pen":
        hand.pen_to(*PEN_WAY[4:])
        hand.pen_up(PEN_WAY[-1])
    else:
        stage.page.mouse.move(*stage.at((0.7, 0.6)))
        stage.page.mouse.up()
    mask = stage.mask()
    assert mask[192, int(0.45 * 960)] and not mask[192, int(0.65 * 960)] and not mask[384].any()
    stage.key("Control+z")
    assert not stage.mask().any()


def test_a_mouse_button_let_go_where_the_page_cannot_hear_it_ends_the_stroke(hand: Hand) -> None:
    stage = hand.stage
    stage.page.mouse.move(*stage.at((0.2, 0.3)))
    stage.page.mouse.down()
    stage.page.mouse.move(*stage.at((0.4, 0.3)), steps=4)
    x, y = stage.at((0.4, 0.7))
    for x_now in (x, x + 40, x + 80):
        hand.session.send("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": x_now, "y": y, "buttons": 0, "button": "none"})
    mask = stage.mask()
    assert mask[192, 300] and not mask[448].any()


@pytest.mark.parametrize("way", ["mouse", "pen"])
def test_a_stroke_may_begin_outside_the_picture_leave_it_and_come_back(stage: StagePage, way: str) -> None:
    stage.open(photo(300, 900), "tall.png")  # leaves room at both sides of it
    hand = Hand(stage)
    points: list[Point] = [(-0.4, 0.3), (0.5, 0.3), (1.4, 0.3), (1.4, 0.6), (0.5, 0.6), (-0.4, 0.6)]
    if way == "mouse":
        stage.drag(*points, steps=8)
    else:
        hand.pen_down(points[0])
        hand.pen_to(*points[1:])
        hand.pen_up(points[-1])
    mask = stage.mask()
    assert mask[270].all() and mask[540].all() and not mask[405].any()
    stage.key("Control+z")
    assert not stage.mask().any()


def test_a_stroke_goes_on_while_the_mouse_is_outside_the_frame(stage: StagePage) -> None:
    stage.open()
    frame = stage.page.locator("[data-part=view]").bounding_box()
    stage.page.mouse.move(*stage.at((0.5, 0.8)))
    stage.page.mouse.down()
    stage.page.mouse.move(frame["x"] + 200, frame["y"] + frame["height"] + 60, steps=4)
    stage.page.mouse.move(*stage.at((0.2, 0.8)), steps=4)
    stage.page.mouse.up()
    mask = stage.mask()
    assert mask[512, 192] and mask[512, 480]


def test_a_finger_whose_end_was_missed_blocks_no_later_stroke(hand: Hand) -> None:
    swallow = """kinds => kinds.forEach(kind => window.addEventListener(kind, window.swallow ??= event => event.stopPropagation(), true))"""
    kinds = ["pointerup", "lostpointercapture"]
    hand.stage.page.evaluate(swallow, kinds)
    hand.stage.touch([(0.2, 0.3), (0.3, 0.3), (0.4, 0.3)])
    hand.stage.page.evaluate("kinds => kinds.forEach(kind => window.removeEventListener(kind, window.swallow, true))", kinds)
    hand.stage.touch([(0.2, 0.7), (0.3, 0.7), (0.4, 0.7)])
    mask = hand.stage.mask()
    assert mask[192, 288] and mask[448, 288] and not mask[320].any()
