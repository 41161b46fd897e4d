"""The guard before Gradio: foreign pages, our own routes behind the login, the person's cookie."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from inpaint.config.settings import Settings
from inpaint.ui.security.guard import LOGGED_AT_ONCE, Guard, Login, RecentlyLogged
from inpaint.ui.security.hosts import Hosts, hosts_of
from inpaint.ui.security.login import Attempts
from inpaint.ui.security.signed_names import PERSON_COOKIE

HERE = "http://127.0.0.1:7860"
LOGIN = ("ann", "pässword")


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def client(auth: tuple[str, str] | None = None, root_path: str = "", hosts: Hosts | None = None, peer: str = "127.0.0.1") -> TestClient:
    """The guard before an app that, like Gradio, allows every origin, and tells what forwarded headers have reached it."""

    async def answer(request: Request) -> PlainTextResponse:
        response = PlainTextResponse("done", headers={"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Credentials": "true"})
        response.set_cookie("access-token", "x", samesite="none", secure=True)
        return response

    async def heard(request: Request) -> PlainTextResponse:
        return PlainTextResponse(",".join(sorted(name for name in request.headers if "forwarded" in name)))

    async def page(request: Request) -> HTMLResponse:
        return HTMLResponse("<p>the page</p>")

    login = [Middleware(Login, auth=auth, attempts=Attempts())]
    routes = [
        Route("/", page),
        Route("/upload", answer, methods=["GET", "POST", "OPTIONS"]),
        Route("/heard", heard),
        Route("/metrics", answer, middleware=login),
    ]
    app = Starlette(routes=routes)
    app.cookie_id, app.tokens = "1", {"right": "ann"}  # pyright: ignore[reportAttributeAccessIssue]  # as Gradio's own has them
    return TestClient(Guard(app, hosts), base_url=HERE, root_path=root_path, client=(peer, 50_000))


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        pytest.param(None, 200, id="a program"),
        pytest.param(HERE, 200, id="our own page"),
        pytest.param("http://evil.example", 403, id="a foreign page"),
        pytest.param("http://127.0.0.1:9999", 403, id="another local server"),
        pytest.param("null", 403, id="a sandboxed frame"),
        pytest.param("http://[", 403, id="half an address"),
        pytest.param("http://127.0.0.1:7860/", 403, id="no origin but an address"),
        pytest.param("127.0.0.1:7860", 403, id="no scheme"),
        pytest.param("", 403, id="empty"),
    ],
)
def test_only_our_own_page_may_post(origin: str | None, status: int) -> None:
    headers = {} if origin is None else {"origin": origin}
    assert client().post("/upload", headers=headers).status_code == status


def test_a_refusal_is_one_sentence_in_json(caplog: pytest.LogCaptureFixture) -> None:
    answer = client().post("/upload", headers={"origin": "https://evil.example"})
    assert answer.json() == {
        "error": "A page of https://evil.example may not use this server, which was asked for as 127.0.0.1:7860; if that "
        "is where you opened Inpaint, its owner can allow the name with INPAINT_ALLOWED_HOSTS."
    }
    assert caplog.messages == ["refused: a page of https://evil.example asked for 127.0.0.1:7860"]


def test_a_preflight_of_a_foreign_page_is_answered_by_the_guard() -> None:
    asks = {"access-control-request-method": "POST", "access-control-request-headers": "x-forwarded-host"}
    answer = client().options("/upload", headers={"origin": "http://evil.example", **asks})
    assert answer.status_code == 403 and not [name for name in answer.headers if name.startswith("access-control-")]


def test_a_foreign_page_may_read_nothing_of_an_answer() -> None:
    answer = client().get("/upload", headers={"origin": "http://evil.example"})
    assert answer.status_code == 200 and not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(("is_space", "told"), [(False, "samesite=lax"), (True, "samesite=none")], ids=["anywhere", "in a Space's frame"])
def test_a_login_is_not_sent_with_another_sites_requests(is_space: bool, told: str) -> None:
    assert told in client(hosts=Hosts(is_space=is_space)).get("/upload").headers["set-cookie"].lower()


@pytest.mark.parametrize("path", ["/", "/upload", "/metrics", "/heard", "/nowhere"])
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:7860",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "10.0.0.5",
        "",
        "a b",
        "user@localhost",
        "[::1",
        "192.168.1.7:7860",
        "xlocalhost",
    ],
)
def test_an_unknown_name_is_refused_on_every_route(path: str, host: str) -> None:
    answer = client().get(path, headers={"host": host})
    assert answer.status_code == 421
    assert "does not answer to the name" in answer.json()["error"]


def test_two_hosts_are_none() -> None:
    twice: Any = [("host", "localhost"), ("host", "evil.example")]
    answer = client().get("/", headers=twice)
    assert answer.status_code == 421


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:1",
        "localhost.:7860",
        "x.localhost:7860",
        "127.0.0.1",
        "127.1:7860",
        "2130706433",
        "0x7f000001:80",
        "0177.0.0.1",
        "[::1]:7860",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]:7860",
        "0.0.0.0:7860",
    ],
)
def test_loopback_is_known_in_all_its_spellings(host: str) -> None:
    assert client().get("/", headers={"host": host}).status_code == 200
    assert client().post("/upload", headers={"host": host, "origin": "http://evil.example"}).status_code == 403


LISTED = Settings(allowed_hosts=("inpaint.example", "*.lab.example", "ported.example:8443"))


@pytest.mark.parametrize(
    ("settings", "environment", "host", "status"),
    [
        pytest.param(LISTED, {}, "Inpaint.Example:9000", 200, id="a listed name, any port"),
        pytest.param(LISTED, {}, "a.b.lab.example", 200, id="below a star"),
        pytest.param(LISTED, {}, "lab.example", 421, id="the star's own name"),
        pytest.param(LISTED, {}, "ported.example:8443", 200, id="a listed port"),
        pytest.param(LISTED, {}, "ported.example", 421, id="another port"),
        pytest.param(Settings(host="0.0.0.0"), {}, "192.168.1.7:7860", 200, id="an address, reached by the network"),
        pytest.param(Settings(host="::"), {}, "[fe80::1]:7860", 200, id="a new address, reached by the network"),
        pytest.param(Settings(host="192.168.1.7"), {}, "192.168.1.7:7860", 200, id="the address that --host names"),
        pytest.param(Settings(host="0.0.0.0"), {}, "evil.example", 421, id="a name, reached by the network"),
        pytest.param(Settings(host="box.lan"), {}, "box.lan:7860", 200, id="the name that --host names"),
        pytest.param(Settings(), {"SPACE_ID": "me/x", "SPACE_HOST": "me-x.hf.space"}, "me-x.hf.space", 200, id="a Space"),
        pytest.param(Settings(), {"SPACE_ID": "me/x", "SPACE_HOST": "me-x.hf.space"}, "evil.example", 421, id="a Space by another name"),
        pytest.param(Settings(), {}, "me-x.hf.space", 421, id="no Space"),
    ],
)
def test_which_names_are_answered(settings: Settings, environment: dict[str, str], host: str, status: int) -> None:
    assert client(hosts=hosts_of(settings, environment)).get("/", headers={"host": host}).status_code == status


def test_a_share_link_is_answered_once_there_is_one() -> None:
    hosts = hosts_of(Settings(share=True), {})
    asking = {"host": "abc.gradio.live", "origin": "https://abc.gradio.live"}
    assert client(hosts=hosts).post("/upload", headers=asking).status_code == 421
    hosts.share = "abc.gradio.live"
    assert client(hosts=hosts).post("/upload", headers=asking).status_code == 200


@pytest.mark.parametrize(
    ("origin", "host", "status"),
    [
        pytest.param("https://inpaint.example", "inpaint.example", 200, id="the host is passed on"),
        pytest.param("https://inpaint.example", "127.0.0.1:7860", 200, id="the host is changed, as nginx does by itself"),
        pytest.param("https://inpaint.example:444", "127.0.0.1:7860", 403, id="another port is another site"),
        pytest.param("https://ported.example:8443", "localhost:7860", 200, id="a listed port"),
        pytest.param("https://a.lab.example", "a.lab.example", 200, id="below a star"),
        pytest.param("https://b.lab.example", "a.lab.example", 403, id="two sites below a star"),
        pytest.param("https://evil.example", "inpaint.example", 403, id="a foreign page"),
        pytest.param("http://localhost:7860", "inpaint.example", 403, id="another page of the visitor's machine"),
    ],
)
def test_pages_of_a_listed_name(origin: str, host: str, status: int) -> None:
    assert client(hosts=hosts_of(LISTED, {})).post("/upload", headers={"origin": origin, "host": host}).status_code == status


TRUSTING = Settings(allowed_hosts=("inpaint.example",), trusted_proxies=("10.1.0.0/16", "::1"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "status"),
    [
        pytest.param("10.1.2.3", "inpaint.example", 200, id="a trusted proxy"),
        pytest.param("10.1.2.3", "inpaint.example, inner.example", 200, id="the first of a list counts"),
        pytest.param("10.1.2.3", "evil.example, inpaint.example", 421, id="and it has to be one of ours"),
        pytest.param("::1", "inpaint.example:443", 200, id="with its port"),
        pytest.param("10.2.2.3", "evil.example", 200, id="of a stranger it is not even read"),
        pytest.param("127.0.0.1", "evil.example", 200, id="nor of loopback, unless it is named"),
    ],
)
def test_a_forwarded_host_counts_where_its_proxy_is_trusted(peer: str, forwarded: str, status: int) -> None:
    asking = {"host": "127.0.0.1:7860", "x-forwarded-host": forwarded}
    assert client(hosts=hosts_of(TRUSTING, {}), peer=peer).get("/", headers=asking).status_code == status


@pytest.mark.parametrize(
    "hosts",
    [Hosts(), hosts_of(TRUSTING, {}), hosts_of(Settings(host="0.0.0.0"), {}), hosts_of(Settings(share=True), {})],
    ids=["alone", "behind a proxy", "in a network", "shared"],
)
@pytest.mark.parametrize("host", ["x.localhost:7860", "127.0.0.1:7860", "box.lan", "evil.example"])
def test_no_foreign_page_drives_a_local_server_by_claiming_to_be_a_proxy(host: str, hosts: Hosts) -> None:
    claims = {"host": host, "origin": "http://evil.example", "x-forwarded-host": "evil.example"}
    assert client(hosts=hosts).post("/upload", headers=claims).status_code in (403, 421)
    assert client(hosts=hosts).options("/upload", headers=claims | {"access-control-request-method": "POST"}).status_code in (403, 421)


@pytest.mark.parametrize(
    ("peer", "heard"), [("10.1.2.3", "forwarded,x-forwarded-for,x-forwarded-host,x-forwarded-proto"), ("10.2.2.3", "")]
)
def test_forwarded_headers_of_a_stranger_reach_nobody(peer: str, heard: str, caplog: pytest.LogCaptureFixture) -> None:
    claims = {"forwarded": "for=1.2.3.4", "x-forwarded-for": "1.2.3.4", "x-forwarded-proto": "https", "x-forwarded-host": "inpaint.example"}
    browser = client(hosts=hosts_of(TRUSTING, {}), peer=peer)
    assert [browser.get("/heard", headers=claims).text for _ in range(3)] == [heard] * 3
    assert len(caplog.messages) == (0 if heard else 1)


def test_nobody_fills_the_log() -> None:
    now = [0.0]
    told = RecentlyLogged(lambda: now[0])
    assert [told.is_new(("a", "b")), told.is_new(("a", "b"))] == [True, False]
    assert sum(told.is_new(("a", str(number))) for number in range(1000)) == LOGGED_AT_ONCE - 1
    now[0] += 61
    assert told.is_new(("a", "b"))


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        pytest.param(None, 401, id="none"),
        pytest.param(basic("ann:pässword"), 200, id="right"),
        pytest.param(basic("ann:password"), 401, id="wrong"),
        pytest.param("Basic !!!", 401, id="not base64"),
        pytest.param("Bearer " + "x" * 9999, 401, id="another scheme"),
    ],
)
def test_our_own_routes_ask_for_the_login(authorization: str | None, status: int) -> None:
    headers = {} if authorization is None else {"authorization": authorization}
    assert client(LOGIN).get("/metrics", headers=headers).status_code == status


@pytest.mark.parametrize(
    ("cookie", "status"),
    [
        pytest.param("access-token-1=right", 200, id="over https"),
        pytest.param("access-token-unsecure-1=right", 200, id="over http"),
        pytest.param("access-token-1=wrong", 401, id="wrong"),
        pytest.param("access-token-2=right", 401, id="of another server"),
    ],
)
def test_who_has_logged_in_at_the_page_needs_no_second_login(cookie: str, status: int) -> None:
    assert client(LOGIN).get("/metrics", headers={"cookie": cookie}).status_code == status


def test_without_a_login_they_are_open() -> None:
    assert client().get("/metrics").status_code == 200


@pytest.mark.parametrize("path", ["/metrics", "/inpaint/metrics", "/inpaint/inpaint/metrics", "/metrics/"])
@pytest.mark.parametrize("root_path", ["", "/inpaint", "/inpaint/inpaint"])
def test_no_prefix_leads_past_the_login(path: str, root_path: str) -> None:
    assert client(LOGIN, root_path).get(path).status_code in (401, 404)


@pytest.mark.parametrize(
    ("path", "root_path"),
    [
        pytest.param("/", "", id="no prefix"),
        pytest.param("/inpaint/", "/inpaint", id="a proxy passes the prefix on"),
        pytest.param("/", "/inpaint", id="a proxy strips it"),
    ],
)
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
