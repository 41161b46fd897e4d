"""Starts the web app; the file that a Hugging Face Space runs. The only file that imports inpaint.ui."""

from __future__ import annotations

import argparse
import dataclasses
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

# Read by the libraries when they are imported: nothing leaves this machine but the downloads a person asks for.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
# On a ZeroGPU Space `spaces` deletes downloaded weights once they are loaded; they would count as not downloaded from then on.
os.environ.setdefault("ZEROGPU_MMAP_AUTOPRUNE_PATTERN", os.devnull)

from inpaint.config import AppConfig, load_config, parse_auth
from inpaint.errors import BadConfig, InpaintError
from inpaint.executor import GpuProcess
from inpaint.logs import set_up_logging
from inpaint.service import Service
from inpaint.storage.journal import Journal
from inpaint.storage.results import sweep
from inpaint.ui.page import Page, build_page

GRACE_SECONDS, TELLING_SECONDS, LAST_SECONDS = 4.0, 4.0, 9.0
"""After SIGTERM: how long a running job may take to stop, how long answers may take to get out (a sentence, a result on its way to
the disk), and when the process ends, whatever it does then. Containers are killed after ten."""

LENT_GPU_GB = 40.0
"""What models may take of a GPU that a ZeroGPU Space is lent: half a card of 96 GB, less a reserve. Its driver cannot be asked."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadConfig(f"{message[:1].upper()}{message[1:]}.", f"See {self.prog} --help.")


def parse(arguments: Sequence[str]) -> AppConfig:
    """Flags over INPAINT_* over --config DIR over configs/."""
    parser = _Parser(prog="app.py", description="Starts the Inpaint web app.", allow_abbrev=False)
    parser.add_argument("--host", help="address to listen on (Gradio's own default and variables unless given)")
    parser.add_argument("--port", type=int, help="port (7860, or the next free one)")
    parser.add_argument("--share", action="store_const", const=True, help="make a public Gradio link; add --auth")
    parser.add_argument("--auth", metavar="USER:PASSWORD", help="ask for a login")
    parser.add_argument("--device", help="auto, cuda, mps or cpu")
    parser.add_argument("--dtype", help="auto, float16, bfloat16 or float32")
    parser.add_argument("--config", type=Path, metavar="DIR", help="settings of your own: app.toml, models/*.toml")
    parser.add_argument("--data-dir", metavar="DIR", help="where results and uploads are kept")
    parser.add_argument("--cache-dir", metavar="DIR", help="where downloaded weights lie (the hub library's own place unless given)")
    parser.add_argument("--log", choices=("text", "json"), help="form of the log on stderr (text)")
    options = vars(parser.parse_args(arguments))
    return load_config(options.pop("config"), options)


def launch(page: Page, config: AppConfig) -> None:
    """Serve until SIGTERM or Ctrl-C; then the running job has a moment to stop, and those who wait are told."""
    settings = config.settings
    if settings.share and settings.auth is None:
        print("Anyone who has the shared link can use this machine; --auth USER:PASSWORD asks for a login.", file=sys.stderr)
    told = told_to_stop()
    page.launch(prevent_thread_lock=True)
    told.wait()
    end_within(LAST_SECONDS)
    page.service.worker.stop(GRACE_SECONDS)
    wait_while(lambda: page.is_awaited, TELLING_SECONDS)
    page.close()
    end_shared_link()
    end()


def end_shared_link() -> None:
    """Gradio's program for it would outlive this one, as `end` leaves out what Gradio does at Python's end."""
    from gradio.tunneling import CURRENT_TUNNELS

    for tunnel in CURRENT_TUNNELS:
        tunnel.kill()


def end_within(seconds: float) -> None:
    """The last resort: no thread can be killed, and Gradio's close waits for a connection that stays open."""
    last = threading.Timer(seconds, end)
    last.daemon = True
    last.start()


def end() -> NoReturn:
    """At once. Python's own end would wait for threads (one that writes a large picture, or imports what a model needs), or crash
    under an engine that is silent within a step; what the app writes is whole at any moment."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def wait_while(true: Callable[[], bool], seconds: float) -> None:
    """At most so long."""
    last = time.monotonic() + seconds
    while true() and time.monotonic() < last:
        time.sleep(0.05)


def told_to_stop() -> threading.Event:
    """Set at the first SIGTERM or Ctrl-C; a second one ends the process at once."""
    told = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        if told.is_set():
            os._exit(128 + number)
        told.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return told


def is_zero_gpu() -> bool:
    """Whether this is a Space that is lent a GPU for each call, by the variable that the package `spaces` reads too."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def build_service(config: AppConfig) -> Service:
    """In a ZeroGPU Space the work is done in a process of its own, which inherits what was loaded here: on this thread, because
    the GPU that `spaces` makes believe in is there for the thread alone that imports it, before torch. Raises BadConfig."""
    journal = Journal(config.data_dir / "running")
    if not is_zero_gpu():
        return Service.build(config, journal)
    try:
        import spaces
    except ImportError:
        raise BadConfig("SPACES_ZERO_GPU is set, but the package spaces is not installed.") from None
    from gradio import Error

    service = Service.build(with_lent_gpu(config), journal, lambda models, pace: GpuProcess(models, spaces.GPU, Error, pace))
    service.bring_default()
    return service


def with_lent_gpu(config: AppConfig) -> AppConfig:
    """The driver that is asked for a device elsewhere is not there before a GPU is lent; what is set by hand stays."""
    settings = config.settings
    memory = settings.memory if settings.memory.budget_gb != "auto" else dataclasses.replace(settings.memory, budget_gb=LENT_GPU_GB)
    device = "cuda" if settings.device == "auto" else settings.device
    return dataclasses.replace(config, settings=dataclasses.replace(settings, device=device, memory=memory))


def main(arguments: Sequence[str]) -> tuple[Page, AppConfig]:
    """Build the page from flags; exits with one line where a setting is wrong."""
    try:
        config = parse(arguments)
        set_up_logging(config.settings.log)
        parse_auth(config.settings.auth)
        sweep(config.data_dir, time.time())
        page = build_page(build_service(config))
        page.service.housekeeper.sweep_soon()
        return page, config
    except InpaintError as error:
        sys.exit(f"inpaint: {error}")


if __name__ == "__main__":
    demo, app_config = main(sys.argv[1:])
    launch(demo, app_config)
else:
    demo, app_config = main([])
