"""Pictures in the making: what the Generate tab shows while one is made, when it is there, and when a page comes back for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from inpaint.core.result import EditResult
from inpaint.core.spec import Task
from inpaint.errors import Busy
from inpaint.jobs.worker import Job, told
from inpaint.saving import keep_generated
from inpaint.service import notices_of
from inpaint.ui import words
from inpaint.ui.generate.chain import Chain
from inpaint.ui.generate.chain_handlers import ChainHandlers
from inpaint.ui.runs.identity import Desk, Desks, account_of, person_of
from inpaint.ui.runs.poll import follow, told_of
from inpaint.ui.runs.updates import Telling
from inpaint.ui.stage.stage import data_url_jpeg

Updates = dict[Any, Any]


@dataclass(frozen=True, eq=False)
class MakingDesk(Desk):
    """A picture that is being made. chain, shown: what was there when it was started. made, name: of the new pictures."""

    task: Task
    chain: Chain
    shown: int
    made: str
    name: str


class Bench:
    """found: state; the number of a job that was found again, so that its words are put back once."""

    def __init__(self, chain: ChainHandlers) -> None:
        self.chain, self.tab, self.service = chain, chain.tab, chain.service
        self.found = gr.State(0)
        self.desks: Desks[MakingDesk] = chain.desks

    def view(self) -> list[Any]:
        """What a run may change."""
        tab = self.tab
        reasons = [making.reason for making in (tab.generate, tab.reimagine) if making]
        return [*self.chain.view(), *tab.runs(), *reasons, tab.preview, tab.as_is, tab.cancel, tab.progress]

    async def make(self, start: Callable[[str, str], MakingDesk], reason: gr.HTML, request: gr.Request) -> AsyncIterator[Updates]:
        """start: queues the job, given account and seat. reason: where it is told why nothing was made."""
        person, seat = person_of(request), str(request.session_hash)
        try:
            desk = await asyncio.to_thread(start, account_of(request), seat)
            self.desks.leave(person, seat, desk)
            async for updates in self._followed(desk, person, seat, {reason: ""}):
                yield updates
        except Busy as error:  # two buttons pressed at once: the run that came first is still shown, and can be stopped
            idle = {} if self.desks.unfinished(person, seat) else self._busy(False)
            yield idle | {reason: words.error_html(error)}
        except Exception as error:
            yield self._busy(False) | {reason: words.error_html(told(error, "making a picture"))}

    def cancel(self, request: gr.Request) -> None:
        """Stop this page's job; the handler that follows it tells the page."""
        if job := self._own_job(request):
            job.cancel()

    def use_as_is(self, request: gr.Request) -> None:
        """End this page's job early and show what is there."""
        if job := self._own_job(request):
            job.keep()

    async def find_again(self, request: gr.Request) -> Updates:
        """The page was opened: the chain of a picture that this person left being made. `found` then brings the rest."""
        desk = await self.desks.left_alone(person_of(request), str(request.session_hash))
        if desk is None:
            return {self.tab.message: gr.skip()}
        opened = self.chain.restored(desk.chain, desk.shown)
        return opened | {self.found: desk.job.number, self.chain.tabs: gr.Tabs(selected="generate")}

    async def follow_again(self, request: gr.Request) -> AsyncIterator[Updates]:
        """Watch the run that was found again."""
        person, seat = person_of(request), str(request.session_hash)
        desk = self.desks.of(person, seat)
        if desk is None:
            yield {self.tab.message: gr.skip()}
            return
        try:
            async for updates in self._followed(desk, person, seat, {}):
                yield updates
        except Exception as error:
            yield self._busy(False) | {self.tab.message: words.error_html(told(error, "finding a picture again"))}

    def desk_of(self, request: gr.Request, task: Task) -> Mapping[str, Any] | None:
        """What the form said of this page's run, if it is of that task."""
        desk = self.desks.of(person_of(request), str(request.session_hash))
        return desk.form if desk is not None and desk.task == task else None

    def _own_job(self, request: gr.Request) -> Job[Any] | None:
        person, seat = person_of(request), str(request.session_hash)
        return self.desks.unfinished(person, seat) or self.service.worker.current(account_of(request), seat)

    async def _followed(self, desk: MakingDesk, person: str, seat: str, started: Updates) -> AsyncIterator[Updates]:
        """started: what else changes now."""
        telling = Telling()
        with desk.job.watched():  # from end to end: between its last look and its result another page would take it for left
            yield telling(self._busy(True) | self._early(desk) | started)
            async for running in follow(desk.job):
                sentence, preview = told_of(self.service.worker, running), running.progress.preview if running.progress else None
                if telling.is_news(sentence, preview):
                    frame = {} if preview is None else {self.tab.preview: words.preview_html(data_url_jpeg(preview, quality=80))}
                    yield telling({self.tab.progress: gr.update(value=sentence)} | frame)
            if desk.job.error is not None:
                self.desks.clear(person, seat)
            yield telling(self._busy(False) | await asyncio.to_thread(self._finished, desk, desk.job.outcome()))
            self.desks.clear(person, seat)

    def _finished(self, desk: MakingDesk, result: EditResult) -> Updates:
        """Kept first, then shown. A chain holds files on disk; what the disk did not take can only be downloaded."""
        outcome = keep_generated(self.service, desk.name, result)
        told = words.notice_html(notices_of(outcome.report)) + words.downloads_html(outcome.downloads)
        if not outcome.paths:
            return {self.tab.message: told}
        title = self.service.models.specs[result.model].title
        lines = [words.made_line(title, candidate.seed, outcome.report) for candidate in result.candidates]
        return self.chain.grown(desk.chain, outcome.paths, desk.made, lines) | {self.tab.message: told}

    def _early(self, desk: MakingDesk) -> Updates:
        """Whether the run can be ended with the picture of that moment."""
        spec = self.service.models.spec(desk.form["model"], desk.task)
        return {self.tab.as_is: gr.update(visible=spec.early_stop and self.service.worker.executor.can_end_early)}

    def _busy(self, busy: bool) -> Updates:
        runs = {button: gr.update(visible=not busy) for button in self.tab.runs()}
        return {**runs, self.tab.cancel: gr.update(visible=busy), self.tab.as_is: gr.update(visible=False), self.tab.preview: "",
                self.tab.message: "",
                self.tab.progress: gr.update(visible=busy, value=words.progress_html(None, 0, 0.0))}
