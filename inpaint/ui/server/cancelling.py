"""Makes Gradio's cancel end the one call that it names. Gradio ends every call of the same session to the same function."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette._utils import get_route_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PATH = "/gradio_api/cancel"
NO_FUNCTION = -1
SEPARATOR = "<gradio-sep>"
"""Gradio names the task of an event SESSION_FUNCTION<gradio-sep>EVENT, and cancels all that begin with the session and function of a
cancel's body."""


class CancelOne:
    """ASGI middleware that cancels the named event itself, and passes on a cancel that names no function. It reads the whole body,
    which an earlier limit keeps small.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or get_route_path(scope).rstrip("/") != PATH:
            await self._app(scope, receive, send)
            return
        body = await _whole_body(receive)
        wanted = _wanted(body)
        if wanted is not None:
            _cancel(wanted["session_hash"], wanted["event_id"])
            body = json.dumps({**wanted, "fn_index": NO_FUNCTION}).encode()
        headers = [(name, value) for name, value in scope["headers"] if name.lower() not in (b"content-length", b"transfer-encoding")]
        await self._app({**scope, "headers": [*headers, (b"content-length", str(len(body)).encode())]}, _replayed(body, receive), send)


def _wanted(body: bytes) -> dict[str, Any] | None:
    """Returns the fields of a cancel that names a session and an event; None for anything else, which Gradio refuses."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return None
    named = isinstance(fields, dict) and all(isinstance(fields.get(name), str) for name in ("session_hash", "event_id"))
    return fields if named else None


def _cancel(session: str, event: str) -> None:
    for task in asyncio.all_tasks():
        owner, separator, number = task.get_name().rpartition(SEPARATOR)
        if separator and number == event and owner.rpartition("_")[0] == session:
            task.cancel()


async def _whole_body(receive: Receive) -> bytes:
    parts, more = list[bytes](), True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def _replayed(body: bytes, then: Receive) -> Receive:
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return left.pop() if left else await then()

    return receive
