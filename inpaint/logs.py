"""How the app logs: one line an event, as text or JSON, with the job's number. Prompts are never logged."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Literal

LogForm = Literal["text", "json"]
LOG_BYTES = 1_000_000
"""Size at which the command line's log is rotated. One older file is kept."""

FIELDS = ("job", "model", "extent", "state", "seconds", "error", "reason", "user", "address")
"""Fields that an event may have besides its sentence (`extra=` of logging). error: the class of an error. reason: its sentence."""


class JsonLines(logging.Formatter):
    """Formats an event as one JSON object a line, with times in UTC."""

    def format(self, record: logging.LogRecord) -> str:
        event: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname.lower(),
            "from": record.name,
            "event": record.getMessage(),
        }
        event |= _fields(record)
        if record.exc_info:
            event["traceback"] = self.formatException(record.exc_info)
        return json.dumps(event)


class TextLines(logging.Formatter):
    """Formats an event as a line for a person's terminal."""

    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{name}={_quoted(str(value))}" for name, value in _fields(record).items())
        line = f"{time.strftime('%H:%M:%S', time.localtime(record.created))} {record.getMessage()} {fields}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def set_up_logging(form: LogForm) -> None:
    """Sends the app's log to stderr. Called once, by the server."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logger = logging.getLogger("inpaint")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


def log_errors_to(path: Path) -> None:
    """Appends errors with their tracebacks to a file, which is created at the first error. Called once, by the command line.

    stderr stays free for the one line that a command prints. If the file cannot be written, only the log is lost.
    """
    logger = logging.getLogger("inpaint")
    logger.handlers[:] = [_ErrorFile(path)]
    logger.propagate = False


def written_log() -> Path | None:
    """Returns the file that `log_errors_to` named if an error has been written to it, else None."""
    files = (handler for handler in logging.getLogger("inpaint").handlers if isinstance(handler, _ErrorFile))
    return next((Path(file.baseFilename) for file in files if file.stream is not None), None)


class _ErrorFile(RotatingFileHandler):
    """A log file that creates itself and its folder when there is something to write."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8", errors="backslashreplace", delay=True)
        self.setLevel(logging.ERROR)
        self.setFormatter(TextLines())

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError):
            Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True)
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Does nothing: if the log cannot be written, there is no other place to report it."""


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}


def _quoted(value: str) -> str:
    return f'"{value}"' if " " in value else value
