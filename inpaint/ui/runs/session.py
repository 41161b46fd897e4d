"""What one page (one browser tab) has open: the path of the untouched upload, and the last results. Server side only; knows no widgets."""

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
"""How long a page's state is kept after its last change. Without Gradio's heartbeat the server does not learn that a page was closed.
Uploads and served copies on disk are removed then too; results are stored elsewhere and kept."""


@dataclass(frozen=True)
class Session:
    """The picture that a page has open, and the results of its last run.

    picture_id: ties a mask from the stage to this picture; "" = nothing open. path: the upload on disk; its bytes are not
    kept in memory. proxy, full: extents of the picture shown and of the upload. results: paths of files on disk. chosen:
    index of the result that is shown.
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
        """The paths of all files that the page has open."""
        return [*([self.path] if self.path else []), *map(Path, self.results)]

    def upload(self) -> Upload:
        """Reads the upload as it was handed in, and marks its file as new so that it is kept longer. Raises UnreadableImage."""
        if self.path is None or not self.path.is_file():
            raise UnreadableImage("The picture is no longer on the server.", "Open it again.")
        with contextlib.suppress(OSError):
            os.utime(self.path)
        return Upload.own(self.path)
