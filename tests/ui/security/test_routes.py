"""Which paths are open: the ones the app uses, with bodies no larger than it needs. Everything else is closed before Gradio hears of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import Message, Scope

from inpaint.ui.security.routes import FORM_BYTES, JSON_BYTES, MULTIPART_BYTES, Doors, leads_elsewhere

UPLOAD_BYTES, EVENT_BYTES = 5_000_000, 2_000_000


@pytest.fixture
def visitor() -> Iterator[TestClient]:
    """Before an app that answers everything with the number of bytes that it has read."""

    async def anything(request: Request) -> JSONResponse:
        return JSONResponse({"read": len(await request.body())})

    app = Starlette(
        routes=[Route("/{path:path}", anything, methods=["GET", "POST", "PUT", "DELETE", "PATCH"])],
        middleware=[Middleware(Doors, upload_bytes=UPLOAD_BYTES, event_bytes=EVENT_BYTES)],
    )
    with TestClient(app) as client:
        yield client


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/config",
        "/config/",
        "/login_check",
        "/theme.css",
        "/favicon.ico",
        "/robots.txt",
        "/healthz",
        "/readyz",
        "/metrics",
        "/logout",
        "/static/a/b.js",
        "/assets/index-1.js",
        "/gradio_api/info",
        "/gradio_api/queue/data?session_hash=x",
        "/gradio_api/file=/data/a b.png",
        "/gradio_api/call/edit/0123",
        "/gradio_api/upload_progress?upload_id=1",
        "/gradio_api/startup-events",
    ],
)
def test_what_is_read_is_open(path: str, visitor: TestClient) -> None:
    assert visitor.get(path).status_code == 200
    assert visitor.request("DELETE", path).status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/proxy=http://example.com/",
        "/monitoring",
        "/monitoring/summary",
        "/monitoring/key",
        "/gradio_api/openapi.json",
        "/openapi.json",
        "/docs",
        "/gradio_api/vibe-code",
        "/gradio_api/dev/reload",
        "/gradio_api/stream/a/b/c/playlist.m3u8",
        "/gradio_api/run-history/records",
        "/gradio_api/runs",
        "/gradio_api/profiling/traces",
        "/gradio_api/deep_link",
        "/gradio_api/token",
        "/gradio_api/custom_component/a/b/c/d",
        "/gradio_api/nothing",
        "/nothing",
        "/gradio_api/mcp",
        "/config/more",
        "/login/../x",
        "/gradio_api",
        "/gradio_api/file",
        f"/static/{'a' * 5000}",
        "/.env",
        "/%2e%2e/etc/passwd",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_everything_else_is_closed(path: str, method: str, visitor: TestClient) -> None:
    answer = visitor.request(method, path)
    assert answer.status_code == 404 and answer.json() == {"error": "There is nothing at this address."}


@pytest.mark.parametrize(
    ("path", "most"),
    [
        ("/login", FORM_BYTES),
        ("/gradio_api/cancel", JSON_BYTES),
        ("/gradio_api/reset", JSON_BYTES),
        ("/gradio_api/queue/join", EVENT_BYTES),
        ("/gradio_api/call/edit", EVENT_BYTES),
        ("/gradio_api/run/edit", EVENT_BYTES),
        ("/gradio_api/upload", UPLOAD_BYTES + MULTIPART_BYTES),
        ("/config", 0),
    ],
    ids=str,
)
@pytest.mark.parametrize("is_announced", [True, False], ids=["announced", "in pieces"])
def test_a_body_that_is_too_large_is_refused(path: str, most: int, is_announced: bool, visitor: TestClient) -> None:
    """In pieces, none of which says how many follow, too."""

    def sent(size: int) -> bytes | Iterator[bytes]:
        piece = 100_000
        return bytes(size) if is_announced else (bytes(min(piece, size - start)) for start in range(0, size, piece))

    method = "POST" if most else "GET"
    assert visitor.request(method, path, content=sent(most)).json() == {"read": most}
    refused = visitor.request(method, path, content=sent(most + 1))
    assert refused.status_code == 413 and f"{most:,} bytes" in refused.json()["error"]


def test_an_announced_body_is_not_read() -> None:
    """The answer comes although nothing was sent yet. Driven by hand: a loop of asyncio may be running here already."""
    sent: list[Message] = []

    async def never(*given: object) -> Any:
        raise AssertionError("the body was read, or the app was asked")

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "http", "method": "POST", "path": "/gradio_api/cancel", "headers": [(b"content-length", b"250000000")]}
    with pytest.raises(StopIteration):
        Doors(never, UPLOAD_BYTES, EVENT_BYTES)(scope, never, send).send(None)
    assert sent[0]["status"] == 413


@pytest.mark.parametrize(
    ("place", "elsewhere"),
    [
        ("/data/results/a.png", False),
        ("C:\\results\\a.png", False),
        ("C:/results/a.png", False),
        ("/data/100%25 sure.png", False),
        ("http://127.0.0.1/a", True),
        ("https://example.com/a.png", True),
        ("HTTP://example.com", True),
        ("http%3A%2F%2Fexample.com", True),
        ("//example.com/share/a.png", True),
        ("\\\\host\\share", True),
        ("/\\host/share", True),
        ("ftp://example.com/a", True),
        ("file:///etc/passwd", True),
        ("gopher://x", True),
        ("a.png", True),
        ("../../etc/passwd", True),
        ("data:image/png;base64,AAAA", True),
        (" http://x", True),
        ("%2F%2Fhost/share", True),
        ("%68ttp://x", True),
        ("C://host/share", True),
    ],
)
def test_only_files_of_this_machine_are_asked_for(place: str, elsewhere: bool, visitor: TestClient) -> None:
    assert leads_elsewhere(f"/gradio_api/file={place}") == elsewhere
