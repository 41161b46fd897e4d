"""Turns any exception into the error that a person is shown."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from inpaint.errors import InpaintError, MachineError, OutOfMemory

BUG = (
    "Something went wrong inside the app; this is a bug, not your fault.",
    "The log has the details. Your picture and mask are untouched.",
)
NO_MEMORY = ("The computer's memory is too small for this edit.", "Close other programs, or choose a smaller work area.")
log = logging.getLogger(__name__)


def as_user_error(error: BaseException, task: str, log_fields: Mapping[str, object] | None = None) -> InpaintError:
    """Returns the error to show to a person for any exception.

    Our own errors are returned as they are, without their traceback, whose frames would keep the tensors of a failed run alive. Any other
    exception is a bug: it is logged with its traceback, and a general sentence is returned. task: what failed, for the log, such as
    "a download". log_fields: more fields of the log line (`extra=` of logging).
    """
    if isinstance(error, InpaintError):
        return error.with_traceback(None)
    if isinstance(error, MemoryError):
        return OutOfMemory(*NO_MEMORY)
    log.error("%s failed", task, exc_info=error, extra=log_fields)
    return MachineError(*BUG)
