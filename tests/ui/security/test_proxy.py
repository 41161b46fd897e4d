"""Behind a reverse proxy: the nginx block of docs/deploy.md for real where there is an nginx, and the headers it sends, anywhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file

from tests.fakes import block, save
from tests.serving import PATIENCE_SECONDS, ROOT, Served, free_port
from tests.ui.app_page import AppPage
from tests.ui.conftest import DESKTOP
from tests.ui.stage.stage_app import Seen

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
NAME = "inpaint.localhost"
"""Stands for inpaint.example: browsers find it without a name server. Programs need not: they go to loopback and say the name."""

Proxy = Callable[[Served, str], str]


def documented() -> str:
    return re.findall(r"```nginx\n(.*?)```", (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8"), re.DOTALL)[0]


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Proxy]:
    """Start nginx with a server block of the documented ports and name; the address at which it answers."""
    started: list[subprocess.Popen[bytes]] = []

    def start(served: Served, block: str) -> str:
        if NGINX is None:
            pytest.skip("no nginx here")
        port = free_port()
        config = tmp_path / "nginx.conf"
        own = (
            block.replace("listen 80;", f"listen 127.0.0.1:{port};")
            .replace("inpaint.example", NAME)
            .replace("http://127.0.0.1:7860", served.url)
        )
        config.write_text(
            f"daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error.log;\nevents {{}}\nhttp {{ access_log off;\n"
            + "".join(f"{part}_temp_path {tmp_path}/{part};\n" for part in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
            + f"{own}\n}}\n"
        )
        started.append(subprocess.Popen([NGINX, "-e", str(tmp_path / "error.log"), "-c", str(config)]))
        for _ in range(PATIENCE_SECONDS * 10):
            try:
                httpx.get(f"http://127.0.0.1:{port}/healthz", headers={"host": f"{NAME}:{port}"}, trust_env=False)
                return f"http://{NAME}:{port}"
            except httpx.TransportError:
                time.sleep(0.1)
        raise AssertionError((tmp_path / "error.log").read_text())

    yield start
    for process in started:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def ask(method: str, address: str, path: str, **options: Any) -> httpx.Response:
    """A request to nginx by the name at which it answers."""
    port = address.rpartition(":")[2]
    headers = {"host": address.removeprefix("http://"), **options.pop("headers", {})}
    return httpx.request(method, f"http://127.0.0.1:{port}{path}", headers=headers, trust_env=False, timeout=PATIENCE_SECONDS, **options)


def opened(chromium: Any, address: str, tmp_path: Path) -> AppPage:
    context = chromium.new_context(**DESKTOP)
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    page = AppPage(context.new_page(), Seen(), tmp_path)
    page.visit(address)
    return page


@pytest.mark.browser
@pytest.mark.parametrize("listed", [f"{NAME}", "other.example"], ids=["listed", "a name of loopback, unlisted"])
def test_the_documented_block_serves_the_page_and_programs(
    serve: Any, nginx: Proxy, chromium: Any, large_photo: Path, tmp_path: Path, listed: str
) -> None:
    served = serve(INPAINT_ALLOWED_HOSTS=listed, FORWARDED_ALLOW_IPS="127.0.0.1")
    address = nginx(served, documented())
    page = opened(chromium, address, tmp_path)
    page.open_file(large_photo)
    page.rectangle((0.25, 0.25), (0.3, 0.3))
    page.press_run()
    page.says("0 px changed beyond", "body")
    page.page.context.close()
    assert page.troubles == []
    assert ask("GET", address, "/config").json()["root"] == address


def test_nginx_as_it_is_by_itself_is_refused_in_a_sentence_with_both_names_in_the_log(serve: Any, nginx: Proxy, log: Path) -> None:
    served = serve()
    address = nginx(served, "server { listen 80; location / { proxy_pass http://127.0.0.1:7860; } }")
    answer = ask("POST", address, "/gradio_api/upload", headers={"origin": address}, files={"files": b"x"})
    assert answer.status_code == 403
    assert answer.json()["error"].startswith(
        f"A page of {address} may not use this server, which was asked for as {served.url.removeprefix('http://')};"
    )
    assert [line for line in log.read_text().splitlines() if address in line and served.url.removeprefix("http://") in line]


def test_the_headers_of_a_trusted_proxy_anywhere(serve: Any, tmp_path: Path) -> None:
    """What the block makes nginx send, sent by a program: the page's addresses are those of the proxy, and a list's first host counts."""
    served = serve(INPAINT_ALLOWED_HOSTS="inpaint.example", FORWARDED_ALLOW_IPS="127.0.0.1")
    sent = {
        "host": "inpaint.example",
        "x-forwarded-host": "inpaint.example, inner",
        "x-forwarded-proto": "https",
        "x-forwarded-for": "198.51.100.7",
        "origin": "https://inpaint.example",
    }
    with httpx.Client(base_url=served.url, headers=sent, trust_env=False, timeout=PATIENCE_SECONDS) as browser:
        assert browser.get("/config").json()["root"] == "https://inpaint.example"
        assert browser.post("/gradio_api/upload", files={"files": b"x"}).status_code == 200
        foreign = browser.post("/gradio_api/upload", files={"files": b"x"}, headers={"origin": "https://evil.example"})
        assert foreign.status_code == 403 and "evil.example" in foreign.json()["error"]
        assert browser.get("/config", headers={"x-forwarded-host": "evil.example"}).status_code == 421
        changed = {"host": served.url.removeprefix("http://"), "x-forwarded-host": ""}
        assert browser.post("/gradio_api/upload", files={"files": b"x"}, headers=changed).status_code == 200, "a listed name is enough"


ROUTES = [
    "/",
    "/config",
    "/gradio_api/info",
    "/gradio_api/queue/data",
    "/gradio_api/file=/etc/passwd",
    "/healthz",
    "/readyz",
    "/metrics",
    "/theme.css",
    "/manifest.json",
    "/nowhere",
    "/openapi.json",
    "/login",
]


@pytest.mark.parametrize("flags", [[], ["--auth", "ann:secret"], ["--host", "0.0.0.0", "--open"]], ids=["open", "login", "network"])
def test_a_rebound_name_reaches_nothing_and_a_foreign_page_drives_nothing(serve: Any, flags: list[str]) -> None:
    served = serve(*flags)
    port = served.url.rpartition(":")[2]
    with httpx.Client(base_url=served.url, trust_env=False, timeout=PATIENCE_SECONDS) as browser:
        for route in ROUTES:
            rebound = {"host": f"evil.example:{port}", "origin": f"http://evil.example:{port}"}
            assert {browser.get(route, headers=rebound).status_code, browser.post(route, headers=rebound).status_code} == {421}, route
            for host in (f"x.localhost:{port}", f"127.0.0.1:{port}"):
                claims = {"host": host, "origin": "http://evil.example", "x-forwarded-host": "evil.example"}
                assert browser.post(route, headers=claims).status_code == 403, route
                preflight = browser.options(route, headers=claims | {"access-control-request-method": "POST"})
                read = browser.get(route, headers=claims | {"cookie": "access-token=x"})
                assert preflight.status_code == 403, route
                assert not [name for name in (*preflight.headers, *read.headers) if name.startswith("access-control-")], route


def test_a_login_behind_https_is_kept_to_this_site(serve: Any) -> None:
    served = serve("--auth", "ann:secret", INPAINT_ALLOWED_HOSTS="inpaint.example", FORWARDED_ALLOW_IPS="127.0.0.1")
    sent = {"host": "inpaint.example", "x-forwarded-proto": "https", "origin": "https://inpaint.example"}
    answer = httpx.post(f"{served.url}/login", data={"username": "ann", "password": "secret"}, headers=sent, trust_env=False)
    cookies = [cookie.lower() for cookie in answer.headers.get_list("set-cookie") if "access-token" in cookie]
    assert answer.status_code == 200 and cookies and all("samesite=lax" in cookie for cookie in cookies)


def test_in_a_network_an_address_is_enough_and_a_name_is_listed(serve: Any, tmp_path: Path) -> None:
    served = serve("--host", "0.0.0.0", "--open", INPAINT_ALLOWED_HOSTS="box.lan")
    port = served.url.rpartition(":")[2]
    for host, status in ((f"192.168.1.7:{port}", 200), (f"box.lan:{port}", 200), (f"other.lan:{port}", 421)):
        asked = {"host": host, "origin": f"http://{host}"}
        assert httpx.get(f"{served.url}/", headers=asked, trust_env=False).status_code == status
        assert httpx.post(f"{served.url}/gradio_api/upload", headers=asked, files={"files": b"x"}, trust_env=False).status_code == status


def test_a_program_needs_no_list(serve: Any, tmp_path: Path) -> None:
    served = serve()
    photo, mask = save(block(60, 80, 0, 0, 30, 80), tmp_path / "photo.png"), save(block(60, 80, 20, 20, 30, 30), tmp_path / "mask.png")
    client = Client(
        served.url.replace("127.0.0.1", "localhost"), verbose=False, httpx_kwargs={"timeout": PATIENCE_SECONDS, "trust_env": False}
    )
    assert client.predict(handle_file(str(photo)), handle_file(str(mask)), prompt="", api_name="/edit")[1]["changed_outside"] == 0
