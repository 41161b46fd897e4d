"""One person's page with the stage on it, for the browser tests: opens, paints, reads what reached the server.

Must not assert anything about the stage.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from inpaint.ui.stage.stage import StageValue
from tests.ui.stage.stage_app import Seen, photo

Point = tuple[float, float]


@dataclass
class StagePage:
    """One person's page. Points are parts of the picture: (0.5, 0.5) is its middle, at every zoom that shows it."""

    page: Any
    seen: Seen
    folder: Path
    troubles: list[str] = field(default_factory=list)

    def open(self, pixels: np.ndarray[Any, Any] | None = None, name: str = "photo.png") -> Path:
        path = self.folder / name
        Image.fromarray(photo() if pixels is None else pixels).save(path)
        before = self.page.locator(".ip-stage").get_attribute("data-picture")
        self.page.locator("#open-picture input[type=file]").set_input_files(path)
        self.page.wait_for_function("before => document.querySelector('.ip-stage').dataset.picture !== before", arg=before)
        self.page.mouse.move(2, 2)
        return path

    def push(self, name: str) -> None:
        """Let the server send one prop; the page's own buttons stay untouched."""
        self.page.evaluate("name => document.querySelector('#do-' + name).click()", name)

    def state(self, name: str) -> None:
        self.page.wait_for_selector(f".ip-stage[data-state={name}]")

    def at(self, point: Point) -> Point:
        box = self.page.locator("[data-part=world]").bounding_box()
        return box["x"] + point[0] * box["width"], box["y"] + point[1] * box["height"]

    def drag(self, *points: Point, steps: int = 6, button: str = "left") -> None:
        mouse = self.page.mouse
        mouse.move(*self.at(points[0]))
        mouse.down(button=button)
        for point in points[1:]:
            mouse.move(*self.at(point), steps=steps)
        mouse.up(button=button)

    def touch(self, *fingers: list[Point]) -> None:
        """Each finger's way, all of the same length, moved together. Fixed on the screen before it begins: a pinch moves the picture."""
        session = self.page.context.new_cdp_session(self.page)
        ways = [[self.at(point) for point in way] for way in fingers]

        def send(kind: str, step: int) -> None:
            points = [] if kind == "touchEnd" else [{"x": way[step][0], "y": way[step][1], "id": i} for i, way in enumerate(ways)]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        send("touchStart", 0)
        for step in range(1, len(fingers[0])):
            send("touchMove", step)
        send("touchEnd", 0)

    def run(self) -> StageValue:
        """Press Run at once and return what the server read."""
        known = len(self.seen.values)
        self.page.click("#run-button")
        self.wait_for_run(known)
        return self.seen.values[-1]

    def wait_for_run(self, known: int) -> None:
        self.wait(lambda: len(self.seen.values) > known)
        # Gradio drops a press while the page has not heard of the end of the one before.
        self.page.wait_for_function(
            "count => document.querySelector('#runs :is(input, textarea)').value >= count", arg=len(self.seen.values)
        )

    def wait(self, done: Callable[[], bool]) -> None:
        for _ in range(1200):
            if done():
                return
            self.page.wait_for_timeout(50)
        raise AssertionError("nothing came within a minute")

    def mask(self) -> np.ndarray[Any, Any]:
        """bool [H, W] in upload space, as the server reads it when Run is pressed now."""
        found = self.run().mask
        if found is None:
            height, width = self.seen.pictures[list(self.seen.pictures)[-1]].shape[:2]
            return np.zeros((height, width), bool)
        assert set(np.unique(found.pixels)) <= {0, 255}
        return found.pixels > 0

    def key(self, *names: str) -> None:
        for name in names:
            self.page.keyboard.press(name)

    def status(self) -> str:
        return self.page.locator("[data-part=status]").inner_text()

    def give_file(self, event: str, *files: tuple[str, str, bytes], text: str = "", target: str = "body") -> None:
        """Drop or paste files as a browser does it: an event with a DataTransfer."""
        self.page.evaluate(
            """([event, files, text, target]) => {
            const parcel = new DataTransfer();
            for (const [name, type, bytes] of files) parcel.items.add(new File([Uint8Array.from(bytes)], name, {type}));
            if (text) parcel.setData("text/plain", text);
            const how = {bubbles: true, cancelable: true};
            const sent = event === "paste" ? new ClipboardEvent(event, {...how, clipboardData: parcel})
                : new DragEvent(event, {...how, dataTransfer: parcel});
            document.querySelector(target).dispatchEvent(sent);
        }""",
            [event, [[name, kind, list(data)] for name, kind, data in files], text, target],
        )


def around(centre: Point, radius: Point, count: int = 28) -> list[Point]:
    """A closed circle or ellipse, in parts of the picture."""
    turns = [2 * math.pi * i / count for i in range(count + 1)]
    return [(centre[0] + radius[0] * math.cos(turn), centre[1] + radius[1] * math.sin(turn)) for turn in turns]


def png_bytes(pixels: np.ndarray[Any, Any]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
