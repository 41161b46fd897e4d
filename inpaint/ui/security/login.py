"""Slows down password guessing, by address and by user name, and logs each failed login without its password.

Gradio compares passwords in constant time, but answers at once and as often as it is asked. Knows no widgets and no jobs.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from starlette._utils import get_route_path
from starlette.datastructures import Headers
from starlette.requests import Request, cookie_parser
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

FREE_ATTEMPTS = 5
"""How many failures are allowed without a wait, since people mistype."""

LONGEST_SECONDS = 60.0
FORGOTTEN_SECONDS = 900.0
"""How long after its last failure an address or a name is forgotten."""

KEYS_KEPT = 10_000
FAILURES = frozenset({400, 401, 422})


class Attempts:
    """Counts failed logins by key (an address, a name). Each failure beyond the free ones doubles the wait until the next
    attempt is allowed.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._lock = threading.Lock()

    def seconds_to_wait(self, keys: Sequence[str]) -> float:
        """Returns how long to wait until an attempt with all of these keys is allowed; 0 = now."""
        with self._lock:
            return max(0.0, *(self._wait(key) for key in keys))

    def failed(self, keys: Sequence[str]) -> None:
        """Counts a failure under each key."""
        with self._lock:
            for key in keys:
                self._failures[key] = (self._count(key) + 1, self._clock())
                self._failures.move_to_end(key)
            while len(self._failures) > KEYS_KEPT:
                self._failures.popitem(last=False)

    def succeeded(self, keys: Sequence[str]) -> None:
        """Forgets the failures under these keys."""
        with self._lock:
            for key in keys:
                self._failures.pop(key, None)

    def _count(self, key: str) -> int:
        count, last = self._failures.get(key, (0, -math.inf))
        return count if self._clock() - last < FORGOTTEN_SECONDS else 0

    def _wait(self, key: str) -> float:
        count, last = self._count(key), self._failures.get(key, (0, 0.0))[1]
        if count < FREE_ATTEMPTS:
            return 0.0
        return last + min(LONGEST_SECONDS, 2.0 ** (count - FREE_ATTEMPTS)) - self._clock()


class LoginFirst:
    """ASGI middleware that refuses a request with a body from a sender who is not logged in, if there is a login.

    Gradio reads a body before it asks who sends it, and some of its routes never ask. gradio_app: Gradio's application, which
    holds the logins.
    """

    def __init__(self, app: ASGIApp, gradio_app: Any) -> None:
        self._app, self._gradio = app, gradio_app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asks = scope["type"] == "http" and scope["method"] == "POST" and get_route_path(scope).rstrip("/") != "/login"
        if asks and self._gradio.auth is not None and not self._is_known(scope):
            await JSONResponse({"error": "Log in first.", "detail": "Log in first."}, 401, {"Connection": "close"})(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_known(self, scope: Scope) -> bool:
        return has_session(scope, self._gradio)


def has_session(scope: Scope, gradio_app: Any) -> bool:
    """Returns whether a request has the cookie of a login at the page that Gradio still holds."""
    cookies = cookie_parser(Headers(scope=scope).get("cookie", ""))
    names = (f"access-token-{gradio_app.cookie_id}", f"access-token-unsecure-{gradio_app.cookie_id}")
    return any(gradio_app.tokens.get(cookies.get(name)) is not None for name in names)


class LoginThrottle:
    """ASGI middleware that limits attempts at Gradio's /login. It reads the whole body, which an earlier limit keeps small."""

    def __init__(self, app: ASGIApp, attempts: Attempts) -> None:
        self._app, self._attempts = app, attempts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or get_route_path(scope).rstrip("/") != "/login":
            await self._app(scope, receive, send)
            return
        messages = await _whole(receive)
        name = await _user_name(scope, messages)
        keys = attempt_keys(scope, name)
        if (wait := self._attempts.seconds_to_wait(keys)) > 0:
            await too_often(wait)(scope, receive, send)
            return
        await self._app(scope, _replayed(messages, receive), self._noting(send, keys, name))

    def _noting(self, send: Send, keys: Sequence[str], name: str) -> Send:
        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                note_outcome(self._attempts, keys, name, has_failed=message["status"] in FAILURES)
            await send(message)

        return noting


def attempt_keys(scope: Scope, name: str) -> tuple[str, str]:
    """Returns the keys under which an attempt counts. Address and name have different prefixes, so that neither can pass for the other."""
    address = scope["client"][0] if scope.get("client") else "no address"
    return f"address {address}", f"name {name}"


def note_outcome(attempts: Attempts, keys: Sequence[str], name: str, *, has_failed: bool) -> None:
    """Counts a login that was answered, and logs it if it failed."""
    if not has_failed:
        attempts.succeeded(keys)
        return
    attempts.failed(keys)
    log.warning("a login failed", extra={"user": ascii(name)[:60], "address": keys[0].removeprefix("address ")})


def too_often(wait: float) -> JSONResponse:
    """Returns the answer to an attempt that came too early."""
    seconds = math.ceil(wait)
    sentence = f"Too many failed logins. Try again in {seconds} s."
    return JSONResponse({"error": sentence, "detail": sentence}, 429, {"Retry-After": str(seconds)})


async def _whole(receive: Receive) -> list[Message]:
    messages = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())
    return messages


async def _user_name(scope: Scope, messages: Sequence[Message]) -> str:
    """Returns the user name in a login form of either encoding, or ""."""
    try:
        async with Request(scope, _replayed(messages, _nothing_more)).form(max_files=0, max_fields=10) as form:
            name = form.get("username")
    except Exception:  # the form cannot be read; Gradio will refuse it
        return ""
    return name.strip() if isinstance(name, str) else ""


def _replayed(messages: Sequence[Message], then: Receive) -> Receive:
    left = list(messages)

    async def receive() -> Message:
        return left.pop(0) if left else await then()

    return receive


async def _nothing_more() -> Message:
    return {"type": "http.disconnect"}
