"""Whether a server stays the same size: thousands of mixed calls, views, uploads, cancels and cut connections, measured from outside.

    python bench/soak.py [--calls 2000] [--clients 8]

Starts a server of its own on loopback, and prints memory, open files, threads and files after each tenth of the calls: results, of which each
finished edit leaves one, uploads, of which the same content is kept once, and all other files, which have to stay as few as they are. The
first tenth warms it up. Each client is bounded in count and stops by itself.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import psutil
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_SECONDS = 120
SIDE = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--clients", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as data, served(Path(data)) as (process, address):
        visitor = Visitor(address)
        print(
            f"{'calls':>6} {'memory MB':>10} {'open files':>11} {'threads':>8} {'results':>8} {'uploads':>8} {'other files':>12}  answers"
        )
        for tenth in range(1, 11):
            answers = play(visitor, options.calls // 10, options.clients, seed=tenth)
            time.sleep(2)  # what was cut is noticed by then
            print(
                f"{tenth * options.calls // 10:>6} {process.memory_info().rss / 1e6:>10.0f} {process.num_fds():>11} "
                f"{process.num_threads():>8} {kept(Path(data))}  {answers}",
                flush=True,
            )


def kept(data: Path) -> str:
    """How many files lie among the results, among the uploads, and anywhere else: in the data folder, and in the system's temporary folder of
    this server."""
    results, uploads, whole = (sum(path.is_file() for path in folder.rglob("*")) for folder in (data / "results", data / "cache", data))
    return f"{results:>8} {uploads:>8} {whole - results - uploads:>12}"


@contextlib.contextmanager
def served(data: Path) -> Iterator[tuple[psutil.Process, str]]:
    """A server whose uploads and temporary files stay in `data`, so that they are counted."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, str(ROOT / "app.py"), "--port", str(port), "--data-dir", str(data), "--device", "cpu"]
    temporary = data / "temporary"
    temporary.mkdir()
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | {"TMPDIR": str(temporary)}
    ) as process:
        try:
            wait_for(f"http://127.0.0.1:{port}/healthz")
            yield psutil.Process(process.pid), f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def wait_for(address: str) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(address, trust_env=False).is_success:
                return
        time.sleep(0.2)
    raise SystemExit(f"{address} did not answer")


class Visitor:
    """What somebody may do with the server; each returns an HTTP status, or 0 for a connection that was cut."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._photo, self._mask = png(noise=True), png(noise=False)

    @property
    def acts(self) -> list[Callable[[httpx.Client], int]]:
        return [self.view, self.config, self.call_models, self.upload, self.edit, self.cancel, self.cut_upload, self.cut_answer]

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self._address, timeout=PATIENCE_SECONDS, trust_env=False)

    def view(self, client: httpx.Client) -> int:
        return client.get("/").status_code

    def config(self, client: httpx.Client) -> int:
        return client.get("/config").status_code

    def call_models(self, client: httpx.Client) -> int:
        return self._answer(client, "models", [])

    def upload(self, client: httpx.Client) -> int:
        return client.post("/gradio_api/upload", files=[("files", ("photo.png", self._photo))]).status_code

    def edit(self, client: httpx.Client) -> int:
        return self._answer(client, "edit", self._edit_data(client))

    def cancel(self, client: httpx.Client) -> int:
        event = client.post("/gradio_api/call/edit", json={"data": self._edit_data(client)}).json()["event_id"]
        return client.post("/gradio_api/cancel", json={"session_hash": event, "fn_index": 0, "event_id": event}).status_code

    def cut_upload(self, client: httpx.Client) -> int:
        host, _, port = self._address.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), PATIENCE_SECONDS) as connection:
            connection.sendall(
                f"POST /gradio_api/upload HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 100000\r\n"
                "Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
                'Content-Disposition: form-data; name="files"; filename="a.png"\r\n\r\nhalf'.encode()
            )
        return 0

    def cut_answer(self, client: httpx.Client) -> int:
        event = client.post("/gradio_api/call/edit", json={"data": self._edit_data(client)}).json()["event_id"]
        with client.stream("GET", f"/gradio_api/call/edit/{event}"):
            return 0

    def _answer(self, client: httpx.Client, name: str, data: list[object]) -> int:
        event = client.post(f"/gradio_api/call/{name}", json={"data": data}).json()["event_id"]
        return client.get(f"/gradio_api/call/{name}/{event}").status_code

    def _edit_data(self, client: httpx.Client) -> list[object]:
        sent = client.post("/gradio_api/upload", files=[("files", ("photo.png", self._photo)), ("files", ("mask.png", self._mask))])
        return [*({"path": path, "meta": {"_type": "gradio.FileData"}} for path in sent.json()), "", None, "erase", 1, *[None] * 12]


def png(*, noise: bool) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), np.uint8) if noise else np.zeros((SIDE, SIDE), np.uint8)
    if not noise:
        pixels[20:30, 20:30] = 255
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def play(visitor: Visitor, calls: int, clients: int, seed: int) -> dict[int, int]:
    """So many acts, drawn evenly. Returns how many answers of each status there were."""
    drawn = random.Random(seed).choices(visitor.acts, k=calls)
    counts: dict[int, int] = {}
    lock = threading.Lock()

    def act(one: Callable[[httpx.Client], int]) -> None:
        with visitor.client() as client:
            status = one(client)
        with lock:
            counts[status] = counts.get(status, 0) + 1

    with ThreadPoolExecutor(clients) as pool:
        for done in [pool.submit(act, one) for one in drawn]:
            done.result()
    return dict(sorted(counts.items()))


if __name__ == "__main__":
    main()
