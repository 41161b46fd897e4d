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
"""Seconds between looks at a job: short enough for preview frames, long enough to cost nothing."""

RELOAD_SECONDS = 20.0
"""How long the server may take to notice that a page was closed. Until then its job counts as watched."""


async def follow(job: Job[Result]) -> AsyncGenerator[Job[Result]]:
    """Yields the job at regular intervals until it has finished.

    Leaving early, as when a tab is closed, does not stop the job. A page that comes back in time finds it; otherwise the job
    is cancelled.
    """
    with job.watched():
        while not job.is_finished:
            yield job
            await asyncio.sleep(POLL_SECONDS)


def status_html(worker: Worker, job: Job[Any]) -> str:
    """Returns where a job stands, as HTML."""
    return words.progress_html(job.progress, worker.place(job), job.seconds, worker.seconds_left(job), job.ending)


async def until_listened(job: Job[Any]) -> None:
    """Waits until the caller of the current event has opened its stream of answers, or the job has ended.

    The job does not count as watched meanwhile, so that it is abandoned if the caller never listens.
    """
    while not job.is_finished and not _has_listened():
        await asyncio.sleep(POLL_SECONDS)


def is_listening() -> bool:
    """Returns whether the caller still waits. Gradio marks an event when its open stream of answers is closed, but not if none
    was opened.
    """
    event = _event()
    return event is None or event.alive


def _has_listened() -> bool:
    """Returns whether the caller has read a message. Gradio queues a first message before it calls a handler, and only a stream
    takes it out.
    """
    blocks, event = LocalContext.blocks.get(None), _event()
    if blocks is None or event is None:
        return True
    line = blocks._queue.pending_messages_per_session.get(event.session_hash)  # pyright: ignore[reportPrivateUsage]
    return line is not None and line.empty()


def _event() -> Event | None:
    """Returns the event that is being handled, or None outside Gradio's queue."""
    blocks = LocalContext.blocks.get(None)
    if blocks is None:
        return None
    return blocks._queue.event_ids_to_events.get(LocalContext.event_id.get(None) or "")  # pyright: ignore[reportPrivateUsage]
