"""Limits how many sessions Gradio keeps in memory. Each page and each call of a program has one of a third of a megabyte. Knows
no jobs.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

import gradio as gr
from gradio.context import LocalContext

PAGES_KEPT = 500
"""How many open pages keep their state. Beyond that, the least recently used page has to open its picture again."""

CALLS_KEPT = 32
"""How many sessions of programs' calls are kept: as many as may run, and a few whose answer is being sent. A program never comes back
to a session."""


class CallSessions:
    """Drops the sessions of past calls, so that they neither fill memory nor displace the sessions of open pages."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, request: gr.Request) -> None:
        """Registers a program's call and drops old ones. Called at the start of a call, in its own context."""
        blocks = LocalContext.blocks.get(None)
        if blocks is None or not request.session_hash:
            return
        with self._lock:
            self._sessions[request.session_hash] = None
            self._sessions.move_to_end(request.session_hash)
            past = [self._sessions.popitem(last=False)[0] for _ in range(len(self._sessions) - CALLS_KEPT)]
        for session in past:
            blocks.state_holder.session_data.pop(session, None)
            blocks.state_holder.time_last_used.pop(session, None)
