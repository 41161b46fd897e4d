"""Uploads, calls and readiness over plain HTTP, as any program makes them. Must not know what is tested."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from tests.fakes import block, noise, save
from tests.serving import PATIENCE_SECONDS, Served

EDIT_FIELDS = (
    "prompt",
    "negative_prompt",
    "model",
    "seed",
    "num_inference_steps",
    "guidance_scale",
    "strength",
    "scheduler",
    "prior_num_inference_steps",
    "prior_guidance_scale",
    "count",
    "grow",
    "feather",
    "tone_match",
    "work_area",
    "invert_mask",
)
"""The values of /edit after its two files, in their order."""


def visitor(served: Served) -> httpx.Client:
    return httpx.Client(base_url=served.url, timeout=PATIENCE_SECONDS, trust_env=False)


def uploaded(client: httpx.Client, folder: Path) -> list[str]:
    """A photo and its mask, on the server."""
    paths = [save(noise(60, 80), folder / "photo.png"), save(block(60, 80, 20, 20, 30, 30), folder / "mask.png")]
    return sent(client, *((path.name, path.read_bytes()) for path in paths))


def sent(client: httpx.Client, *files: tuple[str, bytes]) -> list[str]:
    """Where the server keeps these uploads (name, content)."""
    answer = client.post("/gradio_api/upload", files=[("files", file) for file in files])
    assert answer.status_code == 200, answer.text
    return answer.json()


def erased(client: httpx.Client, places: list[str], **values: Any) -> tuple[str, Any]:
    """How a call of /edit on uploaded files ends: "complete" or "error", and what it says."""
    return called(client, "edit", [*map(file_data, places), *(values.get(name) for name in EDIT_FIELDS)])


def file_data(place: str) -> dict[str, Any]:
    return {"path": place, "meta": {"_type": "gradio.FileData"}}


def called(client: httpx.Client, name: str, data: Sequence[Any]) -> tuple[str, Any]:
    """How a call that the server takes ends, and what it says. NaN and lone surrogates are sent as Python writes them."""
    asked = client.post(f"/gradio_api/call/{name}", content=json.dumps({"data": data}), headers={"content-type": "application/json"})
    assert asked.status_code == 200, asked.text
    told = client.get(f"/gradio_api/call/{name}/{asked.json()['event_id']}").text
    last = [part for part in told.split("\n\n") if part and not part.startswith("event: heartbeat")][-1]
    event, _, content = last.partition("\n")
    return event.removeprefix("event: "), json.loads(content.removeprefix("data: "))


def spoken(served: Served, *lines: str, body: bytes = b"") -> str:
    """What the server answers to a request that is sent as it stands here; Host is added unless it is among the lines. Of an answer on a
    connection that stays open, the first part."""
    host = served.url.removeprefix("http://")
    name, _, port = host.rpartition(":")
    lines = lines if any(line.lower().startswith("host:") for line in lines) else (lines[0], f"Host: {host}", *lines[1:])
    with socket.create_connection((name, int(port)), PATIENCE_SECONDS) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        answer = connection.recv(65_536)
        closes = "Connection: close" in lines or b"connection: close" in answer.lower()
        while closes and (more := connection.recv(65_536)):
            answer += more
        return answer.decode("latin-1")


def still_serves(client: httpx.Client, folder: Path) -> None:
    kind, told = erased(client, uploaded(client, folder))
    assert kind == "complete" and told[1]["changed_outside"] == 0, told
