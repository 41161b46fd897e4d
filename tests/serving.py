"""The app as a process of its own, in an environment that a test states. Must not know what is tested."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.error import URLError
from urllib.request import urlopen

ROOT = Path(__file__).parents[1]
PATIENCE_SECONDS = 60
BARE = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HF_HUB_OFFLINE": "1"}
"""What an ordinary machine has, and no network."""


@dataclass(frozen=True)
class Served:
    """A running app. config, data: what it was started with, for a command line beside it."""

    url: str
    config: Path
    data: Path
    process: subprocess.Popen[bytes]

    def results(self) -> list[Path]:
        """The folders of all finished runs, one a run."""
        return sorted((self.data / "results").glob("*")) if self.data.exists() else []


class Serve(Protocol):
    """Starts the app; every keyword but `program` is a variable of its environment."""

    def __call__(self, *flags: str, program: Sequence[str] = ("app.py",), **variables: str) -> Served: ...


class Servers:
    """Starts apps whose data lies in folder/data and whose output goes to folder/log.txt; ends them all with `close`."""

    def __init__(self, folder: Path) -> None:
        self.log, self._data = folder / "log.txt", folder / "data"
        self._started: list[subprocess.Popen[bytes]] = []

    def start(
        self,
        *flags: str,
        environment: Mapping[str, str],
        program: Sequence[str | Path] = ("app.py",),
        config: Path | None = None,
        folder: Path = ROOT,
    ) -> Served:
        """Returns when the app answers. config: the folder given as --config. folder: where the process runs."""
        port = free_port()
        where = [] if config is None else ["--config", str(config)]
        with self.log.open("ab") as file:
            process = subprocess.Popen(
                [sys.executable, *program, "--port", str(port), "--device", "cpu", "--data-dir", str(self._data), *where, *flags],
                cwd=folder,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=dict(environment),
            )
        self._started.append(process)
        host = "[::1]" if "::1" in flags else "127.0.0.1"
        served = Served(f"http://{host}:{port}", config or folder, self._data, process)
        self._wait_until_it_answers(served)
        return served

    def close(self) -> None:
        for process in self._started:
            process.kill()
            process.wait()

    def _wait_until_it_answers(self, served: Served) -> None:
        for _ in range(PATIENCE_SECONDS * 4):
            if served.process.poll() is not None:
                raise AssertionError(f"the app did not start: {self.log.read_text()}")
            try:
                with urlopen(f"{served.url}/healthz", timeout=5) as answer:
                    assert answer.status == 200
                    return
            except (URLError, ConnectionError, TimeoutError):
                time.sleep(0.25)
        raise AssertionError(f"the app did not answer: {self.log.read_text()}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment_without(*prefixes: str) -> dict[str, str]:
    """This process's environment less the variables whose names begin so, and with no network."""
    return {name: value for name, value in os.environ.items() if not name.startswith(prefixes)} | {"HF_HUB_OFFLINE": "1"}
