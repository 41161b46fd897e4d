"""Connections that never say what they want make room for those that do."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from inpaint.ui.security import connections
from inpaint.ui.security.connections import LOGGED_EACH_MINUTE, FewOfAKind, bounded_connections

PATIENCE_SECONDS = 60
HEAD = b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"


async def read(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


async def slow(request: Request) -> StreamingResponse:
    async def pieces() -> Any:
        for _ in range(8):
            yield b"."
            await asyncio.sleep(0.1)

    return StreamingResponse(pieces())


async def block(request: Request) -> PlainTextResponse:
    time.sleep(0.5)  # the event loop: whoever comes meanwhile is accepted in one burst
    return PlainTextResponse("")


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A server with small bounds; its port."""
    for name, value in {"HEAD_SECONDS": 0.3, "BODY_SECONDS": 0.3, "LOOK_SECONDS": 0.05, "MOST_CONNECTIONS": 8}.items():
        monkeypatch.setattr(connections, name, value)
    with socket.create_server(("127.0.0.1", 0)) as listener, bounded_connections():
        app = Starlette(routes=[Route("/read", read, methods=["GET", "POST"]), Route("/slow", slow), Route("/block", block)])
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join(PATIENCE_SECONDS)


@pytest.mark.parametrize(
    "sent", [b"", b"GET /read HTTP/1.1\r\nHost:", HEAD, HEAD + b"half a body"], ids=["nothing", "half a head", "no body", "half a body"]
)
def test_half_a_request_is_given_up(port: int, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as connection:
        connection.sendall(sent)
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""


def test_an_answer_may_take_its_time(port: int) -> None:
    assert httpx.get(f"http://127.0.0.1:{port}/slow", timeout=PATIENCE_SECONDS, trust_env=False).text == "........"


def test_a_body_that_comes_slowly_is_read(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as connection:
        connection.sendall(HEAD)
        for _ in range(10):
            connection.sendall(b"x" * 10)
            time.sleep(0.1)
        assert connection.recv(1000).endswith(b"100")


def test_a_burst_is_bounded_too(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", PATIENCE_SECONDS)
    blocking = threading.Thread(
        target=httpx.get, args=(f"http://127.0.0.1:{port}/block",), kwargs={"trust_env": False, "timeout": PATIENCE_SECONDS}
    )
    blocking.start()
    time.sleep(0.2)
    burst = [socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) for _ in range(40)]
    blocking.join(PATIENCE_SECONDS)
    try:
        last = time.monotonic() + PATIENCE_SECONDS
        while sum(map(is_open, burst)) > 8:
            assert time.monotonic() < last, f"{sum(map(is_open, burst))} are open"
            time.sleep(0.05)
    finally:
        for connection in burst:
            connection.close()


def is_open(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False


def test_many_that_wait_leave_room_for_one_who_asks(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", PATIENCE_SECONDS)
    waiting = [socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) for _ in range(40)]
    try:
        assert httpx.get(f"http://127.0.0.1:{port}/read", timeout=PATIENCE_SECONDS, trust_env=False).text == "0"
    finally:
        for connection in waiting:
            connection.close()


@pytest.fixture
def line() -> Callable[[str], logging.LogRecord]:
    return lambda text: logging.LogRecord("asyncio", logging.ERROR, "", 0, text, (), None)


def test_a_kind_of_line_is_written_so_often_and_others_still_are(line: Callable[[str], logging.LogRecord]) -> None:
    now = [0.0]
    few = FewOfAKind(lambda: now[0])
    assert sum(few.filter(line("out of system resource")) for _ in range(1000)) == LOGGED_EACH_MINUTE
    assert few.filter(line("something else"))
    now[0] = 61
    assert few.filter(line("out of system resource"))
