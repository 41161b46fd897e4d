"""What watching handlers tell: everything again, when there is news."""

from __future__ import annotations

import gradio as gr
import pytest

from inpaint.ui.runs.updates import AT_LEAST_EVERY, RepeatedUpdates


def test_an_answer_repeats_the_updates_before_it_and_plain_values_come_once() -> None:
    telling = RepeatedUpdates()
    first = telling({"run": gr.update(visible=False), "stage": gr.update(running={"active": True}), "message": ""})
    second = telling({"stage": gr.update(preview={"url": "x"}), "progress": gr.update(value="1 s")})
    assert first == {"run": gr.update(visible=False), "stage": gr.update(running={"active": True}), "message": ""}
    assert second == {
        "run": gr.update(visible=False),
        "stage": gr.update(running={"active": True}, preview={"url": "x"}),
        "progress": gr.update(value="1 s"),
    }
    third = telling({"stage": gr.update(running={}), "progress": "", "message": "Done."})
    assert third == {
        "run": gr.update(visible=False),
        "stage": gr.update(running={}, preview={"url": "x"}),
        "progress": "",
        "message": "Done.",
    }
    assert telling({}) == {"run": gr.update(visible=False), "stage": gr.update(running={}, preview={"url": "x"})}


FRAME, NEXT_FRAME = object(), object()


@pytest.mark.parametrize(
    ("said", "later", "is_news"),
    [
        pytest.param(("1 s", FRAME), 0.0, False, id="the same again"),
        pytest.param(("2 s", FRAME), 0.0, True, id="another sentence"),
        pytest.param(("1 s", NEXT_FRAME), 0.0, True, id="another frame"),
        pytest.param(("1 s", None), 0.0, True, id="a frame less"),
        pytest.param(("1 s", FRAME), AT_LEAST_EVERY, True, id="long silence"),
    ],
)
def test_what_is_news(said: tuple[object, ...], later: float, is_news: bool) -> None:
    now = [5.0]
    telling = RepeatedUpdates(clock=lambda: now[0])
    assert telling.is_news("1 s", FRAME)
    now[0] += later
    assert telling.is_news(*said) is is_news
