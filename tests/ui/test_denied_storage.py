"""Where the browser denies storage, as strict ones do in another site's frame: the page comes up, its head script lives, an edit runs."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlparse

import pytest

from tests.serving import Served
from tests.ui.app_page import AppPage

pytestmark = pytest.mark.browser

DENIED = """
const deny = () => { throw new DOMException("denied", "SecurityError"); };
for (const name of ["localStorage", "sessionStorage", "indexedDB"]) Object.defineProperty(window, name, { get: deny });
Object.defineProperty(Document.prototype, "cookie", { get: deny, set: deny });
"""


def is_dark(page: Any) -> bool:
    return page.evaluate("document.body.classList.contains('dark')")


def theme_changes(frame: Any, light_again: str) -> None:
    """The button works both ways, and Gradio's own late setting of the class does not undo it."""
    for dark in (True, False):
        frame.locator("#theme-button").click()
        assert is_dark(frame) is dark
        frame.evaluate(light_again)
        frame.wait_for_timeout(100)
        assert is_dark(frame) is dark


def title_lives(frame: Any) -> None:
    frame.wait_for_function("document.title.endsWith(' - Inpaint')")
    frame.locator(".ip-stage[data-state=result]").wait_for()
    frame.wait_for_function("document.title === 'Inpaint'")


@pytest.fixture
def denied(people: Any, served_app: Served) -> AppPage:
    page = people()
    page.page.add_init_script(DENIED)
    page.page.reload()
    page.settled()
    page.troubles[:] = [trouble for trouble in page.troubles if "Failed to fetch" not in trouble]
    return page


def test_the_page_works_without_any_storage(denied: AppPage) -> None:
    with pytest.raises(Exception, match="denied"):
        denied.page.evaluate("localStorage.length")
    theme_changes(denied.page, "document.body.classList.remove('dark')")
    denied.page.locator("[data-example=coffee]").click()
    title_lives(denied.page)
    denied.page.get_by_role("tab", name="Generate").click()
    denied.page.locator("#generate-prompt textarea").focus()
    denied.key("Control+Enter")
    denied.says("The prompt is empty.", "#generate-message")


def without_frame_rules(route: Any) -> None:
    """The page as the hub's site gets it from a Space: everywhere else no other site may frame it."""
    if route.request.resource_type != "document":
        route.continue_()
        return
    answer = route.fetch()
    rules = ("content-security-policy", "x-frame-options", "cross-origin-opener-policy", "cross-origin-resource-policy")
    route.fulfill(response=answer, headers={name: value for name, value in answer.headers.items() if name not in rules})


@pytest.fixture
def framed(chromium: Any, served_app: Served) -> Iterator[Any]:
    """The app in a frame of another site's page: of the name localhost where the app is 127.0.0.1."""
    page_around = f'<!doctype html><title>Another site</title><iframe src="{served_app.url}" width="1300" height="840"></iframe>'

    class Around(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page_around.encode())

        def log_message(self, *said: object) -> None:
            """Says nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Around) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = chromium.new_page(viewport={"width": 1320, "height": 860}, color_scheme="light")
        troubles: list[str] = []
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.route(f"{served_app.url}/**", without_frame_rules)
        page.goto(f"http://localhost:{server.server_port}/")
        yield next(frame for frame in page.frames if urlparse(frame.url).netloc == urlparse(served_app.url).netloc)
        page.close()
        server.shutdown()
    assert troubles == []


def test_the_page_works_in_another_sites_frame(framed: Any) -> None:
    framed.locator(".ip-empty .ip-open").wait_for()
    theme_changes(framed, "document.body.classList.remove('dark')")
    framed.locator("[data-example=coffee]").click()
    title_lives(framed)
