"""Identifies who sends a request: the person whose runs a page finds, and the account whose limits a run counts for. Knows no jobs."""

from __future__ import annotations

from typing import Any

import gradio as gr

from inpaint.ui.security.signed_names import PERSON_COOKIE


def person_of(request: gr.Request) -> str:
    """Returns the person whose page it is: the browser's signed name, or the session's if cookies are blocked. Runs are found
    again by it.
    """
    return _browser(request) or f"page {request.session_hash}"


def account_of(request: gr.Request) -> str:
    """Returns the account whose limits a run counts for: the browser's signed name, else login and address.

    Sessions do not count here, since a caller can invent any number of them. The address comes from the web server, which
    believes a proxy's header only if it trusts that proxy (FORWARDED_ALLOW_IPS).
    """
    if name := _browser(request):
        return name
    client: Any = request.client
    return f"program {request.username or ''} at {client.host if client else 'no address'}"


def _browser(request: gr.Request) -> str:
    """Returns the browser's name, or "" without a cookie. Each kind of name has its own prefix, so that no cookie can pass for
    an address.
    """
    cookies: Any = getattr(request, "cookies", None) or {}
    name = cookies.get(PERSON_COOKIE)
    return f"browser {name}" if name else ""
