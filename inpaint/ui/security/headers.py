"""Adds headers to every answer that tell a browser what this page may do and who may frame it. Knows no jobs and no widgets."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HUB_FRAMES = "https://huggingface.co https://*.huggingface.co https://*.hf.space"
"""Sites that may show a Space in a frame."""

POLICY = {
    "default-src": "'self'",
    # Gradio starts from an inline script, and evaluates the scripts of its HTML components.
    "script-src": "'self' 'unsafe-inline' 'unsafe-eval'",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "connect-src": "'self' data: blob:",
    "media-src": "'self' data: blob:",
    "worker-src": "'self' blob:",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
}


def security_headers(*, is_space: bool) -> Mapping[str, str]:
    """Returns the headers by name. A Space may be framed by the hub's page; anywhere else no other page may frame this one."""
    policy = {**POLICY, "frame-ancestors": f"'self' {HUB_FRAMES}" if is_space else "'self'"}
    headers = {
        "Content-Security-Policy": "; ".join(f"{name} {sources}" for name, sources in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    return headers if is_space else {**headers, "X-Frame-Options": "SAMEORIGIN", "Cross-Origin-Opener-Policy": "same-origin"}


class SecurityHeaders:
    """ASGI middleware that adds the security headers. A header that an answer already has stays as it is."""

    def __init__(self, app: ASGIApp, is_space: bool) -> None:
        self._app, self._headers = app, security_headers(is_space=is_space)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)
