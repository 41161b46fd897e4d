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
from inpaint.ui.stage.stage import (
    Stage,
    StageValue,
    data_url_jpeg,
    data_url_png,
    make_proxy,
    proxy_extent,
    read_stage,
    upload_control,
)


@dataclass
class Seen:
    """What reached the server."""

    uploads: list[bytes] = field(default_factory=list)
    pictures: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    values: list[StageValue] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)
    strokes: list[str] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)
    candidates: list[int] = field(default_factory=list)
    cancels: int = 0


CSS = """
body, gradio-app, .gradio-container { background: #f6f6f4 !important; }
body.dark, body.dark gradio-app, body.dark .gradio-container { background: #131415 !important; }
.gradio-container { padding: 0 !important; max-width: none !important; }
.gradio-container main { padding: 16px 24px !important; max-width: none !important; }
.tabitem { padding: 8px 0 !important; }
#columns { gap: 24px; flex-wrap: nowrap; }
@media (max-width: 699px) { .gradio-container main { padding: 0 !important; } #columns { flex-wrap: wrap; } }
"""


def build_demo(seen: Seen, examples: list[dict[str, str]] | None = None) -> gr.Blocks:
    numbers = itertools.count(1)

    def receive(path: str) -> dict[str, Any]:
        seen.uploads.append(Path(path).read_bytes())
        with Image.open(path) as opened:
            pixels = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
        return gr.update(picture=picture_prop(pixels, Path(path).name), result={}, running={}, preview={})

    def picture_prop(pixels: np.ndarray[Any, Any], name: str) -> dict[str, Any]:
        url, proxy = make_proxy(pixels)
        name_and_pixels = hashlib.sha256(pixels.tobytes()).hexdigest()[:12]
        seen.pictures[name_and_pixels] = pixels
        return {"id": name_and_pixels, "url": url, "width": proxy.width, "height": proxy.height,
                "full_width": pixels.shape[1], "full_height": pixels.shape[0], "name": name}

    def current(value: str) -> StageValue:
        untold = read_stage(value if '"mask": ""' in value else "", Extent(1, 1), Extent(1, 1))
        if not seen.pictures:
            return untold
        full = Extent.of(seen.pictures[list(seen.pictures)[-1]])
        return read_stage(value, proxy_extent(full), full)

    def run(value: str) -> str:
        seen.raw.append(value)
        seen.values.append(current(value))
        return str(len(seen.values))

    def newest() -> np.ndarray[Any, Any]:
        return seen.pictures[list(seen.pictures)[-1]]

    def preview_frames() -> Iterator[dict[str, Any]]:
        height, width = newest().shape[:2]
        box = [width // 4, height // 4, width // 2, height // 2]
        for step in range(1, 25):
            frame = np.full((64, 64, 3), (step * 10, 90, 160), np.uint8)
            yield gr.update(preview={"url": data_url_jpeg(frame), "bounds": box, "label": f"step {step} of 24"},
                            work_area={"bounds": box, "label": "work area"})
            time.sleep(0.1)

    def result(count: int) -> dict[str, Any]:
        changed = [np.roll(newest(), shift, axis=2) for shift in (1, 2, 1, 2)][:count]
        items = [{"url": make_proxy(each)[0], "label": f"seed {4710 + i}"} for i, each in enumerate(changed)]
        return gr.update(result={"id": f"r{next(numbers)}", "items": items,
                                 "line": "0 px changed beyond the 6 px blend band"}, running={})

    def ready_mask() -> dict[str, Any]:
        proxy = proxy_extent(Extent.of(newest()))
        mask = np.zeros(proxy.shape, np.uint8)
        mask[proxy.height // 4:proxy.height // 2, proxy.width // 4:proxy.width // 2] = 255
        return gr.update(mask={"id": f"m{next(numbers)}", "url": data_url_png(mask)})

    def area() -> dict[str, Any]:
        height, width = newest().shape[:2]
        return gr.update(work_area={"bounds": [width // 4, height // 4, width // 2, height // 2], "label": "work area"})

    def example(event: gr.EventData) -> dict[str, Any]:
        seen.examples.append(event.name)
        return gr.update(picture=picture_prop(photo(), event.name + ".jpg"))

    def chosen(value: str) -> None:
        seen.candidates.append(current(value).candidate)

    def cancel() -> None:
        seen.cancels += 1

    with gr.Blocks(title="stage", analytics_enabled=False) as demo:
        with gr.Tabs():
            with gr.Tab("Edit"):
                with gr.Row(elem_id="columns"):
                    with gr.Column(scale=1, min_width=300):
                        stage = Stage(examples=examples or [])
                        upload = upload_control()
                    with gr.Column(scale=0, min_width=352, elem_id="rail"):
                        prompt = gr.Textbox(label="prompt", elem_id="prompt")
                        run_button = gr.Button("Run", elem_id="run-button")
                        cancel_button = gr.Button("Cancel", elem_id="cancel-button")
                        out = gr.Textbox(label="runs", elem_id="runs")
                count = gr.Number(4, elem_id="count", visible="hidden")
                hidden = {"show_progress": "hidden", "queue": True}
                for name, act in {
                    "preview": preview_frames, "mask": ready_mask, "area": area,
                    "run-on": lambda: gr.update(running={"label": "Painting"}),
                    "run-off": lambda: gr.update(running={}, preview={}),
                    "back": lambda: gr.update(result={}),
                    "band": lambda: gr.update(band={"grow": 4, "feather": 12}),
                    "notice": lambda: gr.update(notice={"id": str(next(numbers)), "text": "That is not a picture."}),
                    "gone": lambda: gr.update(picture={}),
                }.items():
                    gr.Button(name, elem_id="do-" + name).click(act, None, stage, **hidden)
                gr.Button("result", elem_id="do-result").click(result, count, stage, **hidden)
                gr.Button("single", elem_id="do-single").click(lambda: result(1), None, stage, **hidden)
            with gr.Tab("Other"):
                gr.Textbox(label="else")
        upload.upload(receive, upload, stage, **hidden)
        run_button.click(run, stage, out, show_progress="hidden")
        prompt.submit(run, stage, out, show_progress="hidden")
        cancel_button.click(cancel)
        stage.stroke(lambda value: seen.strokes.append(value), stage, None)
        stage.example(example, None, stage, **hidden)
        stage.candidate(chosen, stage, None)
    return demo


def photo(width: int = 960, height: int = 640) -> np.ndarray[Any, Any]:
    """A picture with large soft shapes: a stand-in that looks like one in screenshots."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    waves = [127 + 80 * np.sin(x / width * a + y / height * b) for a, b in ((3, 2), (2, 4), (5, 1))]
    return np.clip(np.stack(waves, -1), 0, 255).astype(np.uint8)
