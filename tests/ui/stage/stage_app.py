"""A small page round the stage for the browser tests: every prop can be sent by a button, every value is recorded.

Must not know the real page: what is tested here is the stage alone.
"""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image, ImageOps

from inpaint.core.geometry import Extent
from inpaint.storage.previews import preview_extent, preview_of
from inpaint.ui.images import data_url_jpeg, data_url_png, preview_url
from inpaint.ui.stage.stage import Stage, StageValue, read_stage, upload_control

Update = dict[str, Any]
Pixels = np.ndarray[Any, Any]

CSS = """
html, body { overscroll-behavior: none; }
body, gradio-app, .gradio-container { background: #f6f6f4 !important; }
body.dark, body.dark gradio-app, body.dark .gradio-container { background: #131415 !important; }
.gradio-container > .main, .gradio-container .wrap > main.contain { padding: 0 !important; max-width: none !important; }
.gradio-container .tabitem { padding: 8px 24px !important; }
#columns { gap: 24px; flex-wrap: nowrap; }
#columns .html-container { padding: 0; }
@media (max-width: 559px) { .gradio-container .tabitem { padding: 0 !important; } #columns { flex-wrap: wrap; } }
"""
QUIET: dict[str, Any] = {"show_progress": "hidden"}


@dataclass
class Seen:
    """What reached the server."""

    uploads: list[bytes] = field(default_factory=list)
    pictures: dict[str, Pixels] = field(default_factory=dict)
    values: list[StageValue] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)
    strokes: list[str] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)
    candidates: list[int] = field(default_factory=list)
    cancels: int = 0

    @property
    def picture_id(self) -> str:
        return list(self.pictures)[-1] if self.pictures else ""

    @property
    def picture(self) -> Pixels:
        return self.pictures[self.picture_id]


class Server:
    """The handlers: what the stage sends is written down, what the buttons ask for is sent."""

    def __init__(self, seen: Seen) -> None:
        self.seen = seen
        self.numbers = itertools.count(1)

    def receive(self, path: str) -> Update:
        self.seen.uploads.append(Path(path).read_bytes())
        with Image.open(path) as opened:
            pixels = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
        return gr.update(picture=self.picture_prop(pixels, Path(path).name), result={}, running={}, preview={})

    def picture_prop(self, pixels: Pixels, name: str) -> dict[str, Any]:
        preview = preview_of(pixels)
        url, proxy = preview_url(preview), preview.extent
        picture_id = hashlib.sha256(pixels.tobytes()).hexdigest()[:12]
        self.seen.pictures[picture_id] = pixels
        return {
            "id": picture_id,
            "url": url,
            "width": proxy.width,
            "height": proxy.height,
            "full_width": pixels.shape[1],
            "full_height": pixels.shape[0],
            "name": name,
        }

    def read(self, value: str) -> StageValue:
        full = Extent.of(self.seen.picture)
        return read_stage(value, self.seen.picture_id, preview_extent(full), full)

    def run(self, value: str) -> str:
        self.seen.raw.append(value)
        self.seen.values.append(self.read(value))
        return str(len(self.seen.values))

    def stroke(self, value: str) -> None:
        self.seen.strokes.append(value)

    def candidate(self, event: gr.EventData) -> None:
        self.seen.candidates.append(event.index)

    def example(self, event: gr.EventData) -> Update:
        self.seen.examples.append(event.name)
        return gr.update(picture=self.picture_prop(photo(), event.name + ".jpg"))

    def cancel(self) -> None:
        self.seen.cancels += 1

    @property
    def middle(self) -> list[int]:
        """The middle quarter of the picture, in full pixels."""
        height, width = self.seen.picture.shape[:2]
        return [width // 4, height // 4, width // 2, height // 2]

    def preview(self) -> Iterator[Update]:
        for step in range(1, 25):
            frame = np.full((64, 64, 3), (step * 10, 90, 160), np.uint8)
            yield gr.update(
                work_area={"bounds": self.middle, "label": "work area"},
                preview={"url": data_url_jpeg(frame), "bounds": self.middle, "label": f"step {step} of 24"},
            )
            time.sleep(0.1)

    def result(self, count: int) -> Update:
        changed = [np.roll(self.seen.picture, shift, axis=2) for shift in (1, 2, 1, 2)][:count]
        items = [{"url": preview_url(preview_of(each)), "label": f"seed {4710 + i}"} for i, each in enumerate(changed)]
        line = "0 px changed beyond the 6 px blend band"
        return gr.update(result={"id": f"r{next(self.numbers)}", "items": items, "line": line}, running={})

    def ready_mask(self) -> Update:
        proxy = preview_extent(Extent.of(self.seen.picture))
        mask = np.zeros(proxy.shape, np.uint8)
        mask[proxy.height // 4 : proxy.height // 2, proxy.width // 4 : proxy.width // 2] = 255
        return gr.update(mask={"id": f"m{next(self.numbers)}", "url": data_url_png(mask)})

    def notice(self) -> Update:
        return gr.update(notice={"id": str(next(self.numbers)), "text": "That is not a picture."})

    def pushes(self) -> dict[str, Any]:
        """What each button named do-... sends."""
        return {
            "preview": self.preview,
            "mask": self.ready_mask,
            "notice": self.notice,
            "area": lambda: gr.update(work_area={"bounds": self.middle, "label": "work area"}),
            "run-on": lambda: gr.update(running={"label": "Painting"}),
            "run-off": lambda: gr.update(running={}, preview={}),
            "result": lambda: self.result(4),
            "single": lambda: self.result(1),
            "back": lambda: gr.update(result={}),
            "band": lambda: gr.update(band={"grow": 4, "feather": 12}),
            "gone": lambda: gr.update(picture={}),
            "hide": lambda: gr.update(visible=False),
            "show": lambda: gr.update(visible=True, picture=self.picture_prop(self.seen.picture, "photo.png")),
        }


def build_demo(seen: Seen, examples: list[dict[str, str]]) -> gr.Blocks:
    server = Server(seen)
    with gr.Blocks(title="stage", analytics_enabled=False) as demo, gr.Tabs():
        with gr.Tab("Edit"):
            with gr.Row(elem_id="columns"):
                with gr.Column(scale=1, min_width=300):
                    stage = Stage(examples=examples)
                    upload = upload_control()
                with gr.Column(scale=0, min_width=352):
                    prompt = gr.Textbox(label="prompt", elem_id="prompt")
                    run = gr.Button("Run", elem_id="run-button")
                    cancel = gr.Button("Cancel", elem_id="cancel-button")
                    out = gr.Textbox(label="runs", elem_id="runs")
            for name, act in server.pushes().items():
                gr.Button(name, elem_id="do-" + name).click(act, None, stage, **QUIET)
        with gr.Tab("Other"):
            gr.Textbox(label="else")
        upload.upload(server.receive, upload, stage, **QUIET)
        run.click(server.run, stage, out, **QUIET)
        prompt.submit(server.run, stage, out, **QUIET)
        cancel.click(server.cancel)
        stage.stroke(server.stroke, stage, None)
        stage.example(server.example, None, stage, **QUIET)
        stage.candidate(server.candidate, None, None)
    return demo


def photo(width: int = 960, height: int = 640) -> Pixels:
    """A picture of large soft shapes."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    waves = [127 + 80 * np.sin(x / width * a + y / height * b) for a, b in ((3, 2), (2, 4), (5, 1))]
    return np.clip(np.stack(waves, -1), 0, 255).astype(np.uint8)
