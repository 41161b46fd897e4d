"""What stands before Gradio: no foreign page may post here, our own routes ask for the login, a browser keeps its person.

Knows no widgets and no jobs.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PERSON_COOKIE = "inpaint-person"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """ASGI middleware before everything."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["method"] not in SAFE_METHODS and not is_own_origin(Headers(scope=scope)):
            await PlainTextResponse("This request comes from another site.", 403)(scope, receive, send)
        else:
            await self._app(scope, receive, _with_person(scope, send))


class Login:
    """ASGI middleware of a single route, so that no path leads past it, whatever prefixes a proxy puts before it.

    auth: (user, password), or None where there is no login. Gradio's own login does not cover routes that are not its own.
    """

    def __init__(self, app: ASGIApp, auth: tuple[str, str] | None) -> None:
        self._app = app
        self._auth = auth

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        knows = self._auth is None or has_login(Headers(scope=scope), self._auth)
        refusal = PlainTextResponse("Log in first.", 401, {"WWW-Authenticate": 'Basic realm="inpaint"'})
        await (self._app if knows else refusal)(scope, receive, send)


def is_own_origin(headers: Headers) -> bool:
    """Whether a writing request comes from this site's own page, or from a program (which sends no Origin).

    A browser lets any page post a form or an upload to localhost; the answer is hidden from it, but the work would be done.
    A proxy's X-Forwarded-Host is believed: a foreign page cannot set that header without asking first (CORS).
    """
    origin = headers.get("origin")
    if origin is None:
        return True
    host = urlsplit(origin).netloc
    return bool(host) and host in (headers.get("host"), headers.get("x-forwarded-host"))


def has_login(headers: Headers, auth: tuple[str, str]) -> bool:
    """HTTP Basic with the app's own user and password, compared in constant time."""
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        given = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(given, ":".join(auth).encode())


def _with_person(scope: Scope, send: Send) -> Send:
    """Give a browser that opens the page a random name, so that it finds its running job again after a reload.

    The page is known by being HTML: its path may have any prefix.
    """
    if PERSON_COOKIE in cookie_parser(Headers(scope=scope).get("cookie", "")):
        return send

    async def named(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            if headers.get("content-type", "").startswith("text/html"):
                headers.append("set-cookie", f"{PERSON_COOKIE}={secrets.token_urlsafe(16)}; Path=/; HttpOnly; SameSite=Lax")
        await send(message)

    return named
