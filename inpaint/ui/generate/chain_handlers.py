"""Handles the chain's events: showing one of its pictures, opening a file, and handing a picture to the Edit tab."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from inpaint.errors import Busy, InpaintError, InvalidRequest
from inpaint.service import Service
from inpaint.storage.uploads import Upload, read_picture
from inpaint.ui import words
from inpaint.ui.component import sent_with
from inpaint.ui.edit.handlers import EditHandlers
from inpaint.ui.generate.chain import Chain, Link
from inpaint.ui.generate.strip import strip_links
from inpaint.ui.generate.tab import NO_PICTURE, GenerateTab
from inpaint.ui.images import thumbnail_url
from inpaint.ui.runs.identity import account_of, person_of
from inpaint.ui.runs.resume import OpenRuns
from inpaint.ui.runs.session import KEPT_SECONDS

Updates = dict[Any, Any]
Values = Mapping[Component, Any]

THUMBNAIL_SIDE = 160
STILL_GOING = ("Your last run is still going.", "Wait for it, or cancel it first.")


class ChainHandlers:
    """Handlers of the chain. Each public method answers one event, or builds the updates that show the chain.

    chain, shown: states of a page: all its pictures, and the number of the one that is shown. editor: the Edit tab's
    handlers, to which "Edit this" hands a picture. runs: the pictures that are being made, by page.
    """

    def __init__(self, service: Service, tab: GenerateTab, tabs: gr.Tabs, editor: EditHandlers) -> None:
        self.service, self.tab, self.tabs, self.editor = service, tab, tabs, editor
        self.chain, self.shown = gr.State(Chain(), time_to_live=KEPT_SECONDS), gr.State(0)
        self.runs: OpenRuns[Any] = OpenRuns()

    def view(self) -> list[Any]:
        """Returns the widgets and states that `grown`, `restored` and `choose` may change."""
        tab = self.tab
        return [self.chain, self.shown, tab.empty, tab.picture, tab.line, tab.strip, tab.again, tab.edit, tab.download, tab.message]

    def grown(self, chain: Chain, paths: Sequence[Path], made: str, lines: Sequence[str] = ("",)) -> Updates:
        """Returns updates that add pictures, which are on disk already, to the chain and show the first of them. lines: a line
        about each picture.
        """
        grown = chain.grown([(str(path), self._thumbnail(path), line) for path, line in zip(paths, lines, strict=True)], made)
        return self.restored(grown, grown.links[-min(len(paths), len(grown.links))].number)

    def restored(self, chain: Chain, number: int) -> Updates:
        """Returns updates that show a whole chain with one of its pictures. For an empty chain they change nothing."""
        link = chain.find(number)
        if link is None:
            return {self.tab.message: gr.skip()}
        return {self.chain: chain, **self._showing(link), self.tab.strip: gr.update(links=strip_links(chain), shown=link.number)}

    def choose(self, values: Values, event: gr.EventData) -> Updates:
        """Shows another picture of the chain."""
        link = values[self.chain].find(sent_with(event, "number"))
        return {self.tab.message: gr.skip()} if link is None else self._showing(link)

    def open(self, values: Values, request: gr.Request) -> Updates:
        """Adds a file that the person opens to the chain."""
        try:
            self._claim_page(request)
            path = values[self.tab.open]
            if not isinstance(path, str):
                raise InvalidRequest("image", "No picture arrived.", "Try again.")
            limits = self.service.config.settings.pictures
            picture = read_picture(Upload.handed_in(Path(path), limits), limits)
            kept = self.service.keep_picture(picture)
            return self.grown(values[self.chain], [kept], "opened") | {self.tab.message: words.notice_html(list(picture.notices))}
        except InpaintError as error:
            return {self.tab.message: words.error_html(error)}

    def take_result(self, values: Values, request: gr.Request) -> Updates:
        """Adds the Edit tab's chosen result to the chain, and switches to the Generate tab."""
        try:
            self._claim_page(request)
            path = self.editor.results.chosen_result(values)
            return self.grown(values[self.chain], [path], "edited") | {
                self.tabs: gr.Tabs(selected="generate"),
                self.tab.fold: gr.update(open=True),
            }
        except InpaintError as error:
            return {self.editor.page.tab.message: words.error_html(error)}

    def edit_this(self, values: Values, request: gr.Request) -> Updates:
        """Opens the shown picture in the Edit tab. Refused while this page has a run, which would end on another picture."""
        try:
            self._claim_page(request)
            upload = Upload.own(Path(self.shown_link(values).path))
            self.editor.page.claim(request)
            return self.editor.opening.opened(upload) | {self.tabs: gr.Tabs(selected="edit"), self.tab.message: ""}
        except InpaintError as error:
            return {self.tab.message: words.error_html(error)}

    def shown_link(self, values: Values) -> Link:
        """Returns the picture that is shown. Raises InvalidRequest if there is none."""
        link = values[self.chain].find(values[self.shown])
        if link is None:
            raise InvalidRequest("image", NO_PICTURE)
        return link

    def _showing(self, link: Link) -> Updates:
        return {
            self.shown: link.number,
            self.tab.empty: gr.update(visible=False),
            self.tab.picture: gr.update(value=link.path, visible=True),
            self.tab.line: words.line_html(link.line),
            self.tab.strip: gr.update(shown=link.number),
            self.tab.again: gr.update(visible=self.tab.reimagine is not None),
            self.tab.edit: gr.update(visible=True),
            self.tab.download: gr.update(value=link.path, visible=True),
        }

    def _thumbnail(self, path: Path) -> str:
        limits = self.service.config.settings.pictures
        return thumbnail_url(read_picture(Upload.own(path), limits).pixels, THUMBNAIL_SIDE)

    def _claim_page(self, request: gr.Request) -> None:
        """Notes that this page has begun something of its own, so that no earlier run is restored into it. Raises Busy if the
        page has a run.
        """
        person, page_id = person_of(request), str(request.session_hash)
        if (
            self.editor.page.own_job(request)
            or self.runs.unfinished(person, page_id)
            or self.service.worker.current(account_of(request), page_id)
        ):
            raise Busy(*STILL_GOING)
        self.runs.claim(person, page_id)
