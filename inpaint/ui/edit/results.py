"""What a person does with a result on the Edit tab: return to painting, continue with it, or look at another candidate."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import gradio as gr

from inpaint.errors import InpaintError, InvalidRequest
from inpaint.storage.uploads import Upload
from inpaint.ui import words
from inpaint.ui.component import sent_with
from inpaint.ui.edit.context import EditContext, Updates, Values
from inpaint.ui.edit.opening import Opening
from inpaint.ui.runs.session import Session


class Results:
    """Handlers of a result's buttons. Each public method answers one event."""

    def __init__(self, page: EditContext, opening: Opening) -> None:
        self.page, self.opening = page, opening

    def back(self) -> Updates:
        """Hides the result. The mask is still there."""
        return {
            self.page.tab.stage: gr.update(result={}),
            self.page.tab.actions: gr.update(visible=False),
            self.page.tab.run: gr.update(value="Run"),
            self.page.tab.message: "",
        }

    def keep(self, values: Values) -> Updates:
        """Makes the chosen result the picture to edit."""
        try:
            return self.opening.opened(Upload.own(self.chosen_result(values)))
        except InpaintError as error:
            return {self.page.tab.message: words.error_html(error)}

    def choose_candidate(self, values: Values, event: gr.EventData) -> Updates:
        """Selects the candidate that is shown, so that Download and later steps use its file."""
        session: Session = values[self.page.session]
        if not session.results:
            return {self.page.tab.download: gr.skip()}
        index = sent_with(event, "index")
        chosen = index if isinstance(index, int) and 0 <= index < len(session.results) else 0
        return {
            self.page.session: dataclasses.replace(session, chosen=chosen),
            self.page.tab.download: gr.update(value=session.results[chosen]),
        }

    def chosen_result(self, values: Values) -> Path:
        """Returns the file of the candidate that is shown. Raises InvalidRequest."""
        session: Session = values[self.page.session]
        if not session.results:
            raise InvalidRequest("result", "There is no result on the server's disk.")
        return Path(session.results[session.chosen])
