"""Our own middleware, put before all of Gradio's. Knows no widgets and no jobs."""

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
    """Puts our own middleware before all of the app when it starts, before any request can have come.

    What Gradio takes as middleware stands behind its own, which answers preflights and allows other sites to read answers.
    """
    app.middleware_stack = before_gradio(LoginFirst(inner(app.middleware_stack), app), hosts, config)
    yield


def before_gradio(app: Any, hosts: Hosts, config: AppConfig) -> SecurityHeaders:
    """Returns the app behind our own middleware.

    From outside to inside: headers of every answer; the guard, which has to see who is connected; what reads from forwarded headers who
    the visitor is; which paths are open, and how large a body each takes.
    """
    settings = config.settings
    upload_bytes = settings.pictures.max_file_megabytes * 1_000_000
    doors = Doors(app, upload_bytes=upload_bytes, event_bytes=MAX_VALUE_CHARS + JSON_BYTES)
    proxies = settings.trusted_proxies or (TUNNEL_PROXIES if settings.share else ())
    forwarded: Any = ProxyHeadersMiddleware(cast(Any, doors), list(proxies))
    return SecurityHeaders(Guard(forwarded, hosts, Names(signing_key(config.data_dir))), is_space=hosts.is_space)


@contextlib.contextmanager
def forwarded_headers_left_to_the_guard() -> Generator[None]:
    """Has the web server believe no forwarded header while Gradio makes it. By default it believes those of loopback addresses."""
    kept = os.environ.get("FORWARDED_ALLOW_IPS")
    os.environ["FORWARDED_ALLOW_IPS"] = ""
    try:
        yield
    finally:
        del os.environ["FORWARDED_ALLOW_IPS"]
        os.environ.update({} if kept is None else {"FORWARDED_ALLOW_IPS": kept})
