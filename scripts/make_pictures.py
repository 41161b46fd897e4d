"""README's pictures, taken from the real page: starts the app, uses it in Chromium, writes docs/pictures/*.jpg.

make pictures        (or: python scripts/make_pictures.py, with INPAINT_CHROMIUM=/path/to/chromium if need be)
"""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "pictures"
COFFEE = ROOT / "inpaint" / "ui" / "examples" / "coffee.jpg"
DESKTOP, PHONE = {"width": 1320, "height": 860}, {"width": 390, "height": 844}
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SETTLE_MS = 700


def main() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, served(folder) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=CHROMIUM_FLAGS)
        take_desktop(browser, address)
        take_words(browser, address)
        take_phone(browser, address)
        browser.close()


def take_desktop(browser: Browser, address: str) -> None:
    page = open_page(browser, address, DESKTOP, "light")
    keep(page, "empty")
    page.locator("#open-picture input[type=file]").set_input_files(COFFEE)
    paint_spoon(page)
    keep(page, "painting")
    page.close()
    for theme in ("light", "dark"):
        page = open_page(browser, address, DESKTOP, theme)
        run_example(page, "coffee")
        keep(page, "result" if theme == "light" else "result-dark")
        page.close()


def take_words(browser: Browser, address: str) -> None:
    """An edit with words, and the chain that it joins; by Kandinsky Mini, which lies beside the code."""
    page = open_page(browser, address, DESKTOP, "light")
    page.get_by_role("tab", name="Generate").click()
    with page.expect_file_chooser() as chooser:
        page.locator("#open-for-chain-button").click()
    chooser.value.set_files(COFFEE)
    page.wait_for_selector("#edit-this-button:visible", timeout=60_000)
    page.get_by_role("tab", name="Edit").click()
    run_example(page, "strawberry")
    keep(page, "words")
    page.locator("#send-to-chain-button").click()
    page.wait_for_selector(".ip-chain button:nth-child(2)[aria-pressed=true]", timeout=60_000)
    page.wait_for_timeout(SETTLE_MS)
    keep(page, "chain")
    page.close()


def take_phone(browser: Browser, address: str) -> None:
    page = open_page(browser, address, PHONE, "light")
    page.locator("#open-picture input[type=file]").set_input_files(COFFEE)
    paint_spoon(page)
    keep(page, "phone")
    page.close()


def open_page(browser: Browser, address: str, viewport: dict[str, int], theme: str) -> Page:
    page = browser.new_page(viewport=viewport, device_scale_factor=1)  # pyright: ignore[reportArgumentType]
    page.goto(f"{address}?__theme={theme}")
    page.wait_for_selector("#stage .ip-examples button", timeout=60_000)
    page.wait_for_timeout(SETTLE_MS)
    return page


def paint_spoon(page: Page) -> None:
    page.wait_for_function("document.querySelector('#plan').innerText.includes('Paint')", timeout=60_000)
    page.wait_for_timeout(SETTLE_MS)
    pad = page.locator("#stage [data-part=pad]").bounding_box()
    assert pad is not None
    points = [(0.56, 0.62), (0.61, 0.66), (0.64, 0.72), (0.60, 0.76), (0.57, 0.70), (0.62, 0.70), (0.63, 0.62), (0.65, 0.50)]
    for index, (x, y) in enumerate(points):
        page.mouse.move(pad["x"] + pad["width"] * x, pad["y"] + pad["height"] * y, steps=6)
        if index == 0:
            page.mouse.down()
    page.mouse.up()
    page.wait_for_selector("#run-button:not([disabled])", timeout=60_000)
    page.wait_for_timeout(SETTLE_MS)


def run_example(page: Page, name: str) -> None:
    """Which examples come first depends on the models that are here."""
    page.locator(f"#stage [data-example={name}]").click()
    page.wait_for_selector("#keep-button:visible", timeout=600_000)
    page.wait_for_timeout(SETTLE_MS)


def keep(page: Page, name: str) -> None:
    Image.open(io.BytesIO(page.screenshot())).convert("RGB").save(PICTURES / f"{name}.jpg", quality=88)
    print(PICTURES / f"{name}.jpg")


def find_chromium() -> str | None:
    """INPAINT_CHROMIUM, else one on PATH, else playwright's own (None)."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("INPAINT_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


@contextmanager
def served(data_dir: str) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "app.py"), "--port", str(port), "--data-dir", data_dir], stdout=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}/"
    try:
        wait_for(address + "healthz")
        yield address
    finally:
        process.terminate()
        process.wait()


def wait_for(address: str, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise SystemExit(f"{address} did not answer")


if __name__ == "__main__":
    main()
