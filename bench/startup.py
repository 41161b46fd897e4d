"""How long until the page answers, ours beside an empty Gradio page: fresh processes in turn, same machine, same moment.

    python bench/startup.py [--runs 5]

Prints a table: seconds from process start to the first HTTP 200 of "/", minimum, median and maximum, and the ratio pair
by pair. The target is a median ratio of at most 1.3.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EMPTY = """
import sys
import gradio as gr
with gr.Blocks(analytics_enabled=False) as demo:
    pass
demo.launch(server_port=int(sys.argv[2]))
"""
PATIENCE_SECONDS = 120.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        commands = {"empty Gradio page": [sys.executable, "-c", EMPTY], "Inpaint": [sys.executable, str(ROOT / "app.py")]}
        for command in commands.values():
            answer_seconds(command, folder)  # files into the page cache, byte code onto the disk
        times = [{name: answer_seconds(command, folder) for name, command in commands.items()} for _ in range(runs)]
    report(times)


def answer_seconds(command: list[str], data_dir: str) -> float:
    """From starting the process to the first answer of its page."""
    port = free_port()
    started = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--port", str(port)],
        cwd=data_dir,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "INPAINT_DATA_DIR": data_dir, "GRADIO_ANALYTICS_ENABLED": "False"},
    )
    try:
        while time.perf_counter() - started < PATIENCE_SECONDS:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5):
                    return time.perf_counter() - started
            except (urllib.error.URLError, OSError):
                time.sleep(0.02)
        raise SystemExit(f"no answer within {PATIENCE_SECONDS:.0f} s: {' '.join(command)[:80]}")
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def report(times: list[dict[str, float]]) -> None:
    print("| page | min s | median s | max s |\n|---|---|---|---|")
    for name in times[0]:
        row = [run[name] for run in times]
        print(f"| {name} | {min(row):.2f} | {statistics.median(row):.2f} | {max(row):.2f} |")
    ratios = [run["Inpaint"] / run["empty Gradio page"] for run in times]
    print(f"\nRatio, pair by pair: median {statistics.median(ratios):.2f}, from {min(ratios):.2f} to {max(ratios):.2f}.")


if __name__ == "__main__":
    main()
