"""Requests that no page sends: each has the status that says what is wrong, no fault, and no place of this machine in its answer."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults.calling import erased, still_serves, uploaded, visitor
from tests.serving import BARE, ROOT, Served, Servers

SECRET = "c2VjcmV0"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One for all rows of this file, none of which harms it."""
    folder = tmp_path_factory.mktemp("odd")
    servers = Servers(folder)
    try:
        yield servers.start(environment=BARE | {"HOME": str(folder)})
        assert "Traceback" not in servers.log.read_text()
    finally:
        servers.close()


@pytest.fixture
def client(server: Served) -> Iterator[httpx.Client]:
    with visitor(server) as client:
        yield client


@pytest.mark.parametrize(
    ("asked", "status", "ends"),
    [
        pytest.param("bytes=0-9", 206, 10, id="the first ten"),
        pytest.param("bytes=-5", 206, 5, id="the last five"),
        pytest.param("bytes=10-", 206, None, id="from the tenth"),
        pytest.param("bytes=0-9,20-29", 416, None, id="two"),
        pytest.param("bytes=99999999-", 416, None, id="beyond the end"),
        pytest.param("bytes=99999999-999999999", 416, None, id="all beyond the end"),
        pytest.param("bytes=9-0", 416, None, id="backwards"),
        pytest.param("bytes=", 416, None, id="nothing"),
        pytest.param("bytes=a-b", 416, None, id="letters"),
        pytest.param("bytes=1-2-3", 416, None, id="three ends"),
        pytest.param("bytes=\u00b2-\u00b3", 416, None, id="digits that are none"),
        pytest.param("bytes=" + "9" * 5000 + "-", 416, None, id="a number of 5,000 digits"),
        pytest.param("lines=1-2", 416, None, id="another unit"),
        pytest.param("nonsense", 416, None, id="no range"),
    ],
)
def test_a_range_of_a_file(asked: str, status: int, ends: int | None, client: httpx.Client, tmp_path: Path) -> None:
    """No header of the request comes back either."""
    place = uploaded(client, tmp_path)[0]
    answer = client.get(f"/gradio_api/file={place}", headers={"range": asked.encode(), "cookie": f"a={SECRET}", "x-mine": SECRET})
    assert answer.status_code == status, answer.text
    assert ends is None or len(answer.content) == ends
    assert SECRET not in str(answer.headers) and "x-mine" not in answer.headers and "host" not in answer.headers
    assert status != 206 or answer.headers["content-range"]


@pytest.mark.parametrize(
    "asked", ["bytes=0-9", "bytes=0-9,20-29", "nonsense", "bytes=" + "9" * 5000 + "-", "bytes=99999999-"], ids=range(5)
)
def test_the_pages_own_parts_are_sent_whole(asked: str, client: httpx.Client) -> None:
    whole, part = client.get("/theme.css"), client.get("/theme.css", headers={"range": asked})
    assert (part.status_code, part.content) == (200, whole.content)


def event(number: Any) -> dict[str, Any]:
    return {"data": [], "fn_index": number, "session_hash": "s"}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        pytest.param("POST", "/gradio_api/call/nothing", {"data": []}, id="a call"),
        pytest.param("POST", "/gradio_api/call/nothing/", {"data": []}, id="a call, with a stroke at its end"),
        pytest.param("POST", "/gradio_api/call/v2/nothing", {}, id="a call of the second kind"),
        pytest.param("POST", "/gradio_api/run/nothing", {"data": []}, id="a run"),
        pytest.param("POST", "/gradio_api/api/nothing", {"data": []}, id="an api"),
        pytest.param("POST", "/gradio_api/queue/join", event(99_999), id="a number"),
        pytest.param("POST", "/gradio_api/queue/join", event(-1), id="a number below 0"),
        pytest.param("POST", "/gradio_api/run/predict", event(99_999) | {"session_hash": None}, id="a number without a session"),
        pytest.param("GET", "/gradio_api/call/edit/0123456789abcdef", None, id="an event"),
        pytest.param("GET", "/gradio_api/call/nothing/0123456789abcdef", None, id="an event of no call"),
        pytest.param("GET", f"/gradio_api/call/edit/{'a' * 5000}", None, id="a long event"),
        pytest.param("GET", "/gradio_api/call/edit/%00", None, id="an event that is no text"),
        pytest.param("GET", f"/static/{'a' * 5000}", None, id="a long path"),
        pytest.param("GET", f"/assets/{'a' * 299}", None, id="a name longer than files have"),
        pytest.param("GET", "/kept/0123456789abcdef0123/a.png", None, id="a result in memory"),
    ],
)
def test_what_is_not_there_is_404(method: str, path: str, body: Any, client: httpx.Client, tmp_path: Path) -> None:
    answer = client.request(method, path, json=body)
    assert answer.status_code == 404, answer.text
    assert answer.json(), "as JSON"
    assert str(ROOT) not in answer.text


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        pytest.param({}, 422, "No value provided for required argument: image", id="nothing"),
        pytest.param({"colour": "blue"}, 422, "Parameter `colour` is not a valid key-word argument.", id="an unknown name"),
        pytest.param({"image": None, "mask": None}, 200, "", id="the needed names"),
    ],
)
def test_the_names_of_a_call_by_names(body: dict[str, Any], status: int, sentence: str, client: httpx.Client) -> None:
    answer = client.post("/gradio_api/call/v2/edit", json=body)
    assert answer.status_code == status, answer.text
    assert answer.json().get("error", "") == sentence


def test_a_session_that_is_not_there_is_told_to_the_page_without_a_fault(client: httpx.Client) -> None:
    """In the form that Gradio's own page reads. The log has no traceback of it."""
    answer = client.get("/gradio_api/queue/data", params={"session_hash": "nobody's"})
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/event-stream")
    told = json.loads(answer.text.removeprefix("data: "))
    assert told["msg"] == "unexpected_error" and told["session_not_found"] is True and told["success"] is False


def test_an_event_is_found_until_it_was_fetched(client: httpx.Client, tmp_path: Path) -> None:
    """Also long after it has ended."""
    data = [*({"path": place, "meta": {"_type": "gradio.FileData"}} for place in uploaded(client, tmp_path)), *[None] * 16]
    address = f"/gradio_api/call/edit/{client.post('/gradio_api/call/edit', json={'data': data}).json()['event_id']}"
    time.sleep(3)
    assert "event: complete" in client.get(address).text
    again = client.get(address)
    assert again.status_code == 404 and again.json() == {"error": "There is no such event, or its answer was fetched already."}


@pytest.mark.parametrize("place", ["/etc/passwd", "/proc/self/environ", "{data}/results", "{data}/people.key", "{data}/cache/nothing.png"])
def test_a_file_that_was_not_uploaded_is_told_without_a_place(place: str, client: httpx.Client, server: Served, tmp_path: Path) -> None:
    _photo, mask = uploaded(client, tmp_path)
    kind, told = erased(client, [place.format(data=server.data), mask])
    assert kind == "error" and str(server.data) not in str(told) and told["error"].startswith("A file of this call ")


def test_a_file_that_is_gone_is_not_called_foreign(client: httpx.Client, server: Served, tmp_path: Path) -> None:
    photo, mask = uploaded(client, tmp_path)
    Path(photo).unlink()
    kind, told = erased(client, [photo, mask])
    assert kind == "error" and told["error"] == "A file of this call is no longer on the server, or cannot be read there. Upload it again."


def test_the_data_folder_becomes_a_file(serve: Any, tmp_path: Path) -> None:
    """While the server runs: an upload is refused in a sentence, and all is well once the folder is back."""
    served: Served = serve()
    with visitor(served) as client:
        places = uploaded(client, tmp_path)
        shutil.move(served.data, tmp_path / "aside")
        served.data.write_text("in its place")
        time.sleep(1.1)
        refused = client.post("/gradio_api/upload", files={"files": b"x"})
        assert refused.status_code == 503
        assert refused.json() == {"error": "The server's folder for uploads cannot be written: the file was not taken."}
        kind, told = erased(client, places)
        assert kind == "error" and str(served.data) not in str(told), told
        assert told["error"] == "A file of this call is no longer on the server, or cannot be read there. Upload it again."
        assert client.get("/readyz").status_code == 503
        served.data.unlink()
        shutil.move(tmp_path / "aside", served.data)
        time.sleep(1.1)
        still_serves(client, tmp_path)
