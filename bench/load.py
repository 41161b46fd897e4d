"""How long the worker idles between queued jobs: 20 clients, 200 jobs, each a fixed sleep in place of a model.

    python bench/load.py [--clients 20] [--jobs 10] [--seconds 0.05]

Prints busy and idle time of the worker thread while jobs wait (target: idle under 2 % of busy), and how even the clients' mean
waits are (target: at most 1.5 times the overall mean).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from inpaint.config.settings import QueueLimits
from inpaint.core.progress import Progress, ProgressCallback
from inpaint.jobs.job import Job
from inpaint.jobs.worker import Worker


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=10, help="by client")
    parser.add_argument("--seconds", type=float, default=0.05, help="by job")
    options = parser.parse_args()
    spans: list[tuple[float, float]] = []
    waits = run(options.clients, options.jobs, options.seconds, spans)
    report(waits, spans)


class Sleeps:
    """An executor whose work is a function of `report`."""

    can_end_early = False

    def run(self, work: Callable[[ProgressCallback], str], report: ProgressCallback) -> str:
        return work(report)


def run(clients: int, jobs: int, seconds: float, spans: list[tuple[float, float]]) -> dict[int, list[float]]:
    """Every client keeps three jobs queued until its share is done. Returns the waits by client; fills spans with (start, end)."""
    worker = Worker(Sleeps(), QueueLimits(overall=clients * 3 + 1))
    waits: dict[int, list[float]] = {client: [] for client in range(clients)}

    def client_loop(client: int) -> None:
        mine: list[Job[str]] = []
        for _ in range(jobs):
            while sum(not job.is_finished for job in mine) >= 3:
                time.sleep(0.001)
            asked = time.perf_counter()

            def task(report: ProgressCallback, asked: float = asked) -> str:
                started = time.perf_counter()
                waits[client].append(started - asked)
                report(Progress("denoising", 1, 1))
                time.sleep(seconds)
                spans.append((started, time.perf_counter()))
                return "done"

            mine.append(worker.submit(task, f"client {client}"))
        for job in mine:
            job.wait()

    threads = [threading.Thread(target=client_loop, args=(client,)) for client in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return waits


def report(waits: dict[int, list[float]], spans: list[tuple[float, float]]) -> None:
    busy = sum(end - start for start, end in spans)
    idle = sum(later[0] - earlier[1] for earlier, later in pairwise(spans))
    means = [statistics.mean(mine) for mine in waits.values()]
    overall = statistics.mean(wait for mine in waits.values() for wait in mine)
    print("| jobs | busy s | idle between jobs s | idle / busy | worst client's mean wait / overall mean |\n|---|---|---|---|---|")
    print(f"| {len(spans)} | {busy:.2f} | {idle:.3f} | {100 * idle / busy:.2f} % | {max(means) / overall:.2f} |")


if __name__ == "__main__":
    main()
