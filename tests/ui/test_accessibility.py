"""axe-core over the page in every state: light and dark, on a desktop and on a phone. It finds nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.ui.app_page import AppPage
from tests.ui.conftest import DESKTOP, PHONE

pytestmark = pytest.mark.browser

LONG_RUN = 1000
RULES = {
    "resultTypes": ["violations"],
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice", "experimental"]},
}


SETTLED = """() => document.getAnimations().every(
    animation => animation.playState !== "running" || animation.effect.getComputedTiming().iterations === Infinity)"""
"""In the middle of a transition a colour has not the contrast that it will have."""


class Findings:
    """What axe found, by the state in which the page was."""

    def __init__(self, app: AppPage) -> None:
        self.app, self.found = app, dict[str, list[str]]()

    def look(self, state: str) -> None:
        self.app.page.evaluate("scrollTo(0, 0)")  # halfway under the bar at the top a control has half its size
        self.app.page.wait_for_function(SETTLED)
        found = Axe().run(self.app.page, options=RULES).response["violations"]
        lines = [
            f"{rule['id']}: {json.dumps(node['target'])} {node['html'][:120]} {node['failureSummary']}"
            for rule in found
            for node in rule["nodes"]
        ]
        if lines:
            self.found[state] = lines


def unfold(app: AppPage, fold: str) -> None:
    app.page.locator(f"{fold} > button.label-wrap").click()
    app.page.locator(f"{fold} :is(input, textarea)").first.wait_for()


def go_through_an_edit(app: AppPage, photo: Path, findings: Findings) -> None:
    findings.look("nothing open")
    app.open_file(photo)
    findings.look("picture open")
    app.choose_model("Tiny Kandinsky")
    app.drag((0.4, 0.5), (0.6, 0.5))
    app.can_run()
    findings.look("mask painted")
    app.page.locator("[data-do=zoom-in]").evaluate("button => button.click()")
    findings.look("zoomed")
    app.key("?")
    findings.look("list of keys")
    app.key("Escape")
    app.more()
    unfold(app, "#negative-box")
    findings.look("all unfolded")
    app.more().get_by_label("Seed").fill("x")
    app.page.locator("#run-button").click()
    app.says("Seed must be a number", "#message .ip-error")
    findings.look("error")
    app.more().get_by_label("Seed").fill("")
    app.set_number("Steps", LONG_RUN)
    app.press_run()
    app.says("Painting, step", "#progress")
    findings.look("running")
    app.page.locator("#cancel-button").click()
    app.says("Cancelled.", "#message")
    app.set_number("Steps", 1)
    app.press_run()
    app.result()
    findings.look("result")
    app.set_number("Candidates", 2)
    app.press_run()
    app.page.locator("[data-candidate]").first.wait_for()
    app.result()
    findings.look("several candidates")


def go_through_making(app: AppPage, findings: Findings) -> None:
    app.page.get_by_role("tab", name="Generate").click()
    app.choose_model("Tiny SDXL", "#generate-model")
    findings.look("nothing made")
    app.page.locator("#generate-button").click()
    app.says("The prompt is empty.", "#generate-message")
    findings.look("making refused")
    app.page.locator("#generate-prompt textarea").fill("a dog")
    for _ in range(2):
        app.page.locator("#generate-button").click()
        app.page.locator("#generate-cancel-button").wait_for(state="hidden")
        app.page.locator("#edit-this-button").wait_for()
    app.page.locator(".ip-chain button").first.wait_for()
    findings.look("pictures made")
    for fold in ("#generate-more", "#reimagine", "#reimagine-more"):
        unfold(app, fold)
    findings.look("all of making unfolded")


def open_a_list(app: AppPage, box: str) -> None:
    app.page.locator(f"{box} input").click()
    app.page.get_by_role("listbox").wait_for()


@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(people: Callable[..., AppPage], photo: Path, theme: str, device: dict[str, Any]) -> None:
    app = people(color_scheme=theme, **device)
    findings = Findings(app)
    go_through_an_edit(app, photo, findings)
    go_through_making(app, findings)
    open_a_list(app, "#generate-model")
    findings.look("a list open")
    assert findings.found == {}
