"""The app's own middleware, which runs before all of Gradio's. Knows no widgets and no jobs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, cast

from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from inpaint.config.settings import AppConfig
from inpaint.ui.security.guard import Guard
from inpaint.ui.security.headers import SecurityHeaders
from inpaint.ui.security.hosts import TUNNEL_PROXIES, Hosts
from inpaint.ui.security.login import LoginFirst
from inpaint.ui.security.routes import JSON_BYTES, Doors
from inpaint.ui.security.signed_names import Names, signing_key
from inpaint.ui.stage.stage import MAX_VALUE_CHARS


@contextlib.asynccontextmanager
async def guarded(app: Any, hosts: Hosts, config: AppConfig, inner: Callable[[Any], ASGIApp]) -> AsyncGenerator[None]:
    """Puts the app's own middleware before Gradio's when the server starts, before any request can arrive.

    Middleware passed to Gradio would run after its own, which answers preflights and lets other sites read answers.
    """
    app.middleware_stack = before_gradio(LoginFirst(inner(app.middleware_stack), app), hosts, config)
    yield


def before_gradio(app: Any, hosts: Hosts, config: AppConfig) -> SecurityHeaders:
    """Returns the app wrapped in its own middleware.

    From outside to inside: headers of every answer; the guard, which must see who is connected; the reader of forwarded
    headers, which says who the visitor is; and the list of open paths with the largest body of each.
    """
    settings = config.settings
    upload_bytes = settings.pictures.max_file_megabytes * 1_000_000
    doors = Doors(app, upload_bytes=upload_bytes, event_bytes=MAX_VALUE_CHARS + JSON_BYTES)
    proxies = settings.trusted_proxies or (TUNNEL_PROXIES if settings.share else ())
    forwarded: Any = ProxyHeadersMiddleware(cast(Any, doors), list(proxies))
    return SecurityHeaders(Guard(forwarded, hosts, Names(signing_key(config.data_dir))), is_space=hosts.is_space)


@contextlib.contextmanager
def forwarded_headers_left_to_the_guard() -> Generator[None]:
    """Makes the web server ignore forwarded headers while Gradio creates it. By default it believes those of loopback addresses."""
    kept = os.environ.get("FORWARDED_ALLOW_IPS")
    os.environ["FORWARDED_ALLOW_IPS"] = ""
    try:
        yield
    finally:
        del os.environ["FORWARDED_ALLOW_IPS"]
        os.environ.update({} if kept is None else {"FORWARDED_ALLOW_IPS": kept})
