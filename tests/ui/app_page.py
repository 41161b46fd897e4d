"""One person's page of the real app, for the browser tests: opens, paints, runs, reads what the page says.

Must not assert anything about the app.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import numpy as np
from PIL import Image

from tests.ui.stage.stage_page import Point, StagePage

WEAK_TEXTS = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const over = (top, under) => top.slice(0, 3).map((c, i) => c * (top[3] ?? 1) + under[i] * (1 - (top[3] ?? 1)));
  const light = (rgb) => {
    const [r, g, b] = rgb.map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length && colour[3] !== 0) layers.push(colour);
      if (colour.length && (colour[3] ?? 1) === 1) break;
    }
    return layers.reverse().reduce((under, layer) => over(layer, under), [255, 255, 255]);
  };
  const weak = [];
  for (const element of document.querySelectorAll("body *")) {
    const words = [...element.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data.trim()).join(" ").trim()
      || (element.value === undefined || element.type === "range" ? "" : String(element.value || element.placeholder || ""));
    const style = getComputedStyle(element);
    const hidden = !element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
    if (!words || hidden || element.closest(".ip-view > :not(.ip-empty), :disabled, [aria-disabled=true], script, style")) continue;
    const under = ground(element);
    const colour = parse(element.value || !element.placeholder ? style.color : getComputedStyle(element, "::placeholder").color);
    const [a, b] = [light(over(colour, under)), light(under)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.7 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) weak.push(`${words.slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return weak;
}"""


MOUNTING_MS = 700


class AppPage(StagePage):
    """The stage's hands and eyes, and the rail's. troubles: console errors, and requests to anywhere but the app."""

    def visit(self, url: str) -> None:
        host = urlparse(url).netloc
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("console", lambda said: self._hear(said.type, said.text))
        self.page.on("request", lambda request: self._look(request.url, host))
        self.page.goto(url)
        self.settled()

    def _hear(self, kind: str, text: str) -> None:
        """Gradio complains when a page is left while an event is on its way; that is no trouble of ours."""
        if kind == "error" and not text.startswith(("AbortError", "Unexpected error Connection errored out")):
            self.troubles.append(text)

    def settled(self) -> None:
        self.page.wait_for_selector(".ip-stage[data-state=empty] .ip-open")

    def open_file(self, path: Path) -> None:
        """Through the button and the file chooser, as a person does it."""
        before = self.page.locator(".ip-stage").get_attribute("data-picture")
        with self.page.expect_file_chooser() as chooser:
            self.page.locator("[data-do=open]:visible").first.click()
        chooser.value.set_files(path)
        self.page.wait_for_function("before => document.querySelector('.ip-stage').dataset.picture !== before", arg=before)
        self.page.mouse.move(2, 2)

    def rectangle(self, start: Point, end: Point) -> None:
        self.page.locator("[data-tool=rectangle]").click()
        self.drag(start, end)

    def type_prompt(self, words: str) -> None:
        self.page.locator("#prompt textarea").fill(words)

    def choose_model(self, title: str, box: str = "#model") -> None:
        self.page.locator(f"{box} input").click()
        self.page.get_by_role("option", name=title, exact=True).click()
        if title != "Automatic":
            self.says(title, box.replace("model", "model-note" if box == "#model" else "note"))

    def more(self) -> Any:
        """The folded settings, unfolded."""
        fold = self.page.locator("#more")
        if not fold.get_by_label("Seed").is_visible():
            fold.locator("button.label-wrap").click()
            fold.get_by_label("Seed").wait_for()
            # Gradio mounts what is folded when it is first unfolded, and sets its values a moment later: what is filled in
            # within that moment is lost (seen; no person is so quick).
            self.page.wait_for_timeout(MOUNTING_MS)
        return fold

    def set_number(self, label: str, value: object) -> None:
        field = self.more().get_by_label(f"number input for {label}", exact=True)
        field.fill(str(value))
        field.press("Tab")

    def can_run(self) -> None:
        self.page.wait_for_selector("#run-button:not([disabled])")

    def press_run(self) -> None:
        self.can_run()
        self.page.locator("#run-button").click()

    def result(self) -> None:
        """Wait for a finished run."""
        self.page.wait_for_selector(".ip-stage[data-state=result]")
        self.page.locator("#download-button").wait_for()
        self.page.locator("#run-button").wait_for()

    def line(self) -> str:
        return self.page.locator("[data-part=line]").inner_text()

    def about(self) -> str:
        return self.page.locator("[data-part=about]").inner_text()

    def plan(self) -> str:
        return self.page.locator("#plan").inner_text()

    def says(self, sentence: str, where: str = "#plan") -> None:
        """Wait until the page says so."""
        self.page.wait_for_function(
            "([where, sentence]) => [...document.querySelectorAll(where)].some((part) => part.innerText.includes(sentence))",
            arg=[where, sentence],
        )

    def download(self, button: str = "#download-button", named: str = "") -> Path:
        """named: how the file's name ends; the button gets a new file a moment after another candidate was chosen."""
        path = self.folder / f"download-{len(list(self.folder.glob('download-*')))}.png"
        for _ in range(50):
            with self.page.expect_download() as coming:
                self.page.locator(button).click()
            if coming.value.suggested_filename.endswith(named):
                coming.value.save_as(path)
                return path
            self.page.wait_for_timeout(200)
        raise AssertionError(f"no download is named {named}")

    def saved_mask(self) -> np.ndarray[Any, Any]:
        """bool [H, W] at full size: the mask file that the page writes."""
        with self.page.expect_download() as coming:
            self.page.locator("[data-do=mask-save]").click()
        return np.asarray(Image.open(coming.value.path())) > 127

    def _look(self, url: str, host: str) -> None:
        parts = urlparse(url)
        if parts.scheme not in ("data", "blob") and parts.netloc != host:
            self.troubles.append(f"a request left the machine: {url[:200]}")

    def nameless(self) -> list[str]:
        """Visible controls that a screen reader could not name."""
        kinds = ("button", "textbox", "combobox", "slider", "spinbutton", "link", "listbox", "radio")
        lines = [line.strip() for line in self.page.locator("body").aria_snapshot().splitlines()]
        return [line for line in lines if line.removeprefix("- ").split(":")[0].split(" [")[0] in kinds]

    def weak_texts(self) -> list[str]:
        """Visible words whose contrast with what lies under them is below AA (4.5, or 3 for large ones)."""
        return self.page.evaluate(WEAK_TEXTS)
