"""Follows a job from an async handler. Knows no widgets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, TypeVar

from gradio.context import LocalContext
from gradio.queueing import Event

from inpaint.jobs.job import Job
from inpaint.jobs.worker import Worker
from inpaint.ui import words

Result = TypeVar("Result")

POLL_SECONDS = 0.15
"""Between looks at a job: quick enough for preview frames, slow enough to cost nothing."""

RELOAD_SECONDS = 20.0
"""How long the server may take to notice that a page was closed; until then its job looks watched."""


async def follow(job: Job[Result]) -> AsyncGenerator[Job[Result]]:
    """Yield the job whenever it is time to look, until it has finished.

    Leaving early (a closed tab) leaves the job alone: whoever comes back in time finds it, else it ends by itself.
    """
    with job.watched():
        while not job.is_finished:
            yield job
            await asyncio.sleep(POLL_SECONDS)


def status_html(worker: Worker, job: Job[Any]) -> str:
    """Returns where a job stands, as HTML."""
    return words.progress_html(job.progress, worker.place(job), job.seconds, worker.seconds_left(job), job.ending)


async def until_listened(job: Job[Any]) -> None:
    """Until the caller of the event that is handled here has opened its stream of answers, or the job has ended.

    Nobody watches the job meanwhile: a caller that never listens is one that has gone.
    """
    while not job.is_finished and not _has_listened():
        await asyncio.sleep(POLL_SECONDS)


def is_listening() -> bool:
    """Whether the caller still waits. Gradio marks an event once its stream of answers is closed, not before one was opened."""
    event = _event()
    return event is None or event.alive


def _has_listened() -> bool:
    """Gradio lays a first message into the session's line before it calls a handler, and only a stream takes messages out."""
    blocks, event = LocalContext.blocks.get(None), _event()
    if blocks is None or event is None:
        return True
    line = blocks._queue.pending_messages_per_session.get(event.session_hash)  # pyright: ignore[reportPrivateUsage]
    return line is not None and line.empty()


def _event() -> Event | None:
    """The event that is handled here; None outside Gradio's queue."""
    blocks = LocalContext.blocks.get(None)
    if blocks is None:
        return None
    return blocks._queue.event_ids_to_events.get(LocalContext.event_id.get(None) or "")  # pyright: ignore[reportPrivateUsage]
