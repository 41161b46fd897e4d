"""What the Edit tab's handlers share: the service, the tab's widgets, and the state of each page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import gradio as gr
from gradio.components import Component

from inpaint.core.geometry import Bounds
from inpaint.core.region import Region
from inpaint.errors import InpaintError
from inpaint.jobs.job import Job
from inpaint.service import Service
from inpaint.ui import words
from inpaint.ui.downloads.line import FetchHandlers
from inpaint.ui.edit.tab import EditTab
from inpaint.ui.examples import Example
from inpaint.ui.runs.identity import account_of, person_of
from inpaint.ui.runs.resume import OpenRun, OpenRuns
from inpaint.ui.runs.session import KEPT_SECONDS, Session
from inpaint.ui.stage.stage import HeldValue

Updates = dict[Any, Any]
Values = Mapping[Component, Any]

PAINT_FIRST = "Paint the part to change first."
NOT_RUNNING: Mapping[str, Any] = {"running": {}, "preview": {}}
"""The stage's props while no run is going on."""


@dataclass(frozen=True, eq=False)
class OpenEdit(OpenRun):
    """An edit that was started. It holds no pixels: the picture is read again from the session's upload.

    mask_url: the painted mask in upload space, as a PNG data URL. region: the work area of the edit.
    """

    session: Session
    model: str
    grow: int
    feather: int
    mask_url: str
    region: Region


@dataclass(frozen=True, eq=False)
class EditContext:
    """The service, the widgets and the states that the Edit tab's handlers work on.

    The gr.State fields exist once per page. session: what is open. held: the stage's latest value. found: the number of the
    run that was found again. asked: the example that was opened, as its name and a token, so that opening the same one twice
    is a change.
    """

    service: Service
    tab: EditTab
    chip: gr.HTML
    examples: Mapping[str, Example]
    fetches: FetchHandlers
    session: gr.State = field(default_factory=lambda: gr.State(Session(), time_to_live=KEPT_SECONDS))
    held: gr.State = field(default_factory=lambda: gr.State(HeldValue(), time_to_live=KEPT_SECONDS))
    found: gr.State = field(default_factory=lambda: gr.State(0))
    asked: gr.State = field(default_factory=lambda: gr.State(("", "")))
    runs: OpenRuns[OpenEdit] = field(default_factory=OpenRuns[OpenEdit])

    def nothing(self) -> Updates:
        """Returns an answer that changes nothing. If a generator ended without one, Gradio would empty every output."""
        return {self.tab.message: gr.skip()}

    def idle(self) -> Updates:
        """Returns the buttons' updates for a page on which nothing runs."""
        return {
            self.tab.run: gr.update(visible=True),
            self.tab.cancel: gr.update(visible=False),
            self.tab.as_is: gr.update(visible=False),
            self.tab.progress: gr.update(visible=False),
        }

    def failed(self, error: InpaintError) -> Updates:
        """Returns updates that show an error and what to do. Picture and mask stay."""
        return self.idle() | {self.tab.message: words.error_html(error), self.tab.stage: gr.update(**NOT_RUNNING)}

    def claim(self, request: gr.Request) -> None:
        """Notes that this page has begun something of its own, so that no earlier run is restored into it."""
        self.runs.claim(person_of(request), str(request.session_hash))

    def own_job(self, request: gr.Request) -> Job[Any] | None:
        """Returns the unfinished job that this page follows: started from it, or found again after a reload."""
        person, page_id = person_of(request), str(request.session_hash)
        return self.runs.unfinished(person, page_id) or self.service.worker.current(account_of(request), page_id)


def area_of(crop: Bounds) -> dict[str, Any]:
    """Returns the stage's prop that outlines the work area."""
    return {"bounds": crop.as_list(), "label": "work area"}
