"""A walk over every route that Gradio and the app have, with and without the login, under a right and a wrong host name."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from inpaint.config.load import load_config
from inpaint.service import Service
from inpaint.ui.page import Page, build_page
from inpaint.ui.security.headers import security_headers

LOGIN = ("ann", "a secret")
WITHOUT_LOGIN = {
    "",
    "/login",
    "/logout",
    "/healthz",
    "/theme.css",
    "/favicon.ico",
    "/robots.txt",
    "/manifest.json",
    "/static/x",
    "/assets/x",
    "/svelte/x",
    "/gradio_api/theme.css",
    "/gradio_api/app_id",
    "/gradio_api/user",
    "/gradio_api/startup-events",
    "/gradio_api/heartbeat/x",
}
"""What answers to anybody: the login page and what it is made of; of the rest each tells nothing and changes nothing of anybody's."""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    data = str(tmp_path_factory.mktemp("data"))
    page = build_page(Service.build(load_config(environment={}, flags={"device": "cpu", "data_dir": data, "auth": ":".join(LOGIN)})))
    page.launch(prevent_thread_lock=True, quiet=True, server_port=None)
    yield page
    page.close()


def routes(page: Page) -> list[tuple[str, str]]:
    """(method, path) of each, with something in the place of its parameters."""
    nested = [
        ("/gradio_api", route)
        for included in page.app.routes
        if hasattr(included, "original_router")
        for route in included.original_router.routes
    ]
    every = [("", route) for route in page.app.routes if hasattr(route, "path")] + nested
    found = {
        (method, re.sub(r"\{[^}]*\}", "x", prefix * (not route.path.startswith(prefix)) + route.path))
        for prefix, route in every
        for method in getattr(route, "methods", None) or ()
    }
    assert len(found) > 60
    return sorted(found)


def asked(page: Page, method: str, path: str, **options: object) -> httpx.Response:
    with (
        httpx.Client(base_url=page.local_url or "", timeout=60, trust_env=False) as client,
        client.stream(method, path, **options) as answer,
    ):  # pyright: ignore
        return answer


def test_no_route_answers_to_a_foreign_name(page: Page) -> None:
    wrong = {
        (method, path): status
        for method, path in routes(page)
        if (status := asked(page, method, path, headers={"host": "evil.example"}).status_code) != 421
    }
    assert wrong == {}


def test_without_the_login_nothing_of_the_app_is_reached(page: Page) -> None:
    opened = {path.rstrip("/") for method, path in routes(page) if asked(page, method, path).status_code not in (401, 403, 404, 405)}
    assert opened <= WITHOUT_LOGIN


def test_no_route_fails_and_each_answer_has_its_headers(page: Page) -> None:
    with httpx.Client(base_url=page.local_url or "", timeout=60, trust_env=False) as client:
        assert client.post("/login", data=dict(zip(("username", "password"), LOGIN, strict=True))).status_code == 200
        cookies = dict(client.cookies)
    for method, path in routes(page):
        answer = asked(page, method, path, cookies=cookies)
        assert answer.status_code < 500, (method, path)
        assert {name: answer.headers.get(name) for name in security_headers(is_space=False)} == security_headers(is_space=False), path


@pytest.mark.parametrize("is_space", [False, True], ids=["elsewhere", "a Space"])
def test_who_may_frame_the_page(is_space: bool) -> None:
    headers = security_headers(is_space=is_space)
    assert ("https://huggingface.co" in headers["Content-Security-Policy"]) == is_space
    assert ("X-Frame-Options" in headers) != is_space


@pytest.mark.parametrize(
    "path", ["/gradio_api/queue/join", "/gradio_api/call/edit", "/gradio_api/cancel", "/gradio_api/upload", "/gradio_api/reset"]
)
def test_no_body_is_read_before_its_sender_is_known(page: Page, path: str) -> None:
    """The answer comes before a byte of the body was sent."""
    address = urlsplit(page.local_url or "")
    with socket.create_connection((address.hostname or "", address.port or 0), 60) as connection:
        connection.sendall(
            f"POST {path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 900000\r\nContent-Type: application/json\r\n\r\n".encode()
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 401 ")
