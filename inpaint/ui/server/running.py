"""Serves the page until the process is told to stop, and then ends in order: jobs stop, those who wait are told. Knows no settings' layers."""

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
"""After SIGTERM: how long a running job may take to stop, how long answers may take to get out (a sentence, a result on its way to
the disk), and when the process ends, whatever it does then. Containers are killed after ten."""


SLICE_SECONDS = 0.5
"""How often the main thread wakes up: on Windows it does not see Ctrl-C while it waits without an end."""


def launch(page: Page) -> NoReturn:
    """Serve until SIGTERM or Ctrl-C; then the running job has a moment to stop, and those who wait are told. Raises AddressTaken."""
    let_streams_fail()
    settings = page.service.config.settings
    if way := exposure(settings, os.environ):
        print(
            f"inpaint: WARNING: EVERYBODY who reaches this server by {way} can use this machine, without a login. "
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
    sys.stdout.flush()  # the address that Gradio printed: in a pipe, as of a container's log, it would wait for more
    while not stop.wait(SLICE_SECONDS):
        pass
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
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # closed, or on a full disk: nobody reads it then
            stream.flush()
    os._exit(0)


def wait_while(true: Callable[[], bool], seconds: float) -> None:
    """At most so long."""
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
