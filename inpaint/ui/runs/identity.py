"""Who is asking: whose page it is, and whose limits a run counts for. Knows no widgets and no jobs."""

from __future__ import annotations

from typing import Any

import gradio as gr

from inpaint.ui.security.signed_names import PERSON_COOKIE


def person_of(request: gr.Request) -> str:
    """Returns whose page it is: the browser's signed name, or the session's where cookies are blocked. Runs are found again by this name."""
    return _browser(request) or f"page {request.session_hash}"


def account_of(request: gr.Request) -> str:
    """Returns whose limits a run counts for: the browser's signed name, else login and address.

    A session counts for nothing here, since a caller can make up as many as it likes. The address is what the web server says: it
    believes a proxy's header only where it trusts that proxy (FORWARDED_ALLOW_IPS).
    """
    if name := _browser(request):
        return name
    client: Any = request.client
    return f"program {request.username or ''} at {client.host if client else 'no address'}"


def _browser(request: gr.Request) -> str:
    """Returns the browser's name, or "" without a cookie. Each kind of name has its own prefix, so that no cookie passes for an address."""
    cookies: Any = getattr(request, "cookies", None) or {}
    name = cookies.get(PERSON_COOKIE)
    return f"browser {name}" if name else ""
