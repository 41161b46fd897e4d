"""The Edit tab's events: the one place where its widgets, the jobs and the storage meet. Knows no engine's insides."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component

from inpaint.core.composite import blending_mask
from inpaint.core.geometry import Bounds
from inpaint.core.masks.mask import Mask
from inpaint.core.picture import Picture
from inpaint.core.region import Region, plan_region
from inpaint.core.request import EditRequest, clean_prompt, resolve_prompt
from inpaint.core.result import EditResult, Progress
from inpaint.core.spec import ModelSpec
from inpaint.errors import Busy, EmptyMask, InpaintError, InvalidRequest, ModelUnavailable
from inpaint.jobs.worker import Job, told
from inpaint.models.catalog import Choice
from inpaint.saving import keep_edit
from inpaint.service import Service, band_line, notices_of
from inpaint.storage.uploads import Upload, read_picture
from inpaint.ui import words
from inpaint.ui.component import sent_with
from inpaint.ui.downloads.line import FetchHandlers, Look
from inpaint.ui.edit.tab import AUTOMATIC, OPEN_FIRST, EditTab
from inpaint.ui.examples import Example
from inpaint.ui.runs.identity import Desk, Desks, account_of, person_of
from inpaint.ui.runs.poll import follow, told_of
from inpaint.ui.runs.session import KEPT_SECONDS, Session
from inpaint.ui.runs.updates import Telling
from inpaint.ui.stage.stage import StageValue, data_url_jpeg, data_url_png, make_proxy, read_stage

Updates = dict[Any, Any]
Values = Mapping[Component, Any]

PAINT_FIRST = "Paint the part to change first."
RUNNING = "Picture and mask stay as they are meanwhile."
ANY_WORDS = "anything"
"""Stands for a prompt where only the model that would read one is asked for."""

UNFINISHED_STAGE: Mapping[str, Any] = {"running": {}, "preview": {}}


@dataclass(frozen=True, eq=False)
class EditDesk(Desk):
    """An edit that was started: what was open, what was asked, and where the model looks."""

    session: Session
    edit: EditRequest
    region: Region


class EditHandlers:
    """Holds the parts; each public method answers one event with updates by widget."""

    def __init__(self, service: Service, tab: EditTab, chip: gr.HTML, examples: Mapping[str, Example],
                 fetches: FetchHandlers) -> None:
        self.service, self.tab, self.chip, self.examples, self.fetches = service, tab, chip, examples, fetches
        self.session = gr.State(Session(), time_to_live=KEPT_SECONDS)
        self.found, self.asked = gr.State(0), gr.State(("", ""))
        self.desks: Desks[EditDesk] = Desks()

    def open_upload(self, path: str | None, request: gr.Request) -> Updates:
        """A file came through the upload control; it is kept as it is, and the stage gets a proxy."""
        self._occupy(request)
        try:
            if path is None:
                raise InvalidRequest("image", "No picture arrived.", "Try again.")
            self.service.housekeeper.sweep_soon()
            limits = self.service.config.settings.pictures
            return self.opened(Upload.handed_in(Path(path), limits))
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
            edit, form = await asyncio.to_thread(self._request, values)
            async for updates in self._run(edit, form, values[self.session], request):
                yield updates
        except Busy as error:  # two buttons pressed at once: the run that came first is still shown, and can be stopped
            yield {self.tab.message: words.error_html(error)} if self.own_job(request) else self._failed(error)
        except Exception as error:
            yield self._failed(told(error, "an edit"))

    async def another(self, values: Values, request: gr.Request) -> AsyncIterator[Updates]:
        """What the form and the mask say now, with a seed drawn anew; a seed that is typed stays typed."""
        async for updates in self.run({**values, self.tab.form.settings.widgets["seed"]: ""}, request):
            yield updates

    def open_example(self, event: gr.EventData, request: gr.Request) -> Updates:
        """A photo with its ready mask and its words; `asked` then runs it. An example without words leaves what is typed."""
        example = self.examples.get(str(sent_with(event, "name")))
        if example is None:
            return self._nothing()
        self._occupy(request)
        try:
            opened = self._painted(example.upload, example.picture, example.mask)
            said = self._said(example.shot.words.prompt) if example.shot.words else {}
        except InpaintError as error:
            return self._failed(error)
        return opened | said | {self.asked: (example.shot.name, secrets.token_hex(8))}

    def _said(self, prompt: str) -> Updates:
        """An example's words in the form, and the model that will paint them where Automatic would take another, or none."""
        spec, automatic = self._knowing(prompt), None
        with contextlib.suppress(ModelUnavailable):
            automatic = self.service.models.choose(prompt).spec.name
        return {self.tab.form.prompt: prompt, self.tab.form.model: AUTOMATIC if spec.name == automatic else spec.name}

    async def run_example(self, values: Values, request: gr.Request) -> AsyncIterator[Updates]:
        """The example that was opened: a result in one click."""
        example = self.examples.get(values[self.asked][0])
        if example is None:
            yield self._nothing()
            return
        try:
            prompt = example.shot.words.prompt if example.shot.words else ""
            spec = self._knowing(prompt)
            edit = self.service.edit_request(example.picture, example.mask, {"prompt": prompt, "model": spec.name})
            async for updates in self._run(edit, {}, values[self.session], request):
                yield updates
        except Exception as error:
            yield self._failed(told(error, "an edit"))

    def fill(self, values: Values, event: gr.EventData, request: gr.Request) -> Updates:
        """A photo with its ready mask, and the words for it; nothing runs."""
        example = self.examples.get(str(sent_with(event, "name")))
        ready = example.shot.words if example else None
        if example is None or ready is None:
            return {self.tab.message: gr.skip()}
        self._occupy(request)
        known = self.service.models.specs.get(ready.model)
        spec = known.on_task("inpaint") if known and known.can("inpaint") else self.service.models.choose("").spec
        given = {"prompt": ready.prompt, "negative_prompt": ready.negative, **ready.given}
        box = spec.name if known else AUTOMATIC
        return (self._painted(example.upload, example.picture, example.mask)
                | self.tab.form.restore(spec, given, values[self.tab.form.chosen], box))

    def pick(self, prompt: str | None) -> Any:
        """One of the things that a small model knows, into the prompt."""
        return prompt or gr.skip()

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

    async def find_again(self, request: gr.Request) -> Updates:
        """The page was opened: the picture and the mask of an edit that this person left running. `found` then brings the rest."""
        desk = await self.desks.left_alone(person_of(request), str(request.session_hash))
        try:
            return self._nothing() if desk is None else await asyncio.to_thread(self._reopened, desk)
        except InpaintError as error:
            return self._failed(error)

    async def follow_again(self, values: Values, request: gr.Request) -> AsyncIterator[Updates]:
        """Watch the run that was found again."""
        person, seat = person_of(request), str(request.session_hash)
        desk = self.desks.of(person, seat)
        if desk is None:
            yield self._nothing()
            return
        try:
            async for updates in self._followed(dataclasses.replace(desk, session=values[self.session]), person, seat):
                yield updates
        except Exception as error:
            yield self._failed(told(error, "finding an edit again"))

    def restore(self, values: Values, request: gr.Request) -> Updates:
        """The words and settings of the run that was found again."""
        desk = self.desks.of(person_of(request), str(request.session_hash))
        if desk is None or not desk.form:
            return {self.tab.message: gr.skip()}
        spec = self.service.models.spec(desk.edit.model, "inpaint")
        return self.tab.form.restore(spec, desk.form, values[self.tab.form.chosen], desk.form["box"], values[self.tab.form.prompt])

    def back(self) -> Updates:
        """Away from the result; the mask is still there."""
        return {self.tab.stage: gr.update(result={}), self.tab.actions: gr.update(visible=False),
                self.tab.run: gr.update(value="Run"), self.tab.message: ""}

    def keep(self, values: Values) -> Updates:
        """The chosen result becomes the picture to edit."""
        try:
            return self.opened(Upload.own(self.chosen_result(values)))
        except InpaintError as error:
            return {self.tab.message: words.error_html(error)}

    def choose_candidate(self, values: Values) -> Updates:
        """Download follows the candidate that is shown."""
        if not values[self.session].results:
            return {self.tab.download: gr.skip()}
        return {self.tab.download: gr.update(value=str(self.chosen_result(values)))}

    def chosen_result(self, values: Values) -> Path:
        """The file of the candidate that is shown. Raises InvalidRequest."""
        session: Session = values[self.session]
        if not session.results:
            raise InvalidRequest("result", "There is no result on the server's disk.")
        chosen = self._stage_value(session, values).candidate
        return Path(session.results[min(chosen, len(session.results) - 1)])

    def _request(self, values: Values) -> tuple[EditRequest, Mapping[str, Any]]:
        """From the widgets as they are now; the job keeps this and sees no later change. With what the widgets said."""
        session: Session = values[self.session]
        if not session.picture_id:
            raise InvalidRequest("image", OPEN_FIRST)
        painted = self._stage_value(session, values)
        if painted.mask is None:
            raise EmptyMask("Nothing is painted.", PAINT_FIRST)
        choice, missing = self._choice(values)
        if choice is None:
            raise missing or InvalidRequest("model", "No model was chosen.")
        picture = read_picture(session.upload(), self.service.config.settings.pictures)
        given = {"grow": painted.grow, "feather": painted.feather, **self.tab.form.read(choice.spec, values)}
        return self.service.edit_request(picture, painted.mask, given), given | {"box": values[self.tab.form.model]}

    async def _run(self, edit: EditRequest, form: Mapping[str, Any], session: Session, request: gr.Request) -> AsyncIterator[Updates]:
        plan = await asyncio.to_thread(self.service.plan, edit)
        person, seat = person_of(request), str(request.session_hash)
        desk = EditDesk(self.service.start_edit(edit, account_of(request), seat, plan), form, session, edit, plan.region)
        self.desks.leave(person, seat, desk)
        async for updates in self._followed(desk, person, seat):
            yield updates

    async def _followed(self, desk: EditDesk, person: str, seat: str) -> AsyncIterator[Updates]:
        """Progress while the job runs, then its result. Raises what the job ended with. The desk is left until that was shown."""
        telling = Telling()
        with desk.job.watched():  # from end to end: between its last look and its result another page would take it for left
            yield telling(self._started(desk))
            async for running in follow(desk.job):
                sentence, preview = told_of(self.service.worker, running), running.progress.preview if running.progress else None
                if telling.is_news(sentence, preview):
                    yield telling({self.tab.progress: gr.update(value=sentence)} | self._previewed(running.progress, desk.region))
            if desk.job.error is not None:
                self.desks.clear(person, seat)
            yield telling(await asyncio.to_thread(self._finished, desk.edit, desk.job.outcome(), desk.session))
            self.desks.clear(person, seat)

    def _nothing(self) -> Updates:
        """A generator that ends without a word would have Gradio empty every output."""
        return {self.tab.message: gr.skip()}

    def own_job(self, request: gr.Request) -> Job[Any] | None:
        """The unfinished job that this page follows: started from it, or found again after a reload."""
        person, seat = person_of(request), str(request.session_hash)
        return self.desks.unfinished(person, seat) or self.service.worker.current(account_of(request), seat)

    def _knowing(self, prompt: str) -> ModelSpec:
        """A model here that has the prompt among the few things it knows, else the one that would run anyway."""
        models = self.service.models
        knowing = (spec for spec in models.specs.values() if prompt in spec.knows and models.is_available(spec, "inpaint"))
        return next(knowing, None) or models.choose(prompt).spec

    def _occupy(self, request: gr.Request) -> None:
        self.desks.occupy(person_of(request), str(request.session_hash))

    def _reopened(self, desk: EditDesk) -> Updates:
        opened = self._painted(desk.session.upload(), desk.edit.picture, desk.edit.mask)
        band = {"grow": desk.edit.grow, "feather": desk.edit.feather}
        return opened | {self.tab.stage: opened[self.tab.stage] | {"band": band}, self.found: desk.job.number}

    def _painted(self, upload: Upload, picture: Picture, mask: Mask) -> Updates:
        opened = self._shown(upload, picture)
        ready = {"id": secrets.token_hex(8), "url": data_url_png(mask.pixels)}
        return opened | {self.tab.stage: opened[self.tab.stage] | {"mask": ready}}

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
        return read_stage(values[self.tab.stage], session.picture_id, session.proxy, session.full)

    def _choice(self, values: Values) -> tuple[Choice | None, InpaintError | None]:
        """The model that would run, and why none would."""
        models = self.service.models
        try:
            name, prompt = values[self.tab.form.model], clean_prompt("prompt", values[self.tab.form.prompt])
            choice = models.choose(prompt) if name == AUTOMATIC else Choice(models.spec(name, "inpaint"), "")
        except InpaintError as error:
            return None, error
        if not models.is_available(choice.spec, "inpaint"):
            return choice, InvalidRequest("model", f"{choice.spec.title} is not on this machine.")
        try:
            resolve_prompt(choice.spec, prompt)
        except InvalidRequest as error:
            return choice, error
        return choice, None

    def _model_updates(self, choice: Choice | None, missing: InpaintError | None, values: Values) -> Updates:
        form = self.tab.form
        told = self._vocabulary_updates(values)
        if choice is None:
            return {form.note: words.missing_html(missing) if missing else "", **told,
                    **self.fetches.offer(form.fetch, self.to_fetch(values), "inpaint")}
        return {**form.fit(choice.spec, values), **told,
                **self.fetches.told(form.note, form.fetch, choice.spec, "inpaint", choice.reason),
                self.chip: words.chip_html(choice.spec, self.service.models, "inpaint")}

    def to_fetch(self, values: Values) -> ModelSpec | None:
        """The model to download for what is chosen: it, or the first that paints from words where none is here."""
        choice, _ = self._choice(values)
        painters = (spec for spec in self.service.models.specs.values() if spec.prompt and self.fetches.can_fetch(spec, "inpaint"))
        return choice.spec if choice else next((spec for spec in painters if spec.can("inpaint")), None)

    def _vocabulary_updates(self, values: Values) -> Updates:
        """The list of what a small model knows shows where that model would read the words. The list itself is never an output:
        somebody may be typing in it."""
        reader, _ = self._choice({**values, self.tab.form.prompt: values[self.tab.form.prompt] or ANY_WORDS})
        spec = reader.spec if reader else None
        line = words.knows_html(spec, values[self.tab.form.prompt], self.service.models) if spec else ""
        return {vocabulary.line: line if spec and spec.name == name else "" for name, vocabulary in self.tab.vocabularies.items()}

    def _readiness(self, session: Session, painted: StageValue, choice: Choice | None) -> Updates:
        if not session.picture_id:
            return self._blocked(OPEN_FIRST)
        if painted.mask is None:
            return self._blocked(PAINT_FIRST)
        if choice is None:
            return self._blocked("No model can paint this here.")
        opacity = blending_mask(painted.mask, painted.grow, painted.feather)
        region = plan_region(session.full, opacity.bounds(), self.service.models.limits(choice.spec))
        return {self.tab.run: gr.update(interactive=True), self.tab.plan: words.plan_html(region),
                self.tab.stage: gr.update(work_area=_area(region.crop))}

    def _blocked(self, reason: str) -> Updates:
        """Run is disabled with the reason beside it."""
        return {self.tab.run: gr.update(interactive=False), self.tab.plan: words.reason_html(reason),
                self.tab.stage: gr.update(work_area={})}

    def _started(self, desk: EditDesk) -> Updates:
        spec = self.service.models.spec(desk.edit.model, "inpaint")
        return {self.tab.run: gr.update(visible=False), self.tab.cancel: gr.update(visible=True),
                self.tab.as_is: gr.update(visible=spec.early_stop and self.service.worker.executor.can_end_early),
                self.tab.progress: gr.update(visible=True, value=words.progress_html(None, 0, 0.0)),
                self.tab.message: "", self.tab.actions: gr.update(visible=False),
                self.tab.stage: gr.update(running={"active": True}, result={}, work_area=_area(desk.region.crop))}

    def _previewed(self, progress: Progress | None, region: Region) -> Updates:
        if progress is None or progress.preview is None:
            return {}
        return {self.tab.stage: gr.update(preview={"url": data_url_jpeg(progress.preview, quality=80), "bounds": region.crop.as_list(),
                                                   "label": f"step {progress.step} of {progress.total}"})}

    def _finished(self, edit: EditRequest, result: EditResult, session: Session) -> Updates:
        """Kept first, then shown."""
        outcome = keep_edit(self.service, edit, result)
        report = outcome.report
        title = self.service.models.specs[result.model].title
        items = [{"url": make_proxy(candidate.picture.pixels)[0], "label": words.made_line(title, candidate.seed, report)}
                 for candidate in result.candidates]
        shown = {"id": secrets.token_hex(8), "items": items, "line": f"{band_line(report)}."}
        kept = dataclasses.replace(session, results=tuple(map(str, outcome.paths)))
        download = gr.update(value=str(outcome.paths[0]) if outcome.paths else None, interactive=bool(outcome.paths))
        return self._idle() | {
            self.session: kept, self.tab.actions: gr.update(visible=True),
            self.tab.download: download, self.tab.run: gr.update(value="Run again", visible=True),
            self.tab.message: words.notice_html(notices_of(report)) + words.downloads_html(outcome.downloads),
            self.tab.stage: gr.update(result=shown, work_area={}, **UNFINISHED_STAGE)}

    def _failed(self, error: InpaintError) -> Updates:
        """The sentence, what to do, and the mask still there."""
        return self._idle() | {self.tab.message: words.error_html(error), self.tab.stage: gr.update(**UNFINISHED_STAGE)}

    def _idle(self) -> Updates:
        return {self.tab.run: gr.update(visible=True), self.tab.cancel: gr.update(visible=False),
                self.tab.as_is: gr.update(visible=False), self.tab.progress: gr.update(visible=False)}


def bind_edit(handlers: EditHandlers, page: gr.Blocks) -> None:
    """Connect the Edit tab's events. Called inside the Blocks context."""
    tab, session, form = handlers.tab, handlers.session, handlers.tab.form
    view = [session, tab.stage, tab.actions, tab.message, tab.plan, tab.run, tab.download, tab.cancel, tab.as_is, tab.progress]
    fits = [*form.fitted(), handlers.chip, *(vocabulary.line for vocabulary in tab.vocabularies.values())]
    seen: set[Block] = {session, form.shown, form.chosen, tab.stage, form.prompt, form.model}
    reads: set[Block] = {session, *tab.inputs()}
    looks: set[Block] = {session, tab.stage}
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    running: dict[str, Any] = quiet | {"concurrency_limit": None}

    form.settings.bind(form.shown, form.chosen)
    handlers.fetches.bind(form.fetch, "inpaint", handlers.to_fetch, {form.model, form.prompt}, Look(handlers.refresh, seen, [*view, *fits]))

    def fresh(event: Any) -> None:
        event.then(handlers.refresh, seen, [*view, *fits], **quiet)

    fresh(tab.upload.upload(handlers.open_upload, tab.upload, view, **quiet))
    tab.stage.stroke(handlers.refresh, seen, [*view, *fits], trigger_mode="always_last", **quiet)
    # Not input: Gradio tells of it only for keys that write a letter, not for Backspace, cut or paste.
    form.prompt.change(handlers.refresh, seen, [*view, *fits], trigger_mode="always_last", **quiet)
    form.model.input(handlers.refresh, seen, [*view, *fits], trigger_mode="always_last", **quiet)
    for vocabulary in tab.vocabularies.values():
        vocabulary.pick.input(handlers.pick, vocabulary.pick, form.prompt, **quiet)
    tab.run.click(handlers.run, reads, view, **running)
    tab.another.click(handlers.another, reads, view, **running)
    tab.cancel.click(handlers.cancel, None, None, queue=False, **quiet)
    tab.as_is.click(handlers.use_as_is, None, None, queue=False, **quiet)
    # Opened and run in two events: an answer that comes while the run's own begins would take Cancel and progress away again.
    tab.stage.example(handlers.open_example, None, [*view, form.prompt, form.model, handlers.asked], **quiet)
    fresh(handlers.asked.change(handlers.run_example, {session, handlers.asked}, view, **running))
    fresh(tab.stage.filling(handlers.fill, {form.chosen}, [*view, *form.filled()], **quiet))
    fresh(tab.back.click(handlers.back, None, view, **quiet))
    fresh(tab.keep.click(handlers.keep, looks, view, **quiet))
    fresh(page.load(handlers.find_again, None, [*view, handlers.found], **running))
    restored = handlers.found.change(handlers.restore, {form.chosen, form.prompt}, [*form.filled(), tab.message], **quiet)
    fresh(restored.then(handlers.follow_again, {session}, view, **running))
    tab.stage.candidate(handlers.choose_candidate, looks, [tab.download], **quiet)


def _area(crop: Bounds) -> dict[str, Any]:
    return {"bounds": crop.as_list(), "label": "work area"}
