"""Runs an edit from the Edit tab: starts it, follows it, shows its result, stops it, and finds it again after a reload."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
from collections.abc import AsyncIterator, Mapping
from typing import Any

import gradio as gr

from inpaint.core.progress import Progress
from inpaint.core.region import Region
from inpaint.core.request import EditRequest
from inpaint.errors import Busy, EmptyMask, InpaintError, InvalidRequest
from inpaint.jobs.user_error import as_user_error
from inpaint.saving import Saved
from inpaint.storage.uploads import read_picture
from inpaint.ui import words
from inpaint.ui.edit.context import NOT_RUNNING, PAINT_FIRST, EditContext, OpenEdit, Updates, Values, area_of
from inpaint.ui.edit.opening import Opening
from inpaint.ui.edit.readiness import Readiness
from inpaint.ui.edit.tab import OPEN_FIRST
from inpaint.ui.images import data_url_jpeg, data_url_png, preview_url
from inpaint.ui.runs.identity import account_of, person_of
from inpaint.ui.runs.session import Session
from inpaint.ui.runs.show import RunView, show_run


class Running:
    """Handlers of a run. Each public method answers one event. Generators yield updates until the run has ended."""

    def __init__(self, page: EditContext, readiness: Readiness, opening: Opening) -> None:
        self.page, self.readiness, self.opening = page, readiness, opening

    async def run(self, values: Values, request: gr.Request) -> AsyncIterator[Updates]:
        """Runs one edit and shows preview frames while it runs, then the result beside the original."""
        try:
            edit, form = await asyncio.to_thread(self._request, values)
            async for updates in self._run(edit, form, values[self.page.session], request):
                yield updates
        except Busy as error:  # two buttons were pressed at once: the first run is still shown, and can be stopped
            yield {self.page.tab.message: words.error_html(error)} if self.page.own_job(request) else self.page.failed(error)
        except Exception as error:
            yield self.page.failed(as_user_error(error, "an edit"))

    async def another(self, values: Values, request: gr.Request) -> AsyncIterator[Updates]:
        """Runs the form and the mask once more with a random seed. The seed that is typed in the form is ignored, and stays there."""
        async for updates in self.run({**values, self.page.tab.form.settings.widgets["seed"]: ""}, request):
            yield updates

    async def run_example(self, values: Values, request: gr.Request) -> AsyncIterator[Updates]:
        """Runs the example that was opened, so that one click gives a result."""
        example = self.page.examples.get(values[self.page.asked][0])
        if example is None:
            yield self.page.nothing()
            return
        try:
            prompt = example.shot.words.prompt if example.shot.words else ""
            spec = self.readiness.model_knowing(prompt)
            edit = self.page.service.edit_request(example.picture, example.mask, {"prompt": prompt, "model": spec.name})
            async for updates in self._run(edit, {}, values[self.page.session], request):
                yield updates
        except Exception as error:
            yield self.page.failed(as_user_error(error, "an edit"))

    def cancel(self, request: gr.Request) -> None:
        """Stops this page's job. The handler that follows the job updates the page."""
        job = self.page.own_job(request)
        if job is not None:
            job.cancel()

    def use_as_is(self, request: gr.Request) -> None:
        """Ends this page's job early and keeps the picture made so far."""
        job = self.page.own_job(request)
        if job is not None:
            job.keep()

    async def find_again(self, request: gr.Request) -> Updates:
        """Shows the picture and the mask of an edit that this person left running. Called when a page opens.

        The change of `found` then restores the form and follows the run.
        """
        run = await self.page.runs.wait_and_adopt(person_of(request), str(request.session_hash))
        try:
            if run is None:
                return self.page.nothing()
            return await asyncio.to_thread(self.opening.reopened, run) | {self.page.found: run.job.number}
        except InpaintError as error:
            return self.page.failed(error)

    async def follow_again(self, values: Values, request: gr.Request) -> AsyncIterator[Updates]:
        """Follows the run that was found again."""
        person, page_id = person_of(request), str(request.session_hash)
        run = self.page.runs.of(person, page_id)
        if run is None:
            yield self.page.nothing()
            return
        try:
            async for updates in self._followed(dataclasses.replace(run, session=values[self.page.session]), person, page_id):
                yield updates
        except Exception as error:
            yield self.page.failed(as_user_error(error, "finding an edit again"))

    def restore(self, values: Values, request: gr.Request) -> Updates:
        """Restores the prompt and settings of the run that was found again."""
        run = self.page.runs.of(person_of(request), str(request.session_hash))
        if run is None or not run.form:
            return {self.page.tab.message: gr.skip()}
        spec = self.page.service.models.spec(run.model, "inpaint")
        return self.page.tab.form.restore(
            spec, run.form, values[self.page.tab.form.chosen], run.form["box"], values[self.page.tab.form.prompt]
        )

    def _request(self, values: Values) -> tuple[EditRequest, Mapping[str, Any]]:
        """Returns the request from the widgets' current values, and these values. The job keeps the request and sees no later change."""
        session: Session = values[self.page.session]
        if not session.picture_id:
            raise InvalidRequest("image", OPEN_FIRST)
        painted = self.readiness.painted(values)
        if painted.mask is None:
            raise EmptyMask("Nothing is painted.", PAINT_FIRST)
        choice, missing = self.readiness.choice(values)
        if choice is None:
            raise missing or InvalidRequest("model", "No model was chosen.")
        picture = read_picture(session.upload(), self.page.service.config.settings.pictures)
        given = {"grow": painted.grow, "feather": painted.feather, **self.page.tab.form.read(choice.spec, values)}
        return self.page.service.edit_request(picture, painted.mask, given), given | {"box": values[self.page.tab.form.model]}

    async def _run(self, edit: EditRequest, form: Mapping[str, Any], session: Session, request: gr.Request) -> AsyncIterator[Updates]:
        plan = await asyncio.to_thread(self.page.service.plan, edit)
        person, page_id = person_of(request), str(request.session_hash)
        mask_url = await asyncio.to_thread(data_url_png, edit.mask.pixels)
        job = self.page.service.start_edit(edit, account_of(request), page_id, plan)
        run = OpenEdit(job, form, session, edit.model, edit.grow, edit.feather, mask_url, plan.region)
        self.page.runs.record(person, page_id, run)
        async for updates in self._followed(run, person, page_id):
            yield updates

    def _followed(self, run: OpenEdit, person: str, page_id: str) -> AsyncIterator[Updates]:
        """Yields progress while the job runs, then its result. Raises what the job ended with."""

        def progress(status: str, latest: Progress | None) -> Updates:
            return {self.page.tab.progress: gr.update(value=status)} | self._previewed(latest, run.region)

        view = RunView(self._started(run), progress, lambda saved: self._finished(saved, run.session))
        return show_run(self.page.runs, run, (person, page_id), self.page.service.worker, view)

    def _started(self, run: OpenEdit) -> Updates:
        spec = self.page.service.models.spec(run.model, "inpaint")
        return {
            self.page.tab.run: gr.update(visible=False),
            self.page.tab.cancel: gr.update(visible=True),
            self.page.tab.as_is: gr.update(visible=spec.early_stop and self.page.service.worker.executor.can_end_early),
            self.page.tab.progress: gr.update(visible=True, value=words.progress_html(None, 0, 0.0)),
            self.page.tab.message: "",
            self.page.tab.actions: gr.update(visible=False),
            self.page.tab.stage: gr.update(running={"active": True}, result={}, work_area=area_of(run.region.crop)),
        }

    def _previewed(self, progress: Progress | None, region: Region) -> Updates:
        if progress is None or progress.preview is None:
            return {}
        return {
            self.page.tab.stage: gr.update(
                preview={
                    "url": data_url_jpeg(progress.preview, quality=80),
                    "bounds": region.crop.as_list(),
                    "label": f"step {progress.step} of {progress.total}",
                }
            )
        }

    def _finished(self, saved: Saved, session: Session) -> Updates:
        """Returns updates that show a result. The worker has already saved it."""
        report = saved.report
        title = self.page.service.models.specs[report.model].title
        items = [
            {"url": preview_url(preview), "label": words.made_line(title, seed, report)}
            for preview, seed in zip(saved.previews, report.seeds, strict=True)
        ]
        line = report.check.sentence if report.check else ""
        shown = {"id": secrets.token_hex(8), "items": items, "line": line}
        kept = dataclasses.replace(session, results=tuple(map(str, saved.paths)), chosen=0)
        download = gr.update(value=str(saved.paths[0]) if saved.paths else None, interactive=bool(saved.paths))
        return self.page.idle() | {
            self.page.session: kept,
            self.page.tab.actions: gr.update(visible=True),
            self.page.tab.download: download,
            self.page.tab.run: gr.update(value="Run again", visible=True),
            self.page.tab.message: words.notice_html(report.notices) + words.downloads_html(report.downloads),
            self.page.tab.stage: gr.update(result=shown, work_area={}, **NOT_RUNNING),
        }
