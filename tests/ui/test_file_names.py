"""Files by content, whatever they are called: on both tabs of the page and over HTTP a name decides nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client, handle_file
from PIL import Image

from inpaint.storage.uploads import READABLE
from tests.fakes import block, save
from tests.serving import PATIENCE_SECONDS, Served
from tests.ui.app_page import AppPage

NAMES = [
    "noending",
    "photo.jpg_large",
    "..jpg",
    ".jpg",
    "a" * 240 + ".png",
    "con.png",
    "\N{CAT} photo.png",
    "हिन्दी.png",
    "cafe\N{COMBINING ACUTE ACCENT}.png",
    "x.PNG",
    "photo.txt",
    "photo.svg",
]
NO_PICTURES = {
    "letter.txt": b"Dear Ada",
    "letter": b"Dear Ada",
    "..jpg": b"Dear Ada",
    "photo.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "clip.mp4": b"\0\0\0\x20ftypisom",
    "nothing": b"",
}


def short(name: str) -> str:
    return name if name.isascii() and len(name) < 40 else name.encode("unicode_escape").decode()[:24]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.png"
    Image.linear_gradient("L").resize((64, 48)).convert("RGB").save(path)
    return path


@pytest.fixture(scope="module")
def caller(served_app: Served) -> Client:
    return Client(served_app.url, verbose=False, httpx_kwargs={"timeout": PATIENCE_SECONDS})


@pytest.mark.parametrize("name", NAMES, ids=short)
def test_over_http(caller: Client, small: Path, name: str) -> None:
    folder = small.parent / "named"
    folder.mkdir()
    photo, mask = shutil.copy(small, folder / name), save(block(48, 64, 10, 10, 20, 20), small.parent / "mask.png")
    mask = mask.rename(folder / f"mask of {name[-20:]}")
    files, report = caller.predict(handle_file(str(photo)), handle_file(str(mask)), api_name="/edit")
    assert len(files) == 1 and report["changed_outside"] == 0
    with Image.open(files[0]) as result:
        assert result.size == (64, 48)


def give(app: AppPage, control: str, name: str, data: bytes) -> None:
    app.page.locator(control).set_input_files({"name": name, "mimeType": "", "buffer": data})


@pytest.mark.browser
def test_on_the_edit_tab(app: AppPage, small: Path) -> None:
    for name in NAMES:
        before = app.page.locator(".ip-stage").get_attribute("data-picture")
        give(app, "#open-picture input[type=file]", name, small.read_bytes())
        app.page.wait_for_function("before => document.querySelector('.ip-stage').dataset.picture !== before", arg=before)
        assert "64 × 48 px" in app.about()
        assert app.page.locator(".toast-body").count() == 0
    app.rectangle((0.25, 0.25), (0.75, 0.75))
    app.press_run()
    app.result()


def generate_tab(app: AppPage) -> AppPage:
    app.page.get_by_role("tab", name="Generate").click()
    app.page.locator("#open-for-chain-button").wait_for()
    return app


def choose(app: AppPage, name: str, data: bytes) -> None:
    with app.page.expect_file_chooser() as chooser:
        app.page.locator("#open-for-chain-button").click()
    chooser.value.set_files({"name": name, "mimeType": "", "buffer": data})


@pytest.mark.browser
def test_on_the_generate_tab(app: AppPage, small: Path) -> None:
    generate_tab(app)
    for number, name in enumerate(NAMES[:4], 1):
        choose(app, name, small.read_bytes())
        app.page.locator("#generated img").wait_for()
        if number > 1:
            app.page.wait_for_function("n => document.querySelectorAll('.ip-chain button').length === n", arg=number)
        assert app.page.locator(".toast-body").count() == 0


@pytest.mark.browser
@pytest.mark.parametrize("name", NO_PICTURES, ids=short)
def test_what_is_no_picture_gets_our_sentence(app: AppPage, name: str) -> None:
    expected = "is empty (0 bytes)." if not NO_PICTURES[name] else f"is not a readable {READABLE} picture."
    give(app, "#open-picture input[type=file]", name, NO_PICTURES[name])
    app.says(expected, "#message .ip-error")
    app.page.wait_for_selector("[data-part=opening]", state="hidden")
    choose(generate_tab(app), name, NO_PICTURES[name])
    app.says(expected, "#generate-message .ip-error")
    assert app.page.locator(".toast-body").count() == 0


ACCEPTED = """() => new Promise((tell) => {
  document.addEventListener("click", (event) => {
    if (event.target.type === "file") { event.preventDefault(); tell(event.target.accept); }
  });
  document.querySelector("[data-do=open]").click();
})"""


@pytest.mark.browser
@pytest.mark.parametrize(("options", "accepted"), [({}, ""), ({"has_touch": True, "is_mobile": True}, "image/*")], ids=["desktop", "phone"])
def test_a_desktop_lists_every_file_and_a_phone_offers_its_gallery(people: Any, options: dict[str, Any], accepted: str) -> None:
    assert people(**options).page.evaluate(ACCEPTED) == accepted
