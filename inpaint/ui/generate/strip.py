"""The chain as a strip of thumbnails: a gr.HTML component of this app. Knows no jobs and no files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from inpaint.ui.component import OwnComponent
from inpaint.ui.generate.chain import Chain

TEMPLATE = '<div class="ip-chain" role="group" aria-label="Chain of pictures"></div>'
SCRIPT = Path(__file__).with_name("strip.js")


class Strip(OwnComponent):
    """The strip of thumbnails. links: number, label and thumbnail of each picture. shown: number of the picture that is shown.

    Gradio builds the component again with all props at each update, so each prop is a parameter here.
    """

    OWN_EVENTS: ClassVar[tuple[str, ...]] = ("choose",)

    def __init__(
        self,
        value: str = "",
        *,
        links: list[dict[str, Any]] | None = None,
        shown: int = 0,
        elem_id: str | None = "chain",
        elem_classes: list[str] | str | None = None,
        visible: bool | Literal["hidden"] = True,
        render: bool = True,
        key: int | str | tuple[int | str, ...] | None = None,
    ) -> None:
        super().__init__(
            value,
            html_template=TEMPLATE,
            js_on_load=SCRIPT.read_text("utf-8"),
            apply_default_css=False,
            elem_id=elem_id,
            elem_classes=elem_classes,
            visible=visible,
            render=render,
            key=key,
            links=links or [],
            shown=shown,
        )


def strip_links(chain: Chain) -> list[dict[str, Any]]:
    return [{"number": link.number, "label": link.label, "url": link.thumbnail} for link in chain.links]
