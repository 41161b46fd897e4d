"""Requests that no client of this app makes: addresses, hosts, paths, bodies. Each has its status, and nothing is fetched or told."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.abuse.conftest import SECRET
from tests.faults.calling import called, erased, sent, spoken, uploaded, visitor
from tests.serving import ROOT, Served

API = "/gradio_api"


@dataclass(frozen=True)
class Case:
    """row: its number in the table. path: as it is sent, byte for byte. body: None = none."""

    row: int
    path: str
    statuses: tuple[int, ...]
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: str | None = None


JSON = {"Content-Type": "application/json"}
EVIL = {"Origin": "http://evil.example"}
ADDRESSES = [
    "http://127.0.0.1:1/a.png",
    "http://169.254.169.254/latest/meta-data",
    "file:///etc/passwd",
    "ftp://example.org/a",
    "http://[::ffff:127.0.0.1]/a",
    "http://2130706433/a",
    "http://rebind.example/a",
    "//example.org/a",
    "http%3A%2F%2F127.0.0.1%3A1%2Fa",
]
PATHS = [
    "//",
    "//etc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/../../etc/passwd",
    "/static/../../etc/passwd",
    "/static/%2e%2e%2f%2e%2e%2fapp.py",
    "/a%00b",
    "/static/a%00.js",
    "/..%5c..%5cetc",
    "/config.",
    "/assets/....//app.py",
    "/.env",
    "/proc/self/environ",
]
FILES = ["/etc/passwd", "/proc/self/environ", "/tmp", "/../../../etc/passwd", "/etc/passwd%00.png", "/./etc/../etc/passwd"]
CASES = [
    *(Case(56, f"{API}/file={address}", (403,)) for address in ADDRESSES),
    *(
        Case(57, f"/?{query}", (200,))
        for query in ("__theme=%3Cscript%3Ealert(1)%3C/script%3E", "view=%22%3E%3Cscript%3Ealert(1)%3C/script%3E", "a=" + "x" * 5000)
    ),
    *(Case(58, path, (421,), headers={"Host": "evil.example"}) for path in ("/", "/config", "/metrics", f"{API}/info")),
    *(
        Case(58, f"{API}/call/edit", (403,), "POST", {"Origin": origin, **JSON}, "{}")
        for origin in ("http://evil.example", "null", "http://127.0.0.1:1", "http://[")
    ),
    Case(58, f"{API}/call/edit", (403,), "OPTIONS", {**EVIL, "Access-Control-Request-Method": "POST"}),
    *(Case(59, path, (400, 403, 404)) for path in PATHS),
    *(Case(59, f"{API}/file={path}", (403, 404)) for path in FILES),
    *(
        Case(60, "/", (200,), headers={name: value})
        for name, value in {
            "X-Forwarded-For": "10.0.0.1",
            "X-Forwarded-Proto": "gopher",
            "X-Forwarded-Prefix": "//evil.example",
            "Forwarded": "host=evil.example",
        }.items()
    ),
    Case(60, f"{API}/call/edit", (403,), "POST", {"X-Forwarded-Host": "evil.example", **EVIL, **JSON}, "{}"),
    *(
        Case(67, f"{API}/call/edit", (400, 422), "POST", JSON, body)
        for body in ("", "[]", "{", "\xff", '{"data": 1}', "[" * 20_000, '{"a":' * 20_000)
    ),
    *(
        Case(67, f"{API}/{name}", (413,), "POST", {**JSON, "Content-Length": "60000000"})
        for name in ("call/edit", "queue/join", "cancel", "run/edit")
    ),
    *(Case(69, path, (405,), method) for method in ("PUT", "DELETE", "PATCH") for path in ("/", f"{API}/call/edit", f"{API}/upload")),
    *(
        Case(69, f"{API}/call/edit", (400, 415, 422), "POST", {"Content-Type": kind}, "data=1")
        for kind in ("text/plain", "application/x-www-form-urlencoded", "")
    ),
    *(
        Case(69, f"{API}/upload", (400, 415, 422), "POST", {"Content-Type": kind}, body)
        for kind, body in (
            ("application/json", "{}"),
            ("multipart/form-data", "x"),
            ("multipart/form-data; boundary=x", "nothing of the kind"),
            ("multipart/form-data; boundary=y", '--y\r\nContent-Disposition: form-data; name="files"\r\n\r\ntext\r\n--y--\r\n'),
        )
    ),
    Case(69, f"{API}/upload", (200,), "POST", {"Content-Type": "multipart/form-data; boundary=x"}, "--x--\r\n"),
    Case(74, f"{API}/call/edit/0123456789abcdef", (404,)),
    Case(74, f"{API}/queue/data?session_hash=nobodys", (200,)),
    Case(74, f"{API}/queue/data", (422,)),
]


@pytest.mark.parametrize(
    "case", CASES, ids=lambda case: f"{case.row} {case.method} {ascii(case.path)[1:50]} {ascii(case.headers)[:40]} {ascii(case.body)[:20]}"
)
def test_a_request(case: Case, client: httpx.Client, abused: Served) -> None:
    body = (case.body or "").encode("latin-1")
    length = {"Content-Length": str(len(body))} if case.body is not None else {}
    lines = [
        f"{case.method} {case.path} HTTP/1.1",
        "Connection: close",
        *(f"{name}: {value}" for name, value in {**length, **case.headers}.items()),
    ]
    answer = spoken(abused, *lines, body=body)
    status = int(answer.split(" ", 2)[1])
    assert status in case.statuses, answer[:2000]
    assert SECRET not in answer and "alert(1)</script>" not in answer and "root:x" not in answer and "evil.example/" not in answer
    assert str(ROOT) not in answer and str(abused.data) not in answer.replace(case.path, "")


@pytest.mark.parametrize(
    "image", ["data:image/png;base64,iVBORw0KGgo", "data:image/png;base64,====", "iVBORw0KGgo", "A" * 500_000], ids=lambda image: image[:30]
)
def test_a_picture_as_text_is_no_upload(image: str, client: httpx.Client) -> None:
    for value in (
        image,
        {"path": image, "meta": {"_type": "gradio.FileData"}},
        {"url": image, "path": None, "meta": {"_type": "gradio.FileData"}},
    ):
        kind, told = called(client, "edit", [value, value, *[None] * 16])
        assert kind == "error" and "upload" in told["error"], told


@pytest.mark.parametrize(
    "place",
    [
        "{data}/results",
        "{data}/results/../people.key",
        "{data}/people.key",
        "{data}/results/x/../../people.key",
        "{data}/running",
        "{data}/results/20200101-000000-aaaaaaaa/photo-1.png",
    ],
)
def test_what_is_no_result_is_not_given(place: str, client: httpx.Client, abused: Served) -> None:
    answer = spoken(abused, f"GET {API}/file={place.format(data=abused.data)} HTTP/1.1", "Connection: close")
    assert answer.split(" ", 2)[1] in ("403", "404"), answer


def test_a_result_that_somebody_removed_is_gone_and_nothing_else_is_lost(client: httpx.Client, tmp_path: Path) -> None:
    places = [erased(client, uploaded(client, tmp_path))[1][0][0]["path"] for _ in range(2)]
    Path(places[0]).unlink()
    Path(places[1]).write_text("garbage")
    assert client.get(f"{API}/file={places[0]}").status_code in (403, 404)
    assert client.get(f"{API}/file={places[1]}").content == b"garbage"


def test_a_result_is_read_in_every_way_of_http(client: httpx.Client, tmp_path: Path) -> None:
    address = f"{API}/file={erased(client, uploaded(client, tmp_path))[1][0][0]['path']}"
    whole, head, part = client.get(address), client.head(address), client.get(address, headers={"range": "bytes=0-9"})
    assert (whole.status_code, head.status_code, part.status_code) == (200, 200, 206) and part.content == whole.content[:10]
    assert whole.headers["content-type"] == head.headers["content-type"] == "image/png" and head.content == b""
    assert whole.headers["x-content-type-options"] == "nosniff"
    again = client.get(address, headers={"if-none-match": whole.headers["etag"]})
    assert again.status_code in (200, 304)


def test_an_upload_that_is_a_page_is_never_one(client: httpx.Client) -> None:
    """A page or a drawing with a script, given back by this server, would run as its own."""
    for name, content in (
        ("a.html", b"<script>alert(1)</script>"),
        ("a.svg", b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'),
    ):
        (place,) = sent(client, (name, content))
        answer = client.get(f"{API}/file={place}")
        assert answer.status_code in (403, 404) or answer.headers["content-disposition"].startswith("attachment"), answer.headers


def test_what_the_page_and_its_description_tell_holds_neither_secret_nor_place(client: httpx.Client, abused: Served) -> None:
    for path in ("/", "/config", f"{API}/info", "/metrics", "/readyz", "/healthz"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert not [word for word in (SECRET, str(abused.data), str(ROOT), str(Path.home())) if word in answer.text]


def test_visitors_do_not_see_each_others_results(client: httpx.Client, abused: Served, tmp_path: Path) -> None:
    """No address lists them, and a result's own has a part that nobody guesses."""
    place = Path(erased(client, uploaded(client, tmp_path))[1][0][0]["path"])
    with visitor(abused) as other:
        for path in ("/config", f"{API}/info", "/metrics", f"{API}/queue/data?session_hash=x"):
            with other.stream("GET", path) as answer:
                told = next(answer.iter_text(), "") if "queue" in path else answer.read().decode()
            assert place.parent.name not in told
    assert len(place.parent.name.rpartition("-")[2]) >= 8


def test_a_call_with_its_numbers_as_text_is_refused(client: httpx.Client, tmp_path: Path) -> None:
    kind, told = erased(client, uploaded(client, tmp_path), seed="seven")
    assert kind == "error" and "Seed must be" in told["error"], json.dumps(told)


def test_no_answer_names_a_type_of_python(client: httpx.Client) -> None:
    told: list[Any] = [called(client, "edit", [value] * 18) for value in (None, 7, "x", [], {})]
    assert all(kind == "error" and "Traceback" not in str(error) and "NoneType" not in str(error) for kind, error in told), told
