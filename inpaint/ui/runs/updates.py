"""Answers of a handler that updates its page again and again while it follows something. Knows no widgets."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

Updates = dict[Any, Any]

AT_LEAST_EVERY = 1.0
"""Seconds after which an answer is sent in any case. Gradio notices that a page is gone only when it sends something."""


class RepeatedUpdates:
    """Builds answers that repeat the updates (gr.update) of earlier answers, and tells when an answer is needed.

    If two answers arrive together, Gradio's client applies the second before the page has seen the first, and the first is
    lost. This happens whenever another event of the page is open. Repeating costs nothing, because Gradio sends only what
    differs. Plain values are sent once, since another event may have changed them after that.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sent: Updates = {}
        self._last: tuple[object, ...] = ()
        self._since = 0.0

    def __call__(self, updates: Updates) -> Updates:
        """Returns the updates together with the gr.update values of all earlier calls."""
        plain = {part: value for part, value in updates.items() if not _is_update(value)}
        merged = {part: {**self._sent.get(part, {}), **update} for part, update in updates.items() if part not in plain}
        self._sent = {part: update for part, update in {**self._sent, **merged}.items() if part not in plain}
        return {**self._sent, **plain}

    def is_news(self, *shown: object) -> bool:
        """Returns whether an answer is needed: one of these objects is new (equal texts are the same), or AT_LEAST_EVERY seconds
        have passed.
        """
        same = len(shown) == len(self._last) and all(
            new is old or (isinstance(new, str) and new == old) for new, old in zip(shown, self._last, strict=True)
        )
        if same and self._clock() - self._since < AT_LEAST_EVERY:
            return False
        self._last, self._since = shown, self._clock()
        return True


def _is_update(value: object) -> bool:
    return isinstance(value, dict) and "__type__" in value
