"""Middleware that checks each request: its host name, its origin and its person's cookie; and the login of the app's own routes.

Knows no widgets and no jobs.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
import re
import secrets
import time
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inpaint.ui.security.hosts import Hosts
from inpaint.ui.security.login import Attempts, attempt_keys, has_session, note_outcome, too_often
from inpaint.ui.security.signed_names import PERSON_COOKIE, Names, named

READING_METHODS = frozenset({"GET", "HEAD"})
FORWARDED = (b"x-forwarded-", b"forwarded")
SHOWN_CHARACTERS = 80
"""How many characters of a name that a stranger sent are shown, in an answer and in the log."""

LOGGED_AGAIN_SECONDS, LOGGED_AT_ONCE = 60.0, 64
log = logging.getLogger(__name__)


class Guard:
    """ASGI middleware that runs before all other. It sees who is really connected, so nothing before it may read forwarded headers."""

    def __init__(self, app: ASGIApp, hosts: Hosts | None = None, names: Names | None = None) -> None:
        self._app = app
        self._hosts = hosts or Hosts()
        self._names = names or Names(secrets.token_bytes())
        self._logged = RecentlyLogged()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        believed = self._without_foreign_claims(scope)
        headers = Headers(scope=believed)
        host = _asked_as(headers)
        if not self._hosts.answers_to(host):
            await self._refuse(421, _unknown_name(host), ("an unknown name", host), scope, receive, send)
        elif foreign := self._foreign_page(scope, headers, host):
            await self._refuse(403, _foreign(foreign, host), (f"a page of {_shown(foreign)}", host), scope, receive, send)
        else:
            known, has_name = named(believed, self._names)
            with_cookie = send if has_name else _with_person(self._names, known, send)
            await self._app(known, receive, _without_cors(with_cookie, self._hosts.is_space))

    def _foreign_page(self, scope: Scope, headers: Headers, host: str) -> str:
        """Returns the Origin that may not send this request, preflights included; "" if it may. A program sends no Origin.

        A browser lets any page post a form or an upload to localhost. It hides the answer from that page, but the work would
        be done.
        """
        if scope["type"] == "http" and scope["method"] in READING_METHODS:
            return ""
        return next((origin or "nowhere" for origin in headers.getlist("origin") if not self._hosts.is_own(origin, host)), "")

    def _without_foreign_claims(self, scope: Scope) -> Scope:
        """Returns the request without forwarded headers, unless a trusted proxy sent them. Gradio would believe them from anyone."""
        peer = scope["client"][0] if scope.get("client") else None
        if self._hosts.trusts(peer):
            return scope
        kept = [(name, value) for name, value in scope["headers"] if not name.lower().startswith(FORWARDED)]
        if len(kept) < len(scope["headers"]) and self._logged.is_new(("forwarded", str(peer))):
            log.warning("forwarded headers of %s are not believed; FORWARDED_ALLOW_IPS names the proxies that are", peer)
        return {**scope, "headers": kept}

    async def _refuse(self, status: int, sentence: str, who: tuple[str, str], scope: Scope, receive: Receive, send: Send) -> None:
        if self._logged.is_new(who):
            log.warning("refused: %s asked for %s", who[0], _shown(who[1]))
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        await JSONResponse({"error": sentence}, status, {"X-Content-Type-Options": "nosniff"})(scope, receive, send)


class RecentlyLogged:
    """Remembers what was logged recently: each thing once a minute, and a limited number of things, so that no stranger can fill
    the log.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._when: dict[tuple[str, str], float] = {}

    def is_new(self, thing: tuple[str, str]) -> bool:
        now = self._clock()
        self._when = {known: when for known, when in self._when.items() if now - when < LOGGED_AGAIN_SECONDS}
        if thing in self._when or len(self._when) >= LOGGED_AT_ONCE:
            return False
        self._when[thing] = now
        return True


class Login:
    """ASGI middleware of a single route that asks for the login. No path leads past it, whatever prefix a proxy adds.

    auth: (user, password), or None if there is no login. Gradio's login does not cover routes that the app adds. A program
    sends HTTP Basic; a browser sends the cookie of its login at the page.
    """

    def __init__(self, app: ASGIApp, auth: tuple[str, str] | None, attempts: Attempts) -> None:
        self._app, self._auth, self._attempts = app, auth, attempts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = (
            self._app if self._auth is None or has_session(scope, scope["app"]) else self._checked(Headers(scope=scope), self._auth, scope)
        )
        await answer(scope, receive, send)

    def _checked(self, headers: Headers, auth: tuple[str, str], scope: Scope) -> ASGIApp:
        """Returns what answers a request without a login at the page. Wrong passwords are counted as those of the page are."""
        refusal = PlainTextResponse("Log in first.", 401, {"WWW-Authenticate": 'Basic realm="inpaint"'})
        given = basic_login(headers)
        if given is None:
            return refusal
        name = given.partition(b":")[0].decode(errors="replace")
        keys = attempt_keys(scope, name)
        if (wait := self._attempts.seconds_to_wait(keys)) > 0:
            return too_often(wait)
        is_right = hmac.compare_digest(given, ":".join(auth).encode())
        note_outcome(self._attempts, keys, name, has_failed=not is_right)
        return self._app if is_right else refusal


def basic_login(headers: Headers) -> bytes | None:
    """Returns the user:password of a request's HTTP Basic; None if there is none, or it cannot be read."""
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None


def _asked_as(headers: Headers) -> str:
    """Returns the host that a request is for: what a trusted proxy forwards (the first of several in a row), else its only Host header."""
    forwarded = headers.get("x-forwarded-host", "").partition(",")[0].strip()
    hosts = headers.getlist("host")
    return forwarded or (hosts[0] if len(hosts) == 1 else "")


def _unknown_name(host: str) -> str:
    return f"This server does not answer to the name {_shown(host)}; its owner can allow it with INPAINT_ALLOWED_HOSTS."


def _foreign(origin: str, host: str) -> str:
    return (
        f"A page of {_shown(origin)} may not use this server, which was asked for as {_shown(host)}; if that is where you opened "
        "Inpaint, its owner can allow the name with INPAINT_ALLOWED_HOSTS."
    )


def _shown(name: str) -> str:
    return ascii(name[:SHOWN_CHARACTERS])[1:-1] or "(none)"


def _without_cors(send: Send, is_space: bool) -> Send:
    """Returns a `send` that drops headers which let other sites read answers or send a login along.

    Gradio allows every origin, with credentials, and sets its login's cookie for all sites. On a Space the cookie stays as it
    is, because the page is in a frame of the hub's page, where a stricter cookie would not be sent.
    """

    async def own(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {
                **message,
                "headers": [
                    (name, value if is_space or name.lower() != b"set-cookie" else _lax(value))
                    for name, value in message.get("headers", ())
                    if not name.lower().startswith(b"access-control-")
                ],
            }
        await send(message)

    return own


def _lax(cookie: bytes) -> bytes:
    return re.sub(rb"samesite=none", b"SameSite=Lax", cookie, flags=re.IGNORECASE)


def _with_person(names: Names, scope: Scope, send: Send) -> Send:
    """Returns a `send` that gives a browser which opens the page its own name, so that it finds its running job after a reload.

    An answer in HTML counts as the page, since its path may have any prefix.
    """

    async def with_name(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            address = scope["client"][0] if scope.get("client") else ""
            if headers.get("content-type", "").startswith("text/html") and (name := names.new(address)):
                headers.append("set-cookie", f"{PERSON_COOKIE}={name}; Path=/; HttpOnly; SameSite=Lax")
        await send(message)

    return with_name
