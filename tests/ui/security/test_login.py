"""Guessing passwords is slow, by address and by name; a person who mistypes notices nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from inpaint.ui.security.guard import Login
from inpaint.ui.security.login import (
    FORGOTTEN_SECONDS,
    FREE_ATTEMPTS,
    KEYS_KEPT,
    LONGEST_SECONDS,
    Attempts,
    LoginThrottle,
)

ENCODINGS = {
    "urlencoded": lambda fields: {"data": fields},
    "multipart": lambda fields: {"files": {name: (None, text) for name, text in fields.items()}},
}


@pytest.fixture
def now() -> list[float]:
    return [1000.0]


@pytest.fixture
def visit(now: list[float]) -> Callable[[str], TestClient]:
    """A server whose password is "right"; call it with an address to get somebody there."""

    async def login(request: Request) -> JSONResponse:
        form = await request.form()
        return JSONResponse({"success": True}) if form["password"] == "right" else JSONResponse({"detail": "Incorrect credentials."}, 400)

    app = Starlette(
        routes=[Route("/login", login, methods=["POST"])], middleware=[Middleware(LoginThrottle, attempts=Attempts(lambda: now[0]))]
    )
    return lambda address: TestClient(app, client=(address, 1))


def status(visitor: TestClient, password: str, name: str = "me", encoding: str = "urlencoded") -> int:
    return visitor.post("/login", **ENCODINGS[encoding]({"username": name, "password": password})).status_code


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_person_who_mistypes_gets_in(visit: Callable[[str], TestClient], encoding: str) -> None:
    visitor = visit("10.0.0.1")
    assert [
        status(visitor, word, encoding=encoding) for word in ["wrong"] * (FREE_ATTEMPTS - 1) + ["right"] + ["wrong"] * (FREE_ATTEMPTS - 1)
    ] == ([400] * (FREE_ATTEMPTS - 1) + [200] + [400] * (FREE_ATTEMPTS - 1))


@pytest.mark.parametrize(
    ("addresses", "names"), [(["10.0.0.1"], ["me", "you"]), (["10.0.0.1", "10.0.0.2"], ["me"])], ids=["by address", "by name"]
)
def test_guessing_is_slowed(visit: Callable[[str], TestClient], now: list[float], addresses: list[str], names: list[str]) -> None:
    """Of ten minutes of guessing, once a second."""
    heard = 0
    for second in range(600):
        now[0] = 1000.0 + second
        answer = status(visit(addresses[second % len(addresses)]), f"guess {second}", names[second % len(names)])
        assert answer in (400, 429)
        heard += answer == 400
    assert FREE_ATTEMPTS < heard <= FREE_ATTEMPTS + 8 + 600 / LONGEST_SECONDS


def test_who_comes_too_often_is_told_how_long_and_others_are_not_held_up(visit: Callable[[str], TestClient]) -> None:
    guesser, other = visit("10.0.0.1"), visit("10.0.0.2")
    for _ in range(FREE_ATTEMPTS):
        status(guesser, "wrong")
    refused = guesser.post("/login", data={"username": "me", "password": "right"})
    assert refused.status_code == 429 and refused.headers["retry-after"] == "1"
    assert refused.json()["error"] == "Too many failed logins. Try again in 1 s."
    assert status(other, "right", "somebody else") == 200


def test_it_is_forgotten_in_time(visit: Callable[[str], TestClient], now: list[float]) -> None:
    visitor = visit("10.0.0.1")
    for _ in range(FREE_ATTEMPTS):
        status(visitor, "wrong")
    now[0] += FORGOTTEN_SECONDS + 1
    assert [status(visitor, "wrong") for _ in range(FREE_ATTEMPTS)] == [400] * FREE_ATTEMPTS


def test_the_log_names_who_but_not_the_password(visit: Callable[[str], TestClient], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "inpaint"):
        status(visit("10.0.0.1"), "my secret", "m\u00e9\nforged line")
        visit("10.0.0.1").post("/login", content=b"\xff\x00", headers={"content-type": "multipart/form-data; boundary=x"})
    assert [(vars(record)["user"], vars(record)["address"]) for record in caplog.records if record.name == "inpaint.ui.security.login"] == [
        ("'m\\xe9\\nforged line'", "10.0.0.1"),
        ("''", "10.0.0.1"),
    ]
    assert "secret" not in caplog.text


def test_many_keys_take_no_more_memory() -> None:
    attempts = Attempts(lambda: 0.0)
    for number in range(KEYS_KEPT + 500):
        attempts.failed([f"name {number}"] * FREE_ATTEMPTS)
    assert len(attempts._failures) == KEYS_KEPT and attempts.seconds_to_wait([f"name {KEYS_KEPT}"]) > 0


def test_guessing_by_http_basic_is_slowed_like_the_pages_login(now: list[float]) -> None:
    """A route of our own, as /metrics; the page's login and this one share one count."""
    app = Starlette(
        routes=[
            Route(
                "/figures",
                lambda request: JSONResponse({}),
                middleware=[Middleware(Login, auth=("me", "right"), attempts=Attempts(lambda: now[0]))],
            )
        ]
    )
    app.cookie_id, app.tokens = "id", {}  # pyright: ignore[reportAttributeAccessIssue]  # as Gradio's application has them

    def status_of(password: str | None, address: str = "10.0.0.1") -> int:
        auth = None if password is None else ("me", password)
        return TestClient(app, client=(address, 1)).get("/figures", auth=auth).status_code

    assert [status_of(None) for _ in range(20)] == [401] * 20, "whoever gives no password guesses nothing"
    assert status_of("right") == 200
    assert [status_of("wrong") for _ in range(FREE_ATTEMPTS)] == [401] * FREE_ATTEMPTS
    assert status_of("right") == 429 and status_of("right", "10.0.0.2") == 429, "by name, from wherever"
    now[0] += LONGEST_SECONDS
    assert status_of("right") == 200
