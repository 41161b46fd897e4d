"""The Edit tab's events: the one place where its widgets, the jobs and the storage meet. Knows no engine's insides."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component

from inpaint.core.composite import blending_mask
from inpaint.core.geometry import Bounds
from inpaint.core.picture import Picture
from inpaint.core.region import Region, plan_region
from inpaint.core.request import EditRequest, clean_prompt
from inpaint.core.result import EditResult
from inpaint.engines.registry import Choice
from inpaint.errors import EmptyMask, InpaintError, InvalidRequest
from inpaint.jobs import Job, told
from inpaint.service import Service, band_line, save_edit
from inpaint.storage.results import new_results
from inpaint.storage.uploads import Upload, read_picture
from inpaint.ui import words
from inpaint.ui.edit_tab import AUTOMATIC, OPEN_FIRST, EditTab
from inpaint.ui.examples import Example
from inpaint.ui.following import POLL_SECONDS, RELOAD_SECONDS, follow
from inpaint.ui.people import Desk, Desks, person_of
from inpaint.ui.session import Session
from inpaint.ui.stage.stage import StageValue, data_url_jpeg, data_url_png, make_proxy, read_stage

Updates = dict[Any, Any]
Values = Mapping[Component, Any]

PAINT_FIRST = "Paint the part to change first."
RUNNING = "Picture and mask stay as they are meanwhile."
UNFINISHED_STAGE: Mapping[str, Any] = {"running": {}, "preview": {}}


class EditHandlers:
    """Holds the parts; each public method answers one event with updates by widget."""

    def __init__(self, service: Service, tab: EditTab, session: gr.State, shown: gr.State, chosen: gr.State,
                 chip: gr.HTML, examples: Mapping[str, Example]) -> None:
        self.service, self.tab, self.session, self.chip, self.examples = service, tab, session, chip, examples
        self.shown, self.chosen, self.desks = shown, chosen, Desks()

    def open_upload(self, path: str | None) -> Updates:
        """A file came through the upload control; it is kept as it is, and the stage gets a proxy."""
        try:
            if path is None:
                raise InvalidRequest("image", "No picture arrived.", "Try again.")
            limits = self.service.config.settings.pictures
            return self.opened(Upload.from_path(Path(path), limits))
        except InpaintError as error:
            told = {"id": secrets.token_hex(8), "text": "Not opened."}
            return {self.tab.message: words.error_html(error), self.tab.stage: gr.update(notice=told)}

    def opened(self, upload: Upload) -> Updates:
        """The stage shows the picture, with nothing painted yet. Raises UnreadableImage, ImageTooLarge."""
        picture = read_picture(upload, self.service.config.settings.pictures)
        return self._shown(upload, picture)

    def refresh(self, values: Values) -> Updates:
        """The plan, the model line and whether Run can be pressed, for what is painted, typed and chosen now."""
        session: Session = values[self.session]
        choice, missing = self._choice(values)
        updates = self._model_updates(choice, missing, values)
        try:
            updates |= self._readiness(session, self._stage_value(session, values), choice)
        except InpaintError as error:
            updates |= self._blocked(error.message)
        return updates if missing is None else updates | self._blocked(missing.message)

    async def run(self, values: Values, request: gr.Request) -> AsyncIterator[Updates]:
        """One edit, watched: preview frames while it runs, then the result beside the original."""
        try:
            edit = await asyncio.to_thread(self._request, values)
            async for updates in self._run(edit, values[self.session], request):
                yield updates
        except Exception as error:
            yield self._failed(told(error, "an edit"))

    async def another(self, values: Values, request: gr.Request) -> AsyncIterator[Updates]:
        """The same edit with a seed drawn anew; a seed that is typed stays typed."""
        async for updates in self.run({**values, self.tab.settings.widgets["seed"]: ""}, request):
            yield updates

    async def run_example(self, event: gr.EventData, request: gr.Request) -> AsyncIterator[Updates]:
        """A photo with its ready mask, run at once and without a prompt: a result in one click. What is typed stays."""
        example = self.examples.get(str(event.name))
        if example is None:
            yield self._nothing()
            return
        try:
            opened = self._shown(example.upload, example.picture)
            ready = {"id": secrets.token_hex(8), "url": data_url_png(example.mask.pixels)}
            yield opened | {self.tab.stage: opened[self.tab.stage] | {"mask": ready}}
            spec = self.service.models.choose("").spec
            edit = self.service.edit_request(example.picture, example.mask, {"model": spec.name})
            async for updates in self._run(edit, opened[self.session], request):
                yield updates
        except Exception as error:
            yield self._failed(told(error, "an edit"))

    def cancel(self, request: gr.Request) -> None:
        """Stop this page's job; the handler that follows it tells the page."""
        job = self.own_job(request)
        if job is not None:
            job.cancel()

    def use_as_is(self, request: gr.Request) -> None:
        """End this page's job early and show what is there."""
        job = self.own_job(request)
        if job is not None:
            job.keep()

    async def find_again(self, request: gr.Request) -> AsyncIterator[Updates]:
        """The page was opened: an edit that this person left running is shown again, with its picture, mask and words."""
        person, seat = person_of(request), str(request.session_hash)
        desk = await self._left_alone(person, seat)
        if desk is None:
            yield self._nothing()
            return
        try:
            opened = await asyncio.to_thread(self._reopened, desk)
            yield opened
            async for updates in self._followed(dataclasses.replace(desk, session=opened[self.session]), person, seat):
                yield updates
        except Exception as error:
            yield self._failed(told(error, "finding an edit again"))

    async def _left_alone(self, person: str, seat: str) -> Desk | None:
        """The server notices a closed page only after a while; until then its edit looks watched, and is waited for."""
        for _ in range(int(RELOAD_SECONDS / POLL_SECONDS)):
            if self.desks.of(person, seat) is not None or not self.desks.has_any(person):
                return None
            desk = self.desks.take_over(person, seat)
            if desk is not None:
                return desk
            await asyncio.sleep(POLL_SECONDS)
        return None

    def back(self) -> Updates:
        """Away from the result; the mask is still there."""
        return {self.tab.stage: gr.update(result={}), self.tab.actions: gr.update(visible=False),
                self.tab.run: gr.update(value="Run"), self.tab.message: ""}

    def keep(self, values: Values) -> Updates:
        """The chosen result becomes the picture to edit."""
        session: Session = values[self.session]
        try:
            path = session.results[self._candidate(session, values)]
            return self.opened(Upload.from_path(Path(path), self.service.config.settings.pictures))
        except IndexError:
            return {self.tab.message: words.error_html(InvalidRequest("result", "There is no result to keep."))}
        except InpaintError as error:
            return {self.tab.message: words.error_html(error)}

    def choose_candidate(self, values: Values) -> Updates:
        """Download follows the candidate that is shown."""
        session: Session = values[self.session]
        if not session.results:
            return {self.tab.download: gr.skip()}
        return {self.tab.download: gr.update(value=session.results[self._candidate(session, values)])}

    def _request(self, values: Values) -> EditRequest:
        """From the widgets as they are now; the job keeps this and sees no later change."""
        session: Session = values[self.session]
        if session.upload is None:
            raise InvalidRequest("image", OPEN_FIRST)
        painted = self._stage_value(session, values)
        if painted.mask is None:
            raise EmptyMask("Nothing is painted.", PAINT_FIRST)
        choice, missing = self._choice(values)
        if choice is None:
            raise missing or InvalidRequest("model", "No model was chosen.")
        picture = read_picture(session.upload, self.service.config.settings.pictures)
        given = {"prompt": values[self.tab.prompt], "model": choice.spec.name, "grow": painted.grow,
                 "feather": painted.feather, **self.tab.settings.read(choice.spec, values)}
        if choice.spec.negative_prompt:
            given["negative_prompt"] = values[self.tab.negative]
        return self.service.edit_request(picture, painted.mask, given)

    async def _run(self, edit: EditRequest, session: Session, request: gr.Request) -> AsyncIterator[Updates]:
        plan = await asyncio.to_thread(self.service.plan, edit)
        person, seat = person_of(request), str(request.session_hash)
        desk = Desk(session, edit, plan.region, self.service.start_edit(edit, person, seat, plan))
        self.desks.leave(person, seat, desk)
        async for updates in self._followed(desk, person, seat):
            yield updates

    async def _followed(self, desk: Desk, person: str, seat: str) -> AsyncIterator[Updates]:
        """Progress while the job runs, then its result. Raises what the job ended with. The desk is left until that was shown."""
        yield self._started(desk)
        frame = None
        async for running in follow(desk.job):
            preview = running.progress.preview if running.progress else None
            yield self._progressed(running, desk.region, None if preview is frame else preview)
            frame = preview
        if desk.job.error is not None:
            self.desks.clear(person, seat)
        yield await asyncio.to_thread(self._finished, desk.edit, desk.job.outcome(), desk.session)
        self.desks.clear(person, seat)

    def _nothing(self) -> Updates:
        """A generator that ends without a word would have Gradio empty every output."""
        return {self.tab.message: gr.skip()}

    def own_job(self, request: gr.Request) -> Job[Any] | None:
        """The unfinished job that this page follows: started from it, or found again after a reload."""
        person, seat = person_of(request), str(request.session_hash)
        desk = self.desks.of(person, seat)
        followed = desk.job if desk is not None and not desk.job.is_finished else None
        return followed or self.service.worker.current(person, seat)

    def _reopened(self, desk: Desk) -> Updates:
        if desk.session.upload is None:
            raise InvalidRequest("image", OPEN_FIRST)
        opened = self._shown(desk.session.upload, desk.edit.picture)
        ready = {"id": secrets.token_hex(8), "url": data_url_png(desk.edit.mask.pixels)}
        return opened | {self.tab.stage: opened[self.tab.stage] | {"mask": ready},
                         self.tab.prompt: desk.edit.sampling.prompt,
                         self.tab.model: desk.edit.model}

    def _shown(self, upload: Upload, picture: Picture) -> Updates:
        url, proxy = make_proxy(picture.pixels)
        session = Session.opened(upload, proxy, picture.extent)
        prop = {"id": session.picture_id, "url": url, "width": proxy.width, "height": proxy.height,
                "full_width": picture.extent.width, "full_height": picture.extent.height, "name": upload.name}
        return {self.session: session,
                self.tab.stage: gr.update(picture=prop, result={}, work_area={}, mask={}, **UNFINISHED_STAGE),
                self.tab.actions: gr.update(visible=False), self.tab.message: words.notice_html(list(picture.notices)),
                self.tab.plan: f'<p class="ip-note">{PAINT_FIRST}</p>',
                self.tab.run: gr.update(value="Run", interactive=False)}

    def _stage_value(self, session: Session, values: Values) -> StageValue:
        """What is painted on the picture that is open here; a mask of another picture counts as none. Raises BadMask."""
        painted = read_stage(values[self.tab.stage], session.proxy, session.full)
        return painted if painted.picture_id == session.picture_id else dataclasses.replace(painted, mask=None)

    def _candidate(self, session: Session, values: Values) -> int:
        return min(self._stage_value(session, values).candidate, len(session.results) - 1)

    def _choice(self, values: Values) -> tuple[Choice | None, InpaintError | None]:
        """The model that would run, and why none would."""
        models = self.service.models
        try:
            name, prompt = values[self.tab.model], clean_prompt("prompt", values[self.tab.prompt])
            choice = models.choose(prompt) if name == AUTOMATIC else Choice(models.spec(name, "inpaint"), "")
            if models.is_available(choice.spec):
                return choice, None
            return choice, InvalidRequest("model", f"{choice.spec.title} is not on this machine.")
        except InpaintError as error:
            return None, error

    def _model_updates(self, choice: Choice | None, missing: InpaintError | None, values: Values) -> Updates:
        if choice is None:
            return {self.tab.model_note: words.missing_html(missing) if missing else ""}
        return {**self.tab.settings.fit(choice.spec, values[self.shown], values[self.chosen]), self.shown: choice.spec.name,
                self.tab.negative_box: gr.update(visible=choice.spec.negative_prompt),
                self.tab.model_note: words.model_html(choice.spec, self.service.models, choice.reason),
                self.chip: words.chip_html(choice.spec, self.service.models)}

    def _readiness(self, session: Session, painted: StageValue, choice: Choice | None) -> Updates:
        if session.upload is None:
            return self._blocked(OPEN_FIRST)
        if painted.mask is None:
            return self._blocked(PAINT_FIRST)
        if choice is None:
            return self._blocked("No model can paint this here.")
        bounds = painted.mask.bounds()
        opacity = blending_mask(painted.mask, painted.grow, painted.feather)
        region = plan_region(session.full, opacity.bounds(), self.service.models.limits(choice.spec))
        return {self.tab.run: gr.update(interactive=True), self.tab.plan: words.plan_html(bounds, region),
                self.tab.stage: gr.update(work_area=_area(region.crop))}

    def _blocked(self, reason: str) -> Updates:
        """Run is disabled with the reason beside it."""
        return {self.tab.run: gr.update(interactive=False), self.tab.plan: words.reason_html(reason),
                self.tab.stage: gr.update(work_area={})}

    def _started(self, desk: Desk) -> Updates:
        spec = self.service.models.spec(desk.edit.model, "inpaint")
        return {self.tab.run: gr.update(visible=False), self.tab.cancel: gr.update(visible=True),
                self.tab.as_is: gr.update(visible=spec.early_stop),
                self.tab.progress: gr.update(visible=True, value=words.progress_html(None, 0, 0.0)),
                self.tab.message: "", self.tab.actions: gr.update(visible=False),
                self.tab.stage: gr.update(running={"active": True}, result={}, work_area=_area(desk.region.crop))}

    def _progressed(self, job: Job[EditResult], region: Region, preview: Any) -> Updates:
        worker = self.service.worker
        sentence = words.progress_html(job.progress, worker.place(job), job.seconds, worker.seconds_left(job))
        updates: Updates = {self.tab.progress: gr.update(value=sentence)}
        if preview is not None and job.progress is not None:
            label = f"step {job.progress.step} of {job.progress.total}"
            updates[self.tab.stage] = gr.update(preview={"url": data_url_jpeg(preview, quality=80),
                                                         "bounds": region.crop.as_list(), "label": label})
        return updates

    def _finished(self, edit: EditRequest, result: EditResult, session: Session) -> Updates:
        """Kept on disk first, then shown."""
        paths = new_results(self.service.config.data_dir, edit.picture.name, [c.seed for c in result.candidates])
        report = save_edit(edit, result, paths)
        items = [{"url": make_proxy(candidate.picture.pixels)[0], "label": _made_line(candidate.seed, report)}
                 for candidate in result.candidates]
        shown = {"id": paths[0].parent.name, "items": items, "line": f"{band_line(report)}."}
        kept = dataclasses.replace(session, results=tuple(map(str, paths)))
        return self._idle() | {
            self.session: kept, self.tab.actions: gr.update(visible=True),
            self.tab.download: gr.update(value=str(paths[0])), self.tab.run: gr.update(value="Run again", visible=True),
            self.tab.message: words.notice_html(list(result.notices)),
            self.tab.stage: gr.update(result=shown, work_area={}, **UNFINISHED_STAGE)}

    def _failed(self, error: InpaintError) -> Updates:
        """The sentence, what to do, and the mask still there."""
        return self._idle() | {self.tab.message: words.error_html(error), self.tab.stage: gr.update(**UNFINISHED_STAGE)}

    def _idle(self) -> Updates:
        return {self.tab.run: gr.update(visible=True), self.tab.cancel: gr.update(visible=False),
                self.tab.as_is: gr.update(visible=False), self.tab.progress: gr.update(visible=False)}


def bind_edit(handlers: EditHandlers, page: gr.Blocks) -> None:
    """Connect the Edit tab's events. Called inside the Blocks context."""
    tab, session = handlers.tab, handlers.session
    view = [session, tab.stage, tab.actions, tab.message, tab.plan, tab.run, tab.download, tab.cancel, tab.as_is, tab.progress]
    form = [handlers.shown, tab.negative_box, tab.model_note, handlers.chip, *tab.settings.fitted()]
    seen: set[Block] = {session, handlers.shown, handlers.chosen, tab.stage, tab.prompt, tab.model}
    reads: set[Block] = {session, *tab.inputs()}
    looks: set[Block] = {session, tab.stage}
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    running: dict[str, Any] = quiet | {"concurrency_limit": None}

    tab.settings.bind(handlers.shown, handlers.chosen)

    def fresh(event: Any) -> None:
        event.then(handlers.refresh, seen, [*view, *form], **quiet)

    fresh(tab.upload.upload(handlers.open_upload, tab.upload, view, **quiet))
    tab.stage.stroke(handlers.refresh, seen, [*view, *form], trigger_mode="always_last", **quiet)
    # Not input: Gradio tells of it only for keys that write a letter, not for Backspace, cut or paste.
    tab.prompt.change(handlers.refresh, seen, [*view, *form], trigger_mode="always_last", **quiet)
    tab.model.input(handlers.refresh, seen, [*view, *form], **quiet)
    tab.run.click(handlers.run, reads, view, **running)
    tab.another.click(handlers.another, reads, view, **running)
    tab.cancel.click(handlers.cancel, None, None, queue=False, **quiet)
    tab.as_is.click(handlers.use_as_is, None, None, queue=False, **quiet)
    fresh(tab.stage.example(handlers.run_example, None, view, **running))
    fresh(tab.back.click(handlers.back, None, view, **quiet))
    fresh(tab.keep.click(handlers.keep, looks, view, **quiet))
    fresh(page.load(handlers.find_again, None, [*view, tab.prompt, tab.model], **running))
    tab.stage.candidate(handlers.choose_candidate, looks, [tab.download], **quiet)


def _area(crop: Bounds) -> dict[str, Any]:
    return {"bounds": crop.as_list(), "label": "work area"}


def _made_line(seed: int, report: Mapping[str, Any]) -> str:
    steps = report["settings"].get("num_inference_steps")
    return f"Seed {seed}, {f'{steps} steps, ' if steps else ''}{sum(report['seconds'].values()):.1f} s."
