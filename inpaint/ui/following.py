"""Watching a job from an async handler. Knows no widgets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TypeVar

from gradio.context import LocalContext

from inpaint.jobs import Job

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


def is_listening() -> bool:
    """Whether the caller of the event that is handled here still waits. Gradio marks an event once its stream of answers is closed."""
    blocks = LocalContext.blocks.get(None)
    if blocks is None:
        return True
    event = blocks._queue.event_ids_to_events.get(LocalContext.event_id.get(None) or "")  # pyright: ignore[reportPrivateUsage]
    return event is None or event.alive
