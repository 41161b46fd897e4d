"""A page of another site, open in the same browser as the app: it starts nothing here and reads nothing. A browser decides what is sent."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.serving import PATIENCE_SECONDS, Served

pytestmark = pytest.mark.browser

TRIES = """async (server) => {
    const tried = {};
    const attempt = async (name, path, options) => {
        try {
            const answer = await fetch(server + path, options);
            tried[name] = answer.type === "opaque" ? "opaque" : await answer.text();
        } catch (error) { tried[name] = "refused"; }
    };
    const call = { method: "POST", body: JSON.stringify({ data: [] }), headers: { "Content-Type": "application/json" } };
    const form = new FormData();
    form.append("files", new Blob(["x"]), "planted.png");
    await attempt("config", "/config", {});
    await attempt("config with the login", "/config", { credentials: "include" });
    await attempt("call", "/gradio_api/call/models", call);
    await attempt("call as text", "/gradio_api/call/models", { ...call, headers: { "Content-Type": "text/plain" } });
    await attempt("blind call", "/gradio_api/call/models", { ...call, mode: "no-cors", headers: { "Content-Type": "text/plain" } });
    await attempt("upload", "/gradio_api/upload", { method: "POST", body: form });
    await attempt("blind upload", "/gradio_api/upload", { method: "POST", body: form, mode: "no-cors" });
    return tried;
}"""
"""What a page may try: to read, to call, and to act without reading the answer, which a browser lets any page do."""


@pytest.fixture(params=["127.0.0.1", "localhost"])
def foreign_site(request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty page on another port, on the app's own name and on another of this machine's."""

    class Empty(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<p>another site")

        def log_message(self, *given: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Empty) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{request.param}:{server.server_address[1]}/"
        server.shutdown()


def test_a_page_of_another_site_reads_and_starts_nothing(client: httpx.Client, abused: Served, foreign_site: str, chromium: Any) -> None:
    before = {path.name for path in (abused.data / "cache").rglob("*")}
    with chromium.new_context() as context:
        context.set_default_timeout(PATIENCE_SECONDS * 1000)
        page = context.new_page()
        page.goto(foreign_site)
        tried = page.evaluate(TRIES, abused.url)
    assert {name: told for name, told in tried.items() if told not in ("refused", "opaque")} == {}
    assert {path.name for path in (abused.data / "cache").rglob("*")} == before, "nothing was planted"


def test_a_frame_on_another_site_stays_empty(client: httpx.Client, abused: Served, foreign_site: str, chromium: Any) -> None:
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(foreign_site)
        page.evaluate(
            "url => { const frame = document.createElement('iframe'); frame.src = url; document.body.append(frame); }", f"{abused.url}/"
        )
        frame = page.wait_for_selector("iframe").content_frame()
        frame.wait_for_load_state()
        assert frame.query_selector("#bar") is None and frame.query_selector("gradio-app") is None
