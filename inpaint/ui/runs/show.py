"""Shows a run on its page, from its start to its result. Knows no widgets: what is shown comes from the tab that runs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from inpaint.core.progress import Progress
from inpaint.jobs.worker import Worker
from inpaint.saving import Saved
from inpaint.ui.runs.poll import follow, status_html
from inpaint.ui.runs.resume import OpenRun, OpenRuns, PageKey
from inpaint.ui.runs.updates import RepeatedUpdates

Updates = dict[Any, Any]
R = TypeVar("R", bound=OpenRun)


@dataclass(frozen=True)
class RunView:
    """What a tab shows of one run. started: updates of the first answer. progress: updates for a status (HTML) and the engine's latest
    report. finished: updates for the saved result; called on a thread of its own.
    """

    started: Updates
    progress: Callable[[str, Progress | None], Updates]
    finished: Callable[[Saved], Updates]


async def show_run(runs: OpenRuns[R], run: R, page: PageKey, worker: Worker, view: RunView) -> AsyncGenerator[Updates]:
    """Yields updates while the job runs, then those of its result. Raises what the job ended with.

    page: whose run it is. The run is forgotten once its result or error was shown.
    """
    repeated = RepeatedUpdates()
    with run.job.watched():  # until the result is shown, since another page of this person would otherwise adopt the run
        yield repeated(view.started)
        async for running in follow(run.job):
            sentence, progress = status_html(worker, running), running.progress
            if repeated.is_news(sentence, progress.preview if progress else None):
                yield repeated(view.progress(sentence, progress))
        if run.job.error is not None:
            runs.forget(*page)
        yield repeated(await asyncio.to_thread(view.finished, run.job.outcome()))
        runs.forget(*page)
