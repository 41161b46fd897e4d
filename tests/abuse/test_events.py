"""Every event of the page, sent by a program with values that the page never sends: each is refused or does nothing, without a fault."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serving import ROOT, Served

API = "/gradio_api"
VALUES = [None, 7, "x" * 50, [], {"a": 1}, {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}]


@pytest.mark.parametrize("value", VALUES, ids=ascii)
def test_an_event_with_values_that_no_control_has(value: Any, client: httpx.Client, abused: Served) -> None:
    """Its sender is told in a sentence that names no place of this machine. The log has no traceback of it, which anybody could fill it with:
    that is looked at when the server ends."""
    for number, event in enumerate(client.get("/config").json()["dependencies"]):
        body = {"data": [value] * len(event["inputs"]), "fn_index": event["id"], "session_hash": f"s{number}"}
        answer = client.post(f"{API}/queue/join", content=json.dumps(body), headers={"content-type": "application/json"})
        assert answer.status_code == 200, answer.text
        told = re.sub(r"--data-dir [^\s<\"]+", "", last_word(client, f"s{number}"))  # of the command that fetches a model
        assert not [place for place in (str(abused.data), str(ROOT), str(Path.home())) if place in told], told
        assert "Traceback" not in told and "root:x" not in told


def last_word(client: httpx.Client, session: str) -> str:
    """How an event ends, as the page hears it."""
    with client.stream("GET", f"{API}/queue/data", params={"session_hash": session}) as answer:
        return next((line for line in answer.iter_lines() if "process_completed" in line or "unexpected_error" in line), "")
