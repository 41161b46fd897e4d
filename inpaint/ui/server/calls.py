"""Requests that Gradio stumbles over: a range of a file, a call or an event that is not there. Knows no jobs."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from typing import Any

from gradio.server_messages import UnexpectedErrorMessage
from starlette._utils import get_route_path
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

FILE = re.compile(r"/gradio_api/file=.+", re.DOTALL)
EVENT = re.compile(r"/gradio_api/call/[^/]+/(?P<event>[^/]+)/?")
SESSION = re.compile(r"/gradio_api/queue/data/?")
CALL = re.compile(r"/gradio_api/call/v2/(?P<name>[^/]+)/?")
NO_FILE = "An upload holds files, each with a name."
READERS = ("construct_args", "upload_fn")
"""Gradio's functions that raise TypeError where a request is wrong: of a call's named values one is unknown or missing; in a form of
uploads something is no file."""

NO_CALL, NO_EVENT = "There is no such call.", "There is no such event, or its answer was fetched already."


class NoSuchCall(Exception):
    """A request named a function of the page that is not there."""


class Functions(dict[int, Any]):
    """Gradio's functions by number; one that is not there has an answer of its own, instead of a KeyError that ends as a fault."""

    def __missing__(self, number: int) -> Any:
        raise NoSuchCall(number)


async def no_such_call(request: Request, error: Exception) -> JSONResponse:
    """An exception's answer."""
    return JSONResponse({"error": NO_CALL}, 404)


async def wrong_request(request: Request, error: Exception) -> JSONResponse:
    """The answer to a request that one of Gradio's READERS cannot use. Every other TypeError stays the fault that it is."""
    reader = traceback.extract_tb(error.__traceback__)[-1].name
    if reader not in READERS:
        raise error
    return JSONResponse({"error": NO_FILE if reader == "upload_fn" else str(error).partition(" Please click")[0]}, 422)


class Calls:
    """ASGI middleware. has_call, has_event, has_session: whether there is one of that name, of that id."""

    def __init__(
        self, app: ASGIApp, has_call: Callable[[str], bool], has_event: Callable[[str], bool], has_session: Callable[[str], bool]
    ) -> None:
        self._app, self._has_call, self._has_event, self._has_session = app, has_call, has_event, has_session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = get_route_path(scope)
        if missing := self._missing(scope["method"], path):
            await JSONResponse({"error": missing}, 404)(scope, receive, send)
        elif self._is_lost_session(path, scope["query_string"]):
            await lost_session()(scope, receive, send)
        else:
            await self._app({**scope, "headers": [own for own in map(_range_for(path), scope["headers"]) if own]}, receive, send)

    def _missing(self, method: str, path: str) -> str:
        """What is not there, in a sentence; "" where Gradio is asked. Of other calls it says itself that there is none (NoSuchCall)."""
        if method == "POST":
            call = CALL.fullmatch(path)
            return NO_CALL if call and not self._has_call(call["name"]) else ""
        event = EVENT.fullmatch(path)
        return NO_EVENT if event and not self._has_event(event["event"]) else ""

    def _is_lost_session(self, path: str, query: bytes) -> bool:
        given = QueryParams(query).get("session_hash") if SESSION.fullmatch(path) else None
        return given is not None and not self._has_session(given)


def lost_session() -> Response:
    """The answers of a session that is not there: the stream that Gradio's page understands. Gradio itself would end it with a fault, whose
    traceback anybody could write into the log."""
    told = UnexpectedErrorMessage(message="404: Not Found", session_not_found=True)
    return Response(f"data: {told.model_dump_json()}\n\n", media_type="text/event-stream")


def _range_for(path: str) -> Callable[[tuple[bytes, bytes]], tuple[bytes, bytes] | None]:
    """What becomes of a header. Of files, Gradio answers a range with all headers of the request, cookies included, and stumbles over
    two; it knows the unit in small letters alone. Starlette reads it in any spelling, and answers each as it should. The page's own parts
    are small: they are always sent whole."""
    is_file = FILE.fullmatch(path) is not None

    def own(header: tuple[bytes, bytes]) -> tuple[bytes, bytes] | None:
        name, value = header
        if name.lower() != b"range":
            return header
        return (name, re.sub(rb"^\s*bytes", b"Bytes", value)) if is_file else None

    return own
