"""Limits connections: how many are open, how long a request's head may take, and how long a body may pause.

uvicorn waits without limit for the rest of a request. A thousand unfinished requests would use up the process's open files,
and nobody else could connect. Knows nothing of the app behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import Callable, Generator
from typing import Any

from uvicorn.config import HTTP_PROTOCOLS
from uvicorn.protocols.http.auto import AutoHTTPProtocol

HEAD_SECONDS = 20.0
"""How long the head of a request may take, from the start of a connection or the end of the last answer."""

BODY_SECONDS = 60.0
"""How long a body that was announced may pause between two bytes."""

LOOK_SECONDS = 2.0
MOST_CONNECTIONS = 400
"""Most connections at once. Many systems allow a process 1,024 open files, and the app needs some of them itself."""

LOGGED_EACH_MINUTE = 20
_auto: Any = AutoHTTPProtocol


class BoundedProtocol(_auto):
    """uvicorn's own protocol, which also closes a connection that waits too long for its client.

    If there are too many connections, the oldest without a request in progress is closed; if all have one, the newest is
    closed.
    """

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._since = self._last_data = time.monotonic()
        self._look_later()
        # One that was closed a moment ago still stands among the connections: of a burst, each must close another.
        kept = [other for other in self.connections if isinstance(other, BoundedProtocol) and not other.transport.is_closing()]
        if len(kept) > MOST_CONNECTIONS:
            idle = [other for other in kept if other is not self and other.is_idle]
            min(idle, key=lambda other: other._since, default=self).transport.abort()

    def data_received(self, data: bytes) -> None:
        self._last_data = time.monotonic()
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        self._since = time.monotonic()
        super().on_response_complete()

    @property
    def is_idle(self) -> bool:
        """Whether the connection waits for the head of a request."""
        return self.cycle is None or bool(self.cycle.response_complete)

    def _look_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        now = time.monotonic()
        waits_for_head = self.is_idle and now - self._since > HEAD_SECONDS
        waits_for_body = not self.is_idle and self.cycle.more_body and not self.flow.read_paused and now - self._last_data > BODY_SECONDS
        if waits_for_head or waits_for_body:
            self.transport.abort()
        else:
            self._look_later()


@contextlib.contextmanager
def bounded_connections() -> Generator[None]:
    """Makes a server that is started within this context limit its connections. Gradio creates the server and has no option for
    its protocol.
    """
    kept = HTTP_PROTOCOLS["auto"]
    HTTP_PROTOCOLS["auto"] = f"{__name__}:{BoundedProtocol.__name__}"
    try:
        yield
    finally:
        HTTP_PROTOCOLS["auto"] = kept


class FewOfAKind(logging.Filter):
    """A log filter that passes LOGGED_EACH_MINUTE lines of each kind in a minute. The kind is the message before its arguments."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._minute, self._counts = -1, dict[str, int]()

    def filter(self, record: logging.LogRecord) -> bool:
        minute = int(self._clock() // 60)
        if minute != self._minute:
            self._minute, self._counts = minute, {}
        kind = f"{record.name} {str(record.msg)[:60]}"
        if len(self._counts) < 1000 or kind in self._counts:
            self._counts[kind] = self._counts.get(kind, 0) + 1
        return self._counts.get(kind, LOGGED_EACH_MINUTE + 1) <= LOGGED_EACH_MINUTE


def bound_foreign_logs() -> None:
    """Limits how often the web server and asyncio log failing connections, so that they cannot fill a disk."""
    for name in ("asyncio", "uvicorn.error"):
        logger = logging.getLogger(name)
        if not any(isinstance(kept, FewOfAKind) for kept in logger.filters):
            logger.addFilter(FewOfAKind())


def raise_open_files() -> None:
    """Raises the process's limit of open files as far as the system allows, up to 8,192."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 8192 if hard == resource.RLIM_INFINITY else min(hard, 8192)
    if soft < most:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
