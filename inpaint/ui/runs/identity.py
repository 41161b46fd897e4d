"""Who is asking, and what each has on the desk, so that a reload finds the running job again. Knows no widgets."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import gradio as gr

from inpaint.core.result import EditResult
from inpaint.jobs.worker import Job
from inpaint.ui.runs.poll import POLL_SECONDS, RELOAD_SECONDS
from inpaint.ui.security.signed_names import PERSON_COOKIE

DESKS_KEPT = 64
"""The last so many running edits; an older one is only not found again after a reload."""


def person_of(request: gr.Request) -> str:
    """Whose a page is: the browser's own name, else (a blocked cookie) the session's. Only who has that name finds a run again."""
    return _browser(request) or f"page {request.session_hash}"


def account_of(request: gr.Request) -> str:
    """Whose limit a run counts for: the browser's name, else login and address. A session is no person: whoever calls makes it up.

    The address is what the web server says: it believes a proxy's header only where it trusts that proxy (FORWARDED_ALLOW_IPS).
    """
    if name := _browser(request):
        return name
    client: Any = request.client
    return f"program {request.username or ''} at {client.host if client else 'no address'}"


def _browser(request: gr.Request) -> str:
    """The kinds of names begin differently: a cookie may hold anything, and must not pass for somebody's address."""
    cookies: Any = getattr(request, "cookies", None) or {}
    name = cookies.get(PERSON_COOKIE)
    return f"browser {name}" if name else ""


@dataclass(frozen=True, eq=False)
class Desk:
    """A run that was started. form: what was asked, as the widgets said it (a seed that was not typed is None)."""

    job: Job[EditResult]
    form: Mapping[str, Any]


D = TypeVar("D", bound=Desk)


class Desks(Generic[D]):
    """What each page (person and seat) has running in one tab; used from several threads.

    A desk goes when its result was shown, or when nobody came back for it in time.
    """

    def __init__(self) -> None:
        self._desks: OrderedDict[tuple[str, str], D] = OrderedDict()
        self._busy: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._lock = threading.Lock()

    def leave(self, person: str, seat: str, desk: D) -> None:
        with self._lock:
            self._drop_forgotten()
            self._desks[person, seat] = desk
            self._desks.move_to_end((person, seat))
            while len(self._desks) > DESKS_KEPT:
                self._desks.popitem(last=False)

    def of(self, person: str, seat: str) -> D | None:
        """What this page itself runs."""
        with self._lock:
            return self._desks.get((person, seat))

    def unfinished(self, person: str, seat: str) -> Job[EditResult] | None:
        """The unfinished job that this page follows: started from it, or found again after a reload."""
        desk = self.of(person, seat)
        return desk.job if desk is not None and not desk.job.is_finished else None

    def occupy(self, person: str, seat: str) -> None:
        """This page has begun something of its own: an earlier run must not take its place any more."""
        with self._lock:
            self._busy[person, seat] = None
            while len(self._busy) > DESKS_KEPT:
                self._busy.popitem(last=False)

    async def left_alone(self, person: str, seat: str) -> D | None:
        """A run that this person's closed page left behind; from now on it is this page's.

        The server notices a closed page only after a while; until then its run looks watched, and is waited for.
        """
        for _ in range(int(RELOAD_SECONDS / POLL_SECONDS)):
            if not self._may_take_over(person, seat):
                return None
            desk = self.take_over(person, seat)
            if desk is not None:
                return desk
            await asyncio.sleep(POLL_SECONDS)
        return None

    def take_over(self, person: str, seat: str) -> D | None:
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

    def _may_take_over(self, person: str, seat: str) -> bool:
        with self._lock:
            self._drop_forgotten()
            page = (person, seat)
            return page not in self._desks and page not in self._busy and any(whose == person for whose, _ in self._desks)

    def _drop_forgotten(self) -> None:
        for key in [key for key, desk in self._desks.items() if desk.job.is_abandoned]:
            del self._desks[key]
