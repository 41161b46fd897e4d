"""What the page says where the server, or a proxy before it, refuses what it sends: a sentence, never a raw answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.ui.app_page import AppPage

pytestmark = pytest.mark.browser

HTML = "<html><head><title>413 Request Entity Too Large</title></head><body><center>nginx</center></body></html>"
RAW = ("parse server response", "SyntaxError", "HTTP 4", "HTTP 5", "<html", '{"', "nginx", "Connection errored", "currently busy")
TOO_LARGE = "The server or a proxy in front of it takes no file of this size."


def refuse(app: AppPage, address: str, status: int, body: str, kind: str = "text/html") -> None:
    app.page.route(
        address,
        lambda route: route.fulfill(status=status, content_type=kind, body=body) if route.request.method == "POST" else route.fallback(),
    )


def refused(app: AppPage) -> str:
    """What stands in the visible tab."""
    return app.page.locator(".ip-refused:visible").inner_text()


def says_only(app: AppPage, sentence: str) -> None:
    app.says(sentence, ".ip-refused")
    app.page.wait_for_timeout(300)
    assert refused(app) == sentence
    text = app.page.locator("body").inner_text()
    assert [raw for raw in RAW if raw in text] == []
    assert app.page.locator(".toast-body:visible").count() == 0


def expected_of_the_browser(app: AppPage) -> None:
    """The browser itself writes a line about every refused request; that is no trouble of ours."""
    app.troubles[:] = [trouble for trouble in app.troubles if "Failed to load resource" not in trouble and "net::ERR" not in trouble]


FROM_THE_APP = "This request comes from another site. Open the page by its own address."


@pytest.mark.parametrize(
    ("status", "body", "kind", "sentence"),
    [
        pytest.param(403, json.dumps({"error": FROM_THE_APP}), "application/json", FROM_THE_APP, id="403, our own"),
        pytest.param(421, json.dumps({"detail": FROM_THE_APP}), "application/json", FROM_THE_APP, id="421, a detail"),
        pytest.param(403, HTML, "text/html", "The server, or a proxy in front of it, refuses what this page sends.", id="403, a proxy's"),
        pytest.param(403, "no", "text/plain", "The server, or a proxy in front of it, refuses what this page sends.", id="403, plain"),
        pytest.param(
            401,
            json.dumps({"detail": "Not authenticated"}),
            "application/json",
            "You are no longer logged in. Reload the page and log in.",
            id="401, Gradio's",
        ),
        pytest.param(502, HTML, "text/html", "The server does not answer at the moment. Wait a little and try again.", id="502"),
        pytest.param(503, HTML, "text/html", "The server does not answer at the moment. Wait a little and try again.", id="503"),
        pytest.param(504, HTML, "text/html", "The server does not answer at the moment. Wait a little and try again.", id="504"),
        pytest.param(500, "Internal Server Error", "text/plain", "The server met a fault; its log says more.", id="500"),
        pytest.param(418, "{broken", "application/json", "The server refused this with status 418.", id="another, broken JSON"),
        pytest.param(
            200,
            HTML,
            "text/html",
            "Something between this page and the server answered in its place. Reload the page.",
            id="200, a login page",
        ),
    ],
)
def test_a_refused_run_is_told_in_a_sentence(app: AppPage, photo: Path, status: int, body: str, kind: str, sentence: str) -> None:
    app.open_file(photo)
    app.rectangle((0.25, 0.25), (0.5, 0.5))
    app.can_run()
    mask = app.saved_mask()
    refuse(app, "**/gradio_api/queue/join*", status, body, kind)
    app.page.locator("#run-button").click()
    says_only(app, sentence)
    app.page.unroute("**/gradio_api/queue/join*")
    app.press_run()
    app.result()
    assert app.page.locator(".ip-refused:visible").count() == 0
    app.page.locator("#back-button").click()
    app.page.wait_for_selector(".ip-stage[data-state=painting]")
    assert (app.saved_mask() == mask).all()
    expected_of_the_browser(app)


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        pytest.param(413, HTML, TOO_LARGE, id="nginx"),
        pytest.param(413, "File size exceeded maximum allowed size of 104857600 bytes.", TOO_LARGE, id="Gradio"),
        pytest.param(403, json.dumps({"error": FROM_THE_APP}), FROM_THE_APP, id="our own"),
        pytest.param(
            0,
            "",
            "The file did not arrive: it cannot be read, or the connection was cut, as by a proxy that takes no file of this size.",
            id="cut off",
        ),
    ],
)
@pytest.mark.parametrize("tab", ["Edit", "Generate"])
def test_a_refused_file_is_told_in_a_sentence(app: AppPage, photo: Path, tab: str, status: int, body: str, sentence: str) -> None:
    app.page.get_by_role("tab", name=tab).click()
    if status:
        refuse(app, "**/gradio_api/upload*", status, body, "application/json" if body.startswith("{") else "text/html")
    else:
        app.page.route("**/gradio_api/upload*", lambda route: route.abort("connectionreset"))
    opener = app.page.locator("[data-do=open]:visible" if tab == "Edit" else "#open-for-chain-button").first
    for _ in range(2):
        with app.page.expect_file_chooser() as chooser:
            opener.click()
        chooser.value.set_files(photo)
        says_only(app, sentence)
        assert app.page.locator("[data-part=opening]").is_hidden()
    app.page.unroute("**/gradio_api/upload*")
    with app.page.expect_file_chooser() as chooser:
        opener.click()
    chooser.value.set_files(photo)
    app.page.locator("#generated img" if tab == "Generate" else ".ip-stage[data-state=painting]").wait_for()
    assert app.page.locator(".ip-refused:visible").count() == 0
    expected_of_the_browser(app)


@pytest.mark.parametrize("tab", ["Edit", "Generate"])
def test_a_file_over_the_limit_is_refused_before_it_is_sent(app: AppPage, tab: str) -> None:
    sent: list[Any] = []
    app.page.on("request", lambda request: sent.append(request.url) if "/upload" in request.url else None)
    app.page.get_by_role("tab", name=tab).click()
    app.page.evaluate("window.gradio_config.max_file_size = 3 * 2 ** 20")
    huge = app.folder / "huge.png"
    huge.write_bytes(bytes(8_000_000))
    with app.page.expect_file_chooser() as chooser:
        app.page.locator("[data-do=open]:visible" if tab == "Edit" else "#open-for-chain-button").first.click()
    chooser.value.set_files(huge)
    says_only(app, "huge.png has 8 MB; the limit is 3 MB.")
    assert sent == [] and app.page.locator("[data-part=opening]").is_hidden()


def test_the_page_knows_the_servers_limit(app: AppPage) -> None:
    assert app.page.evaluate("window.gradio_config.max_file_size") == 100 * 2**20


def test_a_server_that_refuses_everything_says_so_as_the_page_opens(people: Any) -> None:
    app = people()
    refuse(app, "**/gradio_api/queue/join*", 403, json.dumps({"error": FROM_THE_APP}), "application/json")
    app.page.reload()
    app.settled()
    says_only(app, FROM_THE_APP)
    expected_of_the_browser(app)


def test_what_a_refusal_says_is_text(app: AppPage, photo: Path) -> None:
    app.open_file(photo)
    refuse(app, "**/gradio_api/queue/join*", 403, json.dumps({"error": "Read <img src=x onerror=alert(1)> this."}), "application/json")
    app.rectangle((0.25, 0.25), (0.5, 0.5))
    app.says("Read <img src=x onerror=alert(1)> this.", ".ip-refused")
    expected_of_the_browser(app)
