"""How many sessions Gradio keeps in memory: each page has one, and so has each call of a program, at a third of a megabyte. Knows no jobs."""

from __future__ import annotations

import threading
from collections import OrderedDict

import gradio as gr
from gradio.context import LocalContext

PAGES_KEPT = 500
"""Open pages whose state is kept; of more, the one that was used longest ago has to open its picture again."""

CALLS_KEPT = 32
"""Of programs' calls, which never come back to their session: as many as may run, and a few whose answer is on its way."""


class CallSessions:
    """Lets go of the sessions of past calls, so that they neither fill the memory nor push out those of open pages."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, request: gr.Request) -> None:
        """Called at the start of a program's call, in its own context."""
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
