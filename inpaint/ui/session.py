"""What one page (one browser tab) has open: the untouched upload and the last results. Server side only; knows no widgets."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from inpaint.core.geometry import Extent
from inpaint.storage.uploads import Upload


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
