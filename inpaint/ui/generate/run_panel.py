"""What the Generate tab shows while a picture is made, when it is finished, and when a page comes back to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from inpaint.core.progress import Progress
from inpaint.core.spec import Task
from inpaint.errors import Busy
from inpaint.jobs.job import Job
from inpaint.jobs.user_error import as_user_error
from inpaint.saving import Saved
from inpaint.ui import words
from inpaint.ui.generate.chain import Chain
from inpaint.ui.generate.chain_handlers import ChainHandlers
from inpaint.ui.images import data_url_jpeg
from inpaint.ui.runs.identity import account_of, person_of
from inpaint.ui.runs.resume import OpenRun, OpenRuns
from inpaint.ui.runs.show import RunView, show_run

Updates = dict[Any, Any]


@dataclass(frozen=True, eq=False)
class OpenGeneration(OpenRun):
    """A picture that is being made.

    chain, shown: the chain and its shown picture when the run was started. made: how the picture is made, in words.
    """

    task: Task
    chain: Chain
    shown: int
    made: str


class RunPanel:
    """Starts, follows and stops the runs of the Generate tab.

    found: state with the number of a run that was found again, so that its form is restored once.
    """

    def __init__(self, chain: ChainHandlers) -> None:
        self.chain, self.tab, self.service = chain, chain.tab, chain.service
        self.found = gr.State(0)
        self.runs: OpenRuns[OpenGeneration] = chain.runs

    def view(self) -> list[Any]:
        """Returns the widgets and states that a run may change."""
        tab = self.tab
        reasons = [making.reason for making in (tab.generate, tab.reimagine) if making]
        return [*self.chain.view(), *tab.runs(), *reasons, tab.preview, tab.as_is, tab.cancel, tab.progress]

    async def make(self, start: Callable[[str, str], OpenGeneration], reason: gr.HTML, request: gr.Request) -> AsyncIterator[Updates]:
        """Starts a run and yields updates until it has ended.

        start: queues the job; it gets account and page_id. reason: the widget that shows why nothing was made.
        """
        person, page_id = person_of(request), str(request.session_hash)
        try:
            run = await asyncio.to_thread(start, account_of(request), page_id)
            self.runs.record(person, page_id, run)
            async for updates in self._followed(run, person, page_id, {reason: ""}):
                yield updates
        except Busy as error:  # two buttons were pressed at once: the first run is still shown, and can be stopped
            idle = {} if self.runs.unfinished(person, page_id) else self._busy(False)
            yield idle | {reason: words.error_html(error)}
        except Exception as error:
            yield self._busy(False) | {reason: words.error_html(as_user_error(error, "making a picture"))}

    def cancel(self, request: gr.Request) -> None:
        """Stops this page's job. The handler that follows the job updates the page."""
        if job := self._own_job(request):
            job.cancel()

    def use_as_is(self, request: gr.Request) -> None:
        """Ends this page's job early and keeps the picture made so far."""
        if job := self._own_job(request):
            job.keep()

    async def find_again(self, request: gr.Request) -> Updates:
        """Shows the chain of a picture that this person left being made. Called when a page opens.

        The change of `found` then restores the form and follows the run.
        """
        run = await self.runs.wait_and_adopt(person_of(request), str(request.session_hash))
        if run is None:
            return {self.tab.message: gr.skip()}
        opened = self.chain.restored(run.chain, run.shown)
        return opened | {self.found: run.job.number, self.chain.tabs: gr.Tabs(selected="generate")}

    async def follow_again(self, request: gr.Request) -> AsyncIterator[Updates]:
        """Follows the run that was found again."""
        person, page_id = person_of(request), str(request.session_hash)
        run = self.runs.of(person, page_id)
        if run is None:
            yield {self.tab.message: gr.skip()}
            return
        try:
            async for updates in self._followed(run, person, page_id, {}):
                yield updates
        except Exception as error:
            yield self._busy(False) | {self.tab.message: words.error_html(as_user_error(error, "finding a picture again"))}

    def form_of(self, request: gr.Request, task: Task) -> Mapping[str, Any] | None:
        """Returns the form's values when this page's run was started, if the run is of that task; else None."""
        run = self.runs.of(person_of(request), str(request.session_hash))
        return run.form if run is not None and run.task == task else None

    def _own_job(self, request: gr.Request) -> Job[Any] | None:
        person, page_id = person_of(request), str(request.session_hash)
        return self.runs.unfinished(person, page_id) or self.service.worker.current(account_of(request), page_id)

    def _followed(self, run: OpenGeneration, person: str, page_id: str, started: Updates) -> AsyncIterator[Updates]:
        """Yields progress while the job runs, then its pictures. Raises what the job ended with. started: updates to add to the
        first answer.
        """

        def progress(status: str, latest: Progress | None) -> Updates:
            preview = latest.preview if latest else None
            frame = {} if preview is None else {self.tab.preview: words.preview_html(data_url_jpeg(preview, quality=80))}
            return {self.tab.progress: gr.update(value=status)} | frame

        view = RunView(
            self._busy(True) | self._early(run) | started, progress, lambda saved: self._busy(False) | self._finished(run, saved)
        )
        return show_run(self.runs, run, (person, page_id), self.service.worker, view)

    def _finished(self, run: OpenGeneration, saved: Saved) -> Updates:
        """Returns updates that show pictures which the worker has saved.

        The chain holds files on disk. Pictures that the disk did not take can only be downloaded.
        """
        report = saved.report
        message = words.notice_html(report.notices) + words.downloads_html(report.downloads)
        if not saved.paths:
            return {self.tab.message: message}
        title = self.service.models.specs[report.model].title
        lines = [words.made_line(title, seed, report) for seed in report.seeds]
        return self.chain.grown(run.chain, saved.paths, run.made, lines) | {self.tab.message: message}

    def _early(self, run: OpenGeneration) -> Updates:
        """Returns an update that shows the button for ending early if this run can be ended that way."""
        spec = self.service.models.spec(run.form["model"], run.task)
        return {self.tab.as_is: gr.update(visible=spec.early_stop and self.service.worker.executor.can_end_early)}

    def _busy(self, busy: bool) -> Updates:
        runs = {button: gr.update(visible=not busy) for button in self.tab.runs()}
        return {
            **runs,
            self.tab.cancel: gr.update(visible=busy),
            self.tab.as_is: gr.update(visible=False),
            self.tab.preview: "",
            self.tab.message: "",
            self.tab.progress: gr.update(visible=busy, value=words.progress_html(None, 0, 0.0)),
        }
