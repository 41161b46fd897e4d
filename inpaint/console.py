"""The terminal, or a file or pipe in its place: output, messages and progress bars of the command line. Knows no commands and no
models.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from inpaint.errors import StorageFull

if TYPE_CHECKING:
    from inpaint.hub.transfer import Transfer
    from inpaint.jobs.job import Job

Result = TypeVar("Result")

PATIENCE_SECONDS = 10
"""How long a cancelled job may take to stop before the process exits anyway. No file is left half-written in either case."""

SHOWABLE = "inpaint-showable"
"""Name under which `_as_bytes_or_escaped` is registered as an encoding error handler."""


def claim_streams() -> None:
    """Makes stdin, stdout and stderr usable in every case. Called once, before anything is opened or printed.

    A closed descriptor is opened on the null device. Otherwise the next opened file, such as a result, would get its number
    and receive what a library prints. A non-blocking pipe, which some programs leave behind, is set to block, as print
    expects. Characters that the encoding cannot show are escaped.
    """
    for descriptor in range(3):
        _hold_open(descriptor)
    codecs.register_error(SHOWABLE, _as_bytes_or_escaped)
    # Python sets a closed stream to None, which libraries do not expect.
    sys.stdout, sys.stderr = sys.stdout or _nowhere(), sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=SHOWABLE)
            with contextlib.suppress(OSError):
                os.set_blocking(stream.fileno(), True)


class Lenient(io.TextIOWrapper):
    """A stream that drops what cannot be written, as on a full disk, instead of raising OSError. It writes again once there is room."""

    def write(self, text: str, /) -> int:
        with contextlib.suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            super().flush()


def let_streams_fail() -> None:
    """Makes stdout and stderr drop what cannot be written. The server calls it, because it must keep serving when nobody can
    read its output.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream = Lenient(
                stream.buffer, stream.encoding, stream.errors, line_buffering=stream.line_buffering, write_through=stream.write_through
            )
            setattr(sys, name, stream)


def _nowhere() -> TextIO:
    return io.TextIOWrapper(io.FileIO(os.devnull, "w"), encoding="utf-8", write_through=True)


def _hold_open(descriptor: int) -> None:
    try:
        os.fstat(descriptor)
    except OSError:
        # The system assigns the lowest free number, and all lower ones are open by now.
        os.open(os.devnull, os.O_RDWR)


def _as_bytes_or_escaped(error: UnicodeError) -> tuple[str | bytes, int]:
    """Error handler for encoding. A file name may contain any bytes, which Python holds as lone surrogates; these come out as
    the original bytes.

    Everything else that cannot be encoded is escaped, as `backslashreplace` does.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    first = error.object[error.start]
    if "\udc80" <= first <= "\udcff":
        return bytes([ord(first) - 0xDC00]), error.start + 1
    return first.encode("ascii", "backslashreplace").decode("ascii"), error.start + 1


def print_output(text: str) -> None:
    """Prints output. It ignores a reader that has gone away. Raises StorageFull if the disk behind a redirection refuses the text."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        _drop(sys.stdout)
    except OSError as error:
        _drop(sys.stdout)
        raise StorageFull(f"The report could not be written: {error.strerror}.") from error


def print_message(line: str) -> None:
    """Prints one line to stderr. If stderr is closed the line is dropped, because print would write it to stdout."""
    if sys.stderr is not None:
        try:
            print(line, file=sys.stderr, flush=True)
        except OSError:
            _drop(sys.stderr)


def _drop(stream: TextIO) -> None:
    """Connects a stream to the null device. What could not be written stays in its buffer, and Python would fail again at exit,
    with code 120.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextlib.contextmanager
def quiet_libraries() -> Generator[None]:
    """Silences the process's stderr for a while. libtiff writes its own lines there, where the contract allows exactly one line
    of this app.
    """
    if sys.stderr is None:
        yield
        return
    sys.stderr.flush()
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def watched(job: Job[Result]) -> Result:
    """Waits for a job, with a progress bar on a terminal, and returns its result. Ctrl-C cancels the job and waits for it to stop."""
    try:
        _wait_with_a_bar(job)
    except KeyboardInterrupt:  # also while tqdm is imported: a job that ran on would crash Python's own end
        job.cancel()
        job.wait(PATIENCE_SECONDS)
        raise
    return job.outcome()


def _wait_with_a_bar(job: Job[Any]) -> None:
    from tqdm import tqdm

    with tqdm(disable=None if sys.stderr else True, leave=False, bar_format="{desc} {bar} {n_fmt}/{total_fmt} {elapsed}") as bar:
        while not job.wait(0.1):
            _draw(bar, job)


def _draw(bar: Any, job: Job[Any]) -> None:
    if job.progress is None:
        return
    bar.set_description_str(job.progress.stage, refresh=False)
    bar.total, bar.n = job.progress.total or 1, job.progress.step
    bar.refresh()


class PercentLines:
    """Reports a download's progress where no bar can be drawn: one line at every five percent."""

    def __init__(self) -> None:
        self._printed = 0

    def __call__(self, transfer: Transfer) -> None:
        from inpaint.hub.order import size_text

        twentieth = 20 * transfer.done_bytes // max(transfer.all_bytes, 1)
        if twentieth > self._printed:
            self._printed = twentieth
            print_message(f"inpaint: {size_text(transfer.done_bytes)} of {size_text(transfer.all_bytes)} ({5 * twentieth} %)")


@contextlib.contextmanager
def byte_bar(otherwise: Callable[[Transfer], None]) -> Generator[Callable[[Transfer], None]]:
    """Yields a function that draws a transfer as a progress bar. otherwise: yielded instead if there is no terminal to draw on."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield otherwise
        return
    from tqdm import tqdm

    with tqdm(total=None, unit="B", unit_scale=True, leave=False) as bar:

        def draw(transfer: Transfer) -> None:
            bar.set_description_str(transfer.file[-40:], refresh=False)
            bar.total = transfer.all_bytes
            bar.update(transfer.done_bytes - bar.n)

        yield draw
