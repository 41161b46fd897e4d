"""What one page (one browser tab) has open: the untouched upload and the last results. Server side only; knows no widgets."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from inpaint.core.geometry import Extent
from inpaint.storage.uploads import Upload

KEPT_SECONDS = 24 * 3600
"""What a page has open goes a day after it last changed: without Gradio's heartbeat nobody tells that the page was closed. Uploads and
served copies on disk go then too; results lie elsewhere and are kept."""


@dataclass(frozen=True)
class Session:
    """picture_id ties a mask from the stage to this picture; "" = nothing open. results: paths of files on disk."""

    picture_id: str = ""
    upload: Upload | None = None
    proxy: Extent = Extent(1, 1)
    full: Extent = Extent(1, 1)
    results: tuple[str, ...] = ()

    @classmethod
    def opened(cls, upload: Upload, proxy: Extent, full: Extent) -> Session:
        return cls(secrets.token_hex(8), upload, proxy, full)
