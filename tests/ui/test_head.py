"""The page's own script in a real Chromium, on a page that has nothing else: what the tab's title tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inpaint.errors import EditCancelled, InpaintError, OutOfMemory
from inpaint.ui import words

pytestmark = pytest.mark.browser

HEAD = Path(words.__file__).with_name("head.html")
AWAY = "Object.defineProperty(document, 'hidden', { get: () => true })"


def titled(page: Any, title: str) -> None:
    page.wait_for_function("title => document.title === title", arg=title)


@pytest.mark.parametrize("tab", ["", "generate-"], ids=["edit", "generate"])
@pytest.mark.parametrize(
    ("error", "title"),
    [(None, "Done"), (OutOfMemory("Too little memory."), "Failed"), (EditCancelled(), "Stopped")],
    ids=["done", "failed", "stopped"],
)
def test_the_title_of_a_hidden_tab_tells_how_the_run_ended(chromium: Any, tab: str, error: InpaintError | None, title: str) -> None:
    page = chromium.new_page()
    said = words.error_html(error) if error else words.notice_html(["Painted smaller."])
    page.set_content(f"{HEAD.read_text('utf-8')}<div id={tab}progress>{words.progress_html(None, 0, 1.0)}</div><div id={tab}message></div>")
    titled(page, "Starting - Inpaint")
    page.evaluate(
        f"""said => {{
        {AWAY};
        document.querySelector("#{tab}progress").remove();
        document.querySelector("#{tab}message").innerHTML = said;
    }}""",
        said,
    )
    titled(page, f"{title} - Inpaint")
    page.close()


def test_the_title_of_a_tab_that_is_looked_at_is_the_name_alone(chromium: Any) -> None:
    page = chromium.new_page()
    page.set_content(f"{HEAD.read_text('utf-8')}<div id=progress>{words.progress_html(None, 0, 1.0)}</div>")
    titled(page, "Starting - Inpaint")
    page.evaluate("document.querySelector('#progress').remove()")
    titled(page, "Inpaint")
    page.close()
