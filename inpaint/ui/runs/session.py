"""What one page (one browser tab) has open: where the untouched upload lies, and the last results. Server side only; knows no widgets."""

from __future__ import annotations

import contextlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from inpaint.core.geometry import Extent
from inpaint.errors import UnreadableImage
from inpaint.storage.uploads import Upload

KEPT_SECONDS = 24 * 3600
"""What a page has open goes a day after it last changed: without Gradio's heartbeat nobody tells that the page was closed. Uploads and
served copies on disk go then too; results lie elsewhere and are kept."""


@dataclass(frozen=True)
class Session:
    """picture_id ties a mask from the stage to this picture; "" = nothing open. results: paths of files on disk; chosen: which of them is shown.

    path: the upload, on disk; of many pages that were left open no bytes stay in memory.
    """

    picture_id: str = ""
    path: Path | None = None
    proxy: Extent = Extent(1, 1)
    full: Extent = Extent(1, 1)
    results: tuple[str, ...] = ()
    chosen: int = 0

    @classmethod
    def opened(cls, upload: Upload, proxy: Extent, full: Extent) -> Session:
        return cls(secrets.token_hex(8), upload.path, proxy, full)

    @property
    def files(self) -> list[Path]:
        """All on disk that the page has open."""
        return [*([self.path] if self.path else []), *map(Path, self.results)]

    def upload(self) -> Upload:
        """The file as it was handed in; from now on it is young again. Raises UnreadableImage."""
        if self.path is None or not self.path.is_file():
            raise UnreadableImage("The picture is no longer on the server.", "Open it again.")
        with contextlib.suppress(OSError):
            os.utime(self.path)
        return Upload.own(self.path)
