"""The answers of a handler that follows something and updates its page again and again. Knows no widgets."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

Updates = dict[Any, Any]

AT_LEAST_EVERY = 1.0
"""Seconds. Gradio looks whether a page is still there when it is told something."""


class RepeatedUpdates:
    """Each answer repeats the updates (gr.update) of the ones before it, and comes when there is something new.

    Gradio's client loses an answer that comes together with the next one: it turns the one into the other in place, before the
    page has seen it. That happens whenever another event of the page is open. What is repeated costs nothing: only what differs is
    sent. Plain values are told once: a message that was cleared at the start may have been written anew by another event.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sent: Updates = {}
        self._last: tuple[object, ...] = ()
        self._since = 0.0

    def __call__(self, updates: Updates) -> Updates:
        plain = {part: value for part, value in updates.items() if not _is_update(value)}
        merged = {part: {**self._sent.get(part, {}), **update} for part, update in updates.items() if part not in plain}
        self._sent = {part: update for part, update in {**self._sent, **merged}.items() if part not in plain}
        return {**self._sent, **plain}

    def is_news(self, *said: object) -> bool:
        """Whether one of these is another object than last time (equal texts are the same), or it is time to be heard from."""
        same = len(said) == len(self._last) and all(
            new is old or (isinstance(new, str) and new == old) for new, old in zip(said, self._last, strict=True)
        )
        if same and self._clock() - self._since < AT_LEAST_EVERY:
            return False
        self._last, self._since = said, self._clock()
        return True


def _is_update(value: object) -> bool:
    return isinstance(value, dict) and "__type__" in value
