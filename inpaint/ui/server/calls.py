"""Handles requests that Gradio answers badly: a range of a file, and a call, event or session that does not exist. Knows no jobs."""

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
ONE_RANGE = re.compile(rb"bytes\s*=\s*(?P<first>[0-9]{0,18})-(?P<last>[0-9]{0,18})", re.IGNORECASE)
NO_RANGE = b"Bytes=999999999999999999-"
"""A range behind the end of every file."""

NO_FILE = "An upload holds files, each with a name."
READERS = ("construct_args", "upload_fn")
"""Gradio's functions that raise TypeError for a wrong request: a call's named value is unknown or missing, or a form for uploads has
something that is no file."""

NO_CALL, NO_EVENT = "There is no such call.", "There is no such event, or its answer was fetched already."


class NoSuchCall(Exception):
    """A request named a function of the page that does not exist."""


class Functions(dict[int, Any]):
    """Gradio's functions by number. A missing number raises NoSuchCall, which has an answer, and not KeyError, which would be a fault."""

    def __missing__(self, number: int) -> Any:
        raise NoSuchCall(number)


async def no_such_call(request: Request, error: Exception) -> JSONResponse:
    """Answers a request that raised NoSuchCall."""
    return JSONResponse({"error": NO_CALL}, 404)


async def wrong_request(request: Request, error: Exception) -> JSONResponse:
    """Answers a request that one of Gradio's READERS cannot use. Any other TypeError is raised again as a fault."""
    reader = traceback.extract_tb(error.__traceback__)[-1].name
    if reader not in READERS:
        raise error
    return JSONResponse({"error": NO_FILE if reader == "upload_fn" else str(error).partition(" Please click")[0]}, 422)


class Calls:
    """ASGI middleware that answers requests for missing calls, events and sessions, and repairs Range headers.

    has_call, has_event, has_session: return whether there is a call, event or session of that name or id.
    """

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
        """Returns a sentence that says what does not exist, or "" if Gradio should answer. Other missing calls raise NoSuchCall
        in Gradio.
        """
        if method == "POST":
            call = CALL.fullmatch(path)
            return NO_CALL if call and not self._has_call(call["name"]) else ""
        event = EVENT.fullmatch(path)
        return NO_EVENT if event and not self._has_event(event["event"]) else ""

    def _is_lost_session(self, path: str, query: bytes) -> bool:
        given = QueryParams(query).get("session_hash") if SESSION.fullmatch(path) else None
        return given is not None and not self._has_session(given)


def lost_session() -> Response:
    """Returns the answer for a session that does not exist: the stream that Gradio's page understands.

    Gradio itself would fail, and anybody could write its traceback into the log.
    """
    message = UnexpectedErrorMessage(message="404: Not Found", session_not_found=True)
    return Response(f"data: {message.model_dump_json()}\n\n", media_type="text/event-stream")


def _one_range(value: bytes) -> bytes:
    """Returns a Range header that Starlette answers with 206 or 416."""
    given = ONE_RANGE.fullmatch(value.strip())
    if given is None or not (given["first"] or given["last"]):
        return NO_RANGE
    is_backwards = bool(given["first"] and given["last"]) and int(given["first"]) > int(given["last"])
    return NO_RANGE if is_backwards else b"Bytes=%s-%s" % (given["first"], given["last"])


def _range_for(path: str) -> Callable[[tuple[bytes, bytes]], tuple[bytes, bytes] | None]:
    """Returns a function that corrects the Range header of a request for this path; it returns None to drop the header.

    For files, Gradio would send a range with all headers of the request, cookies included, and fail on two ranges, but only
    if the unit is in lower case. Starlette reads any spelling and answers correctly, so the unit is capitalised. What is not one
    range of bytes is replaced by a range that no file has, so that it is answered with 416. The page's own parts are small and
    always sent whole.
    """
    is_file = FILE.fullmatch(path) is not None

    def own(header: tuple[bytes, bytes]) -> tuple[bytes, bytes] | None:
        name, value = header
        if name.lower() != b"range":
            return header
        return (name, _one_range(value)) if is_file else None

    return own
