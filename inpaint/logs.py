"""How the app logs: one line an event, as text or as JSON, with the job's number. Prompts are never logged."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Literal

LogForm = Literal["text", "json"]
FIELDS = ("job", "model", "extent", "state", "seconds", "error", "reason")
"""What an event may carry besides its sentence (`extra=` of logging). error, reason: the kind of an error and its sentence."""


class JsonLines(logging.Formatter):
    """One JSON object a line; times in UTC."""

    def format(self, record: logging.LogRecord) -> str:
        event: dict[str, object] = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
                                    "level": record.levelname.lower(), "from": record.name, "event": record.getMessage()}
        event |= _fields(record)
        if record.exc_info:
            event["traceback"] = self.formatException(record.exc_info)
        return json.dumps(event)


class TextLines(logging.Formatter):
    """For a person's terminal."""

    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{name}={_quoted(str(value))}" for name, value in _fields(record).items())
        line = f"{time.strftime('%H:%M:%S', time.localtime(record.created))} {record.getMessage()} {fields}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def set_up_logging(form: LogForm) -> None:
    """Send what the app says to stderr. Called once, by app.py."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logger = logging.getLogger("inpaint")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}


def _quoted(value: str) -> str:
    return f'"{value}"' if " " in value else value
