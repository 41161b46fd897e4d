"""Uploads, calls and readiness over plain HTTP, as any program makes them. Must not know what is tested."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx

from tests.fakes import block, noise, save
from tests.serving import PATIENCE_SECONDS, Served


def visitor(served: Served) -> httpx.Client:
    return httpx.Client(base_url=served.url, timeout=PATIENCE_SECONDS, trust_env=False)


def uploaded(client: httpx.Client, folder: Path) -> list[str]:
    """A photo and its mask, on the server."""
    paths = [save(noise(60, 80), folder / "photo.png"), save(block(60, 80, 20, 20, 30, 30), folder / "mask.png")]
    answer = client.post("/gradio_api/upload", files=[("files", (path.name, path.read_bytes())) for path in paths])
    assert answer.status_code == 200, answer.text
    return answer.json()


def erased(client: httpx.Client, places: list[str]) -> tuple[str, Any]:
    """How a call of /edit on uploaded files ends: "complete" or "error", and what it says."""
    data = [*({"path": place, "meta": {"_type": "gradio.FileData"}} for place in places), *[None] * 16]
    asked = client.post("/gradio_api/call/edit", json={"data": data})
    assert asked.status_code == 200, asked.text
    told = client.get(f"/gradio_api/call/edit/{asked.json()['event_id']}").text
    last = [part for part in told.split("\n\n") if part and not part.startswith("event: heartbeat")][-1]
    event, _, content = last.partition("\n")
    return event.removeprefix("event: "), json.loads(content.removeprefix("data: "))


def still_serves(client: httpx.Client, folder: Path) -> None:
    kind, told = erased(client, uploaded(client, folder))
    assert kind == "complete" and told[1]["changed_outside"] == 0, told
