"""Lists the server's open paths, with the methods and the largest body of each. All of Gradio's other routes are closed.

Gradio has routes that this app does not use (a proxy, code editing, recordings, monitoring, development). A path that is not
listed answers 404 before Gradio sees it, and a body that is too large answers 413 before it is read. Knows no jobs and no
widgets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from starlette._utils import get_route_path
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Size = Literal["none", "form", "json", "event", "upload"]
READ = frozenset({"GET", "HEAD"})
WRITE = frozenset({"POST"})

FORM_BYTES = 16_384
JSON_BYTES = 1_000_000
MULTIPART_BYTES = 1_000_000
"""How many bytes the form around uploaded files may add."""


@dataclass(frozen=True)
class Door:
    """An open path. pattern: matches the whole path, without the prefix under which the app is mounted."""

    methods: frozenset[str]
    pattern: re.Pattern[str]
    size: Size = "none"


def _door(methods: frozenset[str], pattern: str, size: Size = "none") -> Door:
    return Door(methods, re.compile(pattern), size)


DOORS: Sequence[Door] = (
    _door(READ, r"/(config|login_check|theme\.css|favicon\.ico|robots\.txt|manifest\.json|healthz|readyz|metrics|logout)?/?"),
    _door(READ, r"/kept/[\w-]{20,60}/[^/]{1,300}"),
    _door(READ, r"/(static|assets|svelte)(/[^/]{1,60}){1,5}"),  # longer names than files can have would cause a fault
    _door(WRITE, r"/login/?", "form"),
    _door(READ, r"/gradio_api/(user|login_check|app_id|info|startup-events|theme\.css|queue/data|upload_progress|heartbeat/[^/]+)/?"),
    _door(READ, r"/gradio_api/file=.+"),
    _door(READ, r"/gradio_api/call/[^/]+/[^/]+"),
    _door(WRITE, r"/gradio_api/(queue/join|call/[^/]+|call/v2/[^/]+|run/[^/]+|api/[^/]+)/?", "event"),
    _door(WRITE, r"/gradio_api/(cancel|reset)/?", "json"),
    _door(WRITE, r"/gradio_api/upload/?", "upload"),
)

PLACE_ON_DISK = re.compile(r"/gradio_api/file=(?P<place>.+)", re.DOTALL)
LOCAL = re.compile(r"/(?![/\\])|[A-Za-z]:[/\\](?![/\\])")
"""The start of a path on this machine, as opposed to a web address or another machine's share."""


class Doors:
    """ASGI middleware that lets only open paths through. upload_bytes: most bytes of one uploaded file. event_bytes: most bytes
    of a page's event.

    The largest part of an event is a painted mask.
    """

    def __init__(self, app: ASGIApp, upload_bytes: int, event_bytes: int) -> None:
        self._app = app
        self._most: Mapping[Size, int] = {
            "none": 0,
            "form": FORM_BYTES,
            "json": JSON_BYTES,
            "event": event_bytes,
            "upload": upload_bytes + MULTIPART_BYTES,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = get_route_path(scope)
        doors = [door for door in DOORS if door.pattern.fullmatch(path)]
        if not doors:
            await _refusal(404, "There is nothing at this address.")(scope, receive, send)
        elif not (door := next((door for door in doors if scope["method"] in door.methods), None)):
            allowed = ", ".join(sorted({method for door in doors for method in door.methods}))
            await _refusal(405, "This address does not take that method.", {"Allow": allowed})(scope, receive, send)
        elif leads_elsewhere(path):
            await _refusal(403, "Files are read from this machine alone; a web address is not fetched.")(scope, receive, send)
        else:
            await self._measured(scope, receive, send, self._most[door.size])

    async def _measured(self, scope: Scope, receive: Receive, send: Send, most: int) -> None:
        """Passes a request on with at most `most` bytes of body.

        An announced length that is too large is refused at once. The bytes are counted in any case, since a small
        announcement may be false.
        """
        too_large = _refusal(413, f"The request is larger than the {most:,} bytes that this address takes.", {"Connection": "close"})
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced) > most:
            await too_large(scope, receive, send)
            return
        meter = _Meter(receive, send, most)
        try:
            await self._app(scope, meter.receive, meter.send)
        except _TooLarge:
            if not meter.has_answered:
                await too_large(scope, receive, send)


class _TooLarge(Exception):
    """Raised when a body exceeds its limit."""


class _Meter:
    """Counts a body's bytes as they are read. Once the body is too large, it reads no more of it and sends no answer of the app."""

    def __init__(self, receive: Receive, send: Send, most: int) -> None:
        self._receive, self._send, self._left = receive, send, most
        self.has_answered = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            self._check()
        return message

    async def send(self, message: Message) -> None:
        if not self.has_answered:
            self._check()
        self.has_answered = True
        await self._send(message)

    def _check(self) -> None:
        if self._left < 0:
            raise _TooLarge


def leads_elsewhere(path: str) -> bool:
    """Returns whether a request for a file names something that is not on this machine, however it is written."""
    found = PLACE_ON_DISK.fullmatch(path)
    return bool(found) and not all(LOCAL.match(place) for place in (found["place"], unquote(found["place"])))


def _refusal(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": sentence}, status, headers)
