"""Who is asking, and what each has on the desk, so that a reload finds the running job again. Knows no widgets."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import gradio as gr

from inpaint.core.region import Region
from inpaint.core.request import EditRequest
from inpaint.core.result import EditResult
from inpaint.jobs import Job
from inpaint.ui.guard import PERSON_COOKIE
from inpaint.ui.session import Session

DESKS_KEPT = 64
"""The last so many people's running edits; an older one is only not found again after a reload."""


def person_of(request: gr.Request) -> str:
    """The browser's own name, else (a program, a blocked cookie) the session's."""
    cookies: Any = getattr(request, "cookies", None) or {}
    return str(cookies.get(PERSON_COOKIE) or request.session_hash)


@dataclass(frozen=True, eq=False)
class Desk:
    """An edit that was started: what was open, what was asked, and the job."""

    session: Session
    edit: EditRequest
    region: Region
    job: Job[EditResult]


class Desks:
    """The last edit of each person; used from several threads."""

    def __init__(self) -> None:
        self._desks: OrderedDict[str, Desk] = OrderedDict()
        self._lock = threading.Lock()

    def leave(self, person: str, desk: Desk) -> None:
        with self._lock:
            self._desks[person] = desk
            self._desks.move_to_end(person)
            while len(self._desks) > DESKS_KEPT:
                self._desks.popitem(last=False)

    def find(self, person: str) -> Desk | None:
        with self._lock:
            return self._desks.get(person)

    def clear(self, person: str, desk: Desk) -> None:
        """The result was shown: nothing to come back to. A newer desk stays."""
        with self._lock:
            if self._desks.get(person) is desk:
                del self._desks[person]
