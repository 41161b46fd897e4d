"""What a page has open lies on disk, and is told where it went."""

from __future__ import annotations

from pathlib import Path

import pytest

from inpaint.core.geometry import Extent
from inpaint.errors import UnreadableImage
from inpaint.storage.uploads import Upload
from inpaint.ui.session import Session
from tests.fakes import noise, save


def test_the_upload_is_read_again_whole(tmp_path: Path) -> None:
    upload = Upload.own(save(noise(8, 9), tmp_path / "photo.png"))
    session = Session.opened(upload, Extent(9, 8), Extent(9, 8))
    assert session.upload() == upload and upload.data not in vars(session).values()


@pytest.mark.parametrize("opened", [True, False])
def test_a_picture_that_is_gone_is_told(opened: bool, tmp_path: Path) -> None:
    path = save(noise(8, 9), tmp_path / "photo.png")
    session = Session.opened(Upload.own(path), Extent(9, 8), Extent(9, 8)) if opened else Session()
    path.unlink()
    with pytest.raises(UnreadableImage, match="no longer on the server"):
        session.upload()
