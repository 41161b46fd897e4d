"""What a page has open lies on disk, and is told where it went."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from inpaint.config.settings import AppConfig
from inpaint.core.geometry import Extent
from inpaint.errors import UnreadableImage
from inpaint.service import Service
from inpaint.storage.uploads import Upload
from inpaint.ui.generate.chain import Chain
from inpaint.ui.page import build_page
from inpaint.ui.runs.session import Session
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


def test_an_upload_that_is_used_is_young_again(tmp_path: Path) -> None:
    """Gradio, and the quota, remove uploads by age."""
    path = save(noise(8, 9), tmp_path / "photo.png")
    os.utime(path, (0, 0))
    Session.opened(Upload.own(path), Extent(9, 8), Extent(9, 8)).upload()
    assert time.time() - path.stat().st_mtime < 60


def test_what_pages_have_open_is_known(config: AppConfig) -> None:
    """From the states that Gradio keeps; before the launch there are none."""
    service = Service.build(config)
    page = build_page(service)
    assert page.open_files() == set()
    first = Session("id", Path("/cache/a/photo.jpg"), results=("/results/1/photo-7.png", "/results/1/photo-8.png"))
    chain = Chain().grown([("/results/2/dog-1.png", "", "")], "generated")
    sessions = {"a": SimpleNamespace(state_data={1: first, 2: 5, 3: ("", "")}), "b": SimpleNamespace(state_data={1: Session(), 4: chain})}
    page.state_holder = SimpleNamespace(session_data=sessions)
    assert {str(path) for path in page.open_files()} == {
        "/cache/a/photo.jpg",
        "/results/1/photo-7.png",
        "/results/1/photo-8.png",
        "/results/2/dog-1.png",
    }
    assert service.housekeeper._in_use() == page.open_files()
