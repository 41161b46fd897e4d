"""Serves the page until the process is told to stop, then stops jobs and sends last answers. Knows no layers of settings."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from inpaint.console import let_streams_fail
from inpaint.errors import AddressTaken
from inpaint.ui.page import Page
from inpaint.ui.security.connections import raise_open_files
from inpaint.ui.security.hosts import exposure

GRACE_SECONDS, TELLING_SECONDS, LAST_SECONDS = 4.0, 4.0, 9.0
"""Times after SIGTERM: how long a running job may take to stop, how long last answers and results may take, and when the process ends
in any case. Containers are killed after ten seconds."""


SLICE_SECONDS = 0.5
"""How often the main thread wakes up. On Windows it does not see Ctrl-C while it waits without a timeout."""


def launch(page: Page) -> NoReturn:
    """Serves until SIGTERM or Ctrl-C. Then the running job gets a moment to stop, and waiting callers get an answer. Raises
    AddressTaken.
    """
    let_streams_fail()
    settings = page.service.config.settings
    if reached_by := exposure(settings, os.environ):
        print(
            f"inpaint: WARNING: EVERYBODY who reaches this server by {reached_by} can use this machine, without a login. "
            "--auth USER:PASSWORD asks for one.",
            file=sys.stderr,
            flush=True,
        )
    stop = stop_signal()
    raise_open_files()
    try:
        page.launch(prevent_thread_lock=True)
    except OSError as error:
        raise AddressTaken(f"The server could not be started: {error}.", "Choose another address with --host and --port.") from None
    sys.stdout.flush()  # shows the address that Gradio printed, which a pipe, such as a container's log, would hold back
    while not stop.wait(SLICE_SECONDS):
        pass
    end_within(LAST_SECONDS)
    page.service.worker.stop(GRACE_SECONDS)
    wait_while(lambda: page.is_awaited, TELLING_SECONDS)
    page.close()
    end_shared_link()
    end()


def end_shared_link() -> None:
    """Stops Gradio's program for the share link. It would outlive this process, since `end` skips Gradio's own cleanup."""
    from gradio.tunneling import CURRENT_TUNNELS

    for tunnel in CURRENT_TUNNELS:
        tunnel.kill()


def end_within(seconds: float) -> None:
    """Ends the process after some seconds in any case. Threads cannot be killed, and Gradio's close waits for open connections."""
    last = threading.Timer(seconds, end)
    last.daemon = True
    last.start()


def end() -> NoReturn:
    """Ends the process at once, without Python's own cleanup.

    Python would wait for threads, such as one that writes a large picture or imports a model's code, or crash in an engine
    that is busy within a step. Files are complete at any moment, so nothing is lost.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # the stream is closed, or its disk is full
            stream.flush()
    os._exit(0)


def wait_while(true: Callable[[], bool], seconds: float) -> None:
    """Waits while `true` returns True, but at most `seconds`."""
    last = time.monotonic() + seconds
    while true() and time.monotonic() < last:
        time.sleep(0.05)


def stop_signal() -> threading.Event:
    """Returns an event that the first SIGTERM or Ctrl-C sets. A second one ends the process at once."""
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    return stop
