"""The guard before Gradio: foreign pages, our own routes behind the login, the person's cookie."""

from __future__ import annotations

import base64

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from inpaint.ui.guard import PERSON_COOKIE, Guard, Login

HERE = "http://127.0.0.1:7860"
LOGIN = ("ann", "pässword")


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def client(auth: tuple[str, str] | None = None, root_path: str = "") -> TestClient:
    async def answer(request: Request) -> PlainTextResponse:
        return PlainTextResponse("done")

    async def page(request: Request) -> HTMLResponse:
        return HTMLResponse("<p>the page</p>")

    login = [Middleware(Login, auth=auth)]
    routes = [Route("/", page), Route("/upload", answer, methods=["GET", "POST"]), Route("/metrics", answer, middleware=login)]
    return TestClient(Guard(Starlette(routes=routes)), base_url=HERE, root_path=root_path)


@pytest.mark.parametrize(("origin", "status"), [
    pytest.param(None, 200, id="a program"),
    pytest.param(HERE, 200, id="our own page"),
    pytest.param("http://evil.example", 403, id="a foreign page"),
    pytest.param("http://127.0.0.1:9999", 403, id="another local server"),
    pytest.param("null", 403, id="a sandboxed frame"),
    pytest.param("", 403, id="empty"),
])
def test_only_our_own_page_may_post(origin: str | None, status: int) -> None:
    headers = {} if origin is None else {"origin": origin}
    assert client().post("/upload", headers=headers).status_code == status


def test_reading_is_free_for_everyone() -> None:
    assert client().get("/", headers={"origin": "http://evil.example"}).status_code == 200


def test_a_proxy_that_rewrites_the_host_is_believed() -> None:
    headers = {"origin": "https://inpaint.example", "x-forwarded-host": "inpaint.example"}
    assert client().post("/upload", headers=headers).status_code == 200


@pytest.mark.parametrize(("authorization", "status"), [
    pytest.param(None, 401, id="none"),
    pytest.param(basic("ann:pässword"), 200, id="right"),
    pytest.param(basic("ann:password"), 401, id="wrong"),
    pytest.param("Basic !!!", 401, id="not base64"),
    pytest.param("Bearer " + "x" * 9999, 401, id="another scheme"),
])
def test_our_own_routes_ask_for_the_login(authorization: str | None, status: int) -> None:
    headers = {} if authorization is None else {"authorization": authorization}
    assert client(LOGIN).get("/metrics", headers=headers).status_code == status


def test_without_a_login_they_are_open() -> None:
    assert client().get("/metrics").status_code == 200


@pytest.mark.parametrize("path", ["/metrics", "/inpaint/metrics", "/inpaint/inpaint/metrics", "/metrics/"])
@pytest.mark.parametrize("root_path", ["", "/inpaint", "/inpaint/inpaint"])
def test_no_prefix_leads_past_the_login(path: str, root_path: str) -> None:
    assert client(LOGIN, root_path).get(path).status_code in (401, 404)


@pytest.mark.parametrize(("path", "root_path"), [
    pytest.param("/", "", id="no prefix"),
    pytest.param("/inpaint/", "/inpaint", id="a proxy passes the prefix on"),
    pytest.param("/", "/inpaint", id="a proxy strips it"),
])
def test_the_page_names_its_person_under_any_prefix(path: str, root_path: str) -> None:
    assert PERSON_COOKIE in client(root_path=root_path).get(path).cookies


def test_only_the_page_names_a_person() -> None:
    assert PERSON_COOKIE not in client().get("/metrics").cookies


def test_a_browser_keeps_its_person_over_reloads() -> None:
    browser = client()
    first = browser.get("/").cookies[PERSON_COOKIE]
    again = browser.get("/")
    assert len(first) >= 16 and PERSON_COOKIE not in again.cookies
    assert client().get("/").cookies[PERSON_COOKIE] != first
    assert "httponly" in client().get("/").headers["set-cookie"].lower()
