"""Starts fill_process.py, sends it one request and receives its answer."""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import IO

import numpy as np
from numpy.typing import NDArray

from inpaint.core.progress import Progress, ProgressCallback
from inpaint.engines.erase import fill_process
from inpaint.errors import BadOutput, InpaintError, MachineError, OutOfMemory

log = logging.getLogger(__name__)
Pixels = NDArray[np.uint8]

LOOK_SECONDS = 0.1
"""Seconds between two reports, and so the longest that a cancel takes."""

INHERITED = frozenset(
    {
        "PATH",
        "HOME",
        "USERPROFILE",
        "APPDATA",
        "SYSTEMROOT",
        "SYSTEMDRIVE",
        "WINDIR",
        "TMPDIR",
        "TEMP",
        "TMP",
        "VIRTUAL_ENV",
        "LD_LIBRARY_PATH",
        "DYLD_LIBRARY_PATH",
        "DYLD_FALLBACK_LIBRARY_PATH",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "OMP_NUM_THREADS",
        "OMP_THREAD_LIMIT",
        "PYTHONHOME",
        "PYTHONPATH",
        "PYTHONPLATLIBDIR",
        "PYTHONUSERBASE",
        "PYTHONNOUSERSITE",
        "PYTHONUTF8",
        "PYTHONDONTWRITEBYTECODE",
    }
)
"""What the fill's process sees of the environment: where programs and packages lie. Neither secrets nor switches of Python's (PYTHONINSPECT
would make it wait for commands)."""

MOST_LOGGED = 20_000
"""The most characters of a failed process's stderr that are logged."""

NO_ROOM = ("The computer's memory is too small for this fill.", "Close other programs, or choose a smaller work area.")
ANOTHER_TRY = "Try another seed, or a slightly different mask."
PLEASE_REPORT = "This is a fault of Inpaint or of its installation, not of your picture: please report it with the log."


def fill(picture: Pixels, mask: Pixels, seed: int, patch_size: int, report: ProgressCallback) -> Pixels:
    """The picture with its masked pixels filled by PatchMatch.

    picture: uint8 [h, w, 3], as the result. mask: uint8 [h, w], 255 = fill. What `report` raises ends the process and is
    raised here. Raises OutOfMemory, BadOutput, MachineError.
    """
    request = io.BytesIO()
    np.savez(request, picture=picture, mask=mask, seed=seed, patch_size=patch_size)
    status, written, complaint = _exchange(request.getvalue(), report)
    if status:
        raise _as_error(status, complaint)
    return _received(written, picture.shape)


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The part of this process's environment that the fill's process gets. Windows writes names in any case."""
    return {name: value for name, value in environment.items() if name.upper() in INHERITED}


def _exchange(request: bytes, report: ProgressCallback) -> tuple[int, bytes, bytes]:
    """The exit status of the process, what it wrote to stdout, and to stderr.

    Each stream has a thread of its own: `Popen.communicate` with a timeout loses what it has not sent by then (CPython 3.11), and
    stdin has to stay open, since its end is how the process learns that this one is gone.
    """
    with _started() as process, ThreadPoolExecutor(3, "inpaint-fill") as pool:
        try:
            assert process.stdin and process.stdout and process.stderr
            pool.submit(_send, process.stdin, request)
            written, complaint = pool.submit(process.stdout.read), pool.submit(process.stderr.read)
            _wait_for((written, complaint), report)
            # Its streams are closed, so it is at its end; a kill now could overtake that and change the status.
            return process.wait(), written.result(), complaint.result()
        finally:
            process.kill()


def _started() -> subprocess.Popen[bytes]:
    """The process, started. Raises MachineError, or OutOfMemory, where the system starts none."""
    try:
        # -P: beside fill_process.py lie modules that would hide the packages it imports.
        return subprocess.Popen(
            [sys.executable, "-P", fill_process.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=child_environment(os.environ),
        )
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise OutOfMemory(*NO_ROOM) from error
        raise MachineError(f"The program that fills could not be started: {error.strerror}.", "Close other programs.") from error


def _send(stdin: IO[bytes], request: bytes) -> None:
    """Sends a request. A process that ends before it has read everything is not an error here: its status says why."""
    with contextlib.suppress(OSError, ValueError):
        stdin.write(len(request).to_bytes(fill_process.LENGTH_BYTES, "big") + request)
        stdin.flush()


def _wait_for(streams: tuple[Future[bytes], ...], report: ProgressCallback) -> None:
    """Waits until the process has closed both streams, and reports meanwhile, so that the fill can be cancelled."""
    pending: set[Future[bytes]] = set(streams)
    while pending:
        report(Progress("filling"))
        pending = wait(pending, LOOK_SECONDS).not_done


def _received(written: bytes, shape: tuple[int, ...]) -> Pixels:
    """The picture in an answer. Raises BadOutput where the answer is not whole."""
    _, found, answer = written.partition(fill_process.ANSWER)
    try:
        filled = np.load(io.BytesIO(answer)) if found else None
    except (ValueError, OSError, EOFError):
        filled = None
    if filled is None or filled.shape != shape or filled.dtype != np.uint8:
        log.error("a fill answered with %d bytes that are not a picture of %s", len(written), shape)
        raise BadOutput("The program that fills ended without a picture.", PLEASE_REPORT)
    return filled


def _as_error(status: int, complaint: bytes) -> InpaintError:
    """The error of a failed fill, for the person. What the process wrote goes to the log."""
    if status in (fill_process.NO_MEMORY, -getattr(signal, "SIGKILL", 9)):  # the system kills where memory runs out
        return OutOfMemory(*NO_ROOM)
    said = complaint.decode(errors="replace").strip()
    log.error("a fill ended with status %d: %s", status, said[-MOST_LOGGED:])
    if status < 0:
        return BadOutput(f"PatchMatch crashed while it filled ({_signal_name(-status)}).", ANOTHER_TRY)
    return MachineError(f"The program that fills failed: {said.splitlines()[-1] if said else f'exit status {status}'}.", PLEASE_REPORT)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
