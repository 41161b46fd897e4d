"""Opens a picture on the Edit tab: a file, an example, or a picture that another tab hands over."""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path

import gradio as gr

from inpaint.core.masks.mask import Mask
from inpaint.core.picture import Picture
from inpaint.errors import InpaintError, InvalidRequest, ModelUnavailable
from inpaint.storage.previews import preview_of
from inpaint.storage.uploads import Upload, read_picture
from inpaint.ui import words
from inpaint.ui.component import sent_with
from inpaint.ui.edit.context import NOT_RUNNING, PAINT_FIRST, EditContext, OpenEdit, Updates, Values
from inpaint.ui.edit.readiness import Readiness
from inpaint.ui.edit.tab import AUTOMATIC
from inpaint.ui.images import data_url_png, preview_url
from inpaint.ui.runs.session import Session


class Opening:
    """Handlers that open a picture. Each public method answers one event, or builds the updates that show a picture."""

    def __init__(self, page: EditContext, readiness: Readiness) -> None:
        self.page, self.readiness = page, readiness

    def open_upload(self, path: str | None, request: gr.Request) -> Updates:
        """Opens a file that came through the upload control. The file is kept unchanged, and the stage gets a smaller copy."""
        self.page.claim(request)
        try:
            if path is None:
                raise InvalidRequest("image", "No picture arrived.", "Try again.")
            self.page.service.housekeeper.sweep_soon()
            limits = self.page.service.config.settings.pictures
            return self.opened(Upload.handed_in(Path(path), limits))
        except InpaintError as error:
            notice = {"id": secrets.token_hex(8), "text": "Not opened."}
            return {self.page.tab.message: words.error_html(error), self.page.tab.stage: gr.update(notice=notice)}

    def opened(self, upload: Upload) -> Updates:
        """Returns updates that show the picture with nothing painted. Raises UnreadableImage, ImageTooLarge."""
        picture = read_picture(upload, self.page.service.config.settings.pictures)
        return self._shown(upload, picture)

    def open_example(self, event: gr.EventData, request: gr.Request) -> Updates:
        """Opens an example: photo, mask and prompt. The change of `asked` then runs it. An example without a prompt leaves what
        is typed.
        """
        example = self.page.examples.get(str(sent_with(event, "name")))
        if example is None:
            return self.page.nothing()
        self.page.claim(request)
        try:
            opened = self._painted(example.upload, example.picture, example.mask)
            said = self._words_of_example(example.shot.words.prompt) if example.shot.words else {}
        except InpaintError as error:
            return self.page.failed(error)
        return opened | said | {self.page.asked: (example.shot.name, secrets.token_hex(8))}

    def fill(self, values: Values, event: gr.EventData, request: gr.Request) -> Updates:
        """Opens a photo with its mask and fills in the prompt for it. Nothing runs."""
        example = self.page.examples.get(str(sent_with(event, "name")))
        ready = example.shot.words if example else None
        if example is None or ready is None:
            return {self.page.tab.message: gr.skip()}
        self.page.claim(request)
        known = self.page.service.models.specs.get(ready.model)
        spec = (
            known.on_task("inpaint")
            if known and known.can("inpaint")
            else self.page.service.models.default("inpaint", has_prompt=False).spec
        )
        given = {"prompt": ready.prompt, "negative_prompt": ready.negative, **ready.given}
        box = spec.name if known else AUTOMATIC
        return self._painted(example.upload, example.picture, example.mask) | self.page.tab.form.restore(
            spec, given, values[self.page.tab.form.chosen], box
        )

    def _words_of_example(self, prompt: str) -> Updates:
        """Returns updates with an example's prompt. They also select the model that knows it, if Automatic would choose another
        or none.
        """
        spec, automatic = self.readiness.model_knowing(prompt), None
        with contextlib.suppress(ModelUnavailable):
            automatic = self.page.service.models.default("inpaint", bool(prompt)).spec.name
        return {self.page.tab.form.prompt: prompt, self.page.tab.form.model: AUTOMATIC if spec.name == automatic else spec.name}

    def reopened(self, run: OpenEdit) -> Updates:
        """Returns updates that show the picture and the mask of an edit that was left running."""
        upload = run.session.upload()
        picture = read_picture(upload, self.page.service.config.settings.pictures)
        return self._with_mask(self._shown(upload, picture), run.mask_url, {"grow": run.grow, "feather": run.feather})

    def _painted(self, upload: Upload, picture: Picture, mask: Mask) -> Updates:
        return self._with_mask(self._shown(upload, picture), data_url_png(mask.pixels), {})

    def _with_mask(self, shown: Updates, mask_url: str, band: dict[str, int]) -> Updates:
        props = {"mask": {"id": secrets.token_hex(8), "url": mask_url}} | ({"band": band} if band else {})
        return shown | {self.page.tab.stage: shown[self.page.tab.stage] | props}

    def _shown(self, upload: Upload, picture: Picture) -> Updates:
        preview = preview_of(picture.pixels)
        session = Session.opened(upload, preview.extent, picture.extent)
        prop = {
            "id": session.picture_id,
            "url": preview_url(preview),
            "width": preview.extent.width,
            "height": preview.extent.height,
            "full_width": picture.extent.width,
            "full_height": picture.extent.height,
            "name": upload.name,
        }
        return {
            self.page.session: session,
            self.page.tab.stage: gr.update(picture=prop, result={}, work_area={}, mask={}, **NOT_RUNNING),
            self.page.tab.actions: gr.update(visible=False),
            self.page.tab.message: words.notice_html(list(picture.notices)),
            self.page.tab.plan: f'<p class="ip-note">{PAINT_FIRST}</p>',
            self.page.tab.run: gr.update(value="Run", interactive=False),
        }
