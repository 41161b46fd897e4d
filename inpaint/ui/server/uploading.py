"""Answers an upload with a sentence if the disk is full or the folder cannot be written. Knows no widgets and no jobs."""

from __future__ import annotations

import logging

from starlette._utils import get_route_path
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inpaint.storage.folder import FolderWatch
from inpaint.storage.results import FULL
from inpaint.storage.space import Space

UPLOAD = "/gradio_api/upload"
FILLED_UP = "The server's disk is full: the file was not taken."
UNWRITABLE = "The server's folder for uploads cannot be written: the file was not taken."
log = logging.getLogger(__name__)


class UploadRoom:
    """ASGI middleware that checks the disk before an upload is read, and reports what the disk refuses during the upload.

    It answers 507 if there is no room and 503 if the folder cannot be written.
    """

    def __init__(self, app: ASGIApp, space: Space, folders: FolderWatch) -> None:
        self._app, self._space, self._folders = app, space, folders

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or get_route_path(scope).rstrip("/") != UPLOAD:
            await self._app(scope, receive, send)
        elif refusal := await run_in_threadpool(self._refusal):
            await refusal(scope, receive, send)
        else:
            await self._watched(scope, receive, send)

    def _refusal(self) -> JSONResponse | None:
        if shortage := self._space.shortage:
            return _refusal(507, f"{shortage} The file was not taken.")
        return None if self._folders.is_writable else _refusal(503, UNWRITABLE)

    async def _watched(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on and replaces the answer 500 if an OSError caused it.

        Starlette first sends the answer and then raises the error, so the answer is held back until the error is known.
        """
        held: list[Message] = []

        async def unless_fault(message: Message) -> None:
            if held or (message["type"] == "http.response.start" and message["status"] == 500):
                held.append(message)
            else:
                await send(message)

        try:
            await self._app(scope, receive, unless_fault)
        except OSError as error:
            if not held:  # another answer has already been sent
                raise
            log.error("an upload could not be written: %s", error.strerror or error)
            held.clear()
            await (_refusal(507, FILLED_UP) if error.errno in FULL else _refusal(503, UNWRITABLE))(scope, receive, send)
        finally:
            for message in held:
                await send(message)


def _refusal(status: int, sentence: str) -> JSONResponse:
    return JSONResponse({"error": sentence}, status, {"Connection": "close"})
