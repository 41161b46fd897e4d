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
"""The last so many running edits; an older one is only not found again after a reload."""


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
    """What each page (person and seat) has running; used from several threads.

    A desk goes when its result was shown, or when nobody came back for it in time.
    """

    def __init__(self) -> None:
        self._desks: OrderedDict[tuple[str, str], Desk] = OrderedDict()
        self._lock = threading.Lock()

    def leave(self, person: str, seat: str, desk: Desk) -> None:
        with self._lock:
            self._drop_forgotten()
            self._desks[person, seat] = desk
            self._desks.move_to_end((person, seat))
            while len(self._desks) > DESKS_KEPT:
                self._desks.popitem(last=False)

    def of(self, person: str, seat: str) -> Desk | None:
        """What this page itself runs."""
        with self._lock:
            return self._desks.get((person, seat))

    def has_any(self, person: str) -> bool:
        with self._lock:
            self._drop_forgotten()
            return any(whose == person for whose, _ in self._desks)

    def take_over(self, person: str, seat: str) -> Desk | None:
        """A desk of this person that no page looks at any more, newest first; from now on it is this seat's."""
        with self._lock:
            self._drop_forgotten()
            for key in reversed(self._desks):
                if key[0] == person and not self._desks[key].job.is_watched:
                    desk = self._desks[person, seat] = self._desks.pop(key)
                    return desk
        return None

    def clear(self, person: str, seat: str) -> None:
        """The result was shown, or there is none: nothing to come back to."""
        with self._lock:
            self._desks.pop((person, seat), None)

    def _drop_forgotten(self) -> None:
        for key in [key for key, desk in self._desks.items() if desk.job.is_abandoned]:
            del self._desks[key]
