"""A disk that is full is told before work begins; one that fills up while a job runs costs no finished picture."""

from __future__ import annotations

import errno
import io
import os
import socket
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inpaint.config.load import load_config
from inpaint.config.settings import StorageLimits
from inpaint.core.picture import Picture
from inpaint.core.request import GenerateRequest, SamplingParams
from inpaint.errors import StorageFull
from inpaint.service import Service
from inpaint.storage.journal import Journal
from inpaint.storage.quota import Housekeeper
from inpaint.storage.results import LITTER_SECONDS, save_picture
from inpaint.storage.space import Space, free_bytes
from inpaint.storage.unsaved import KEPT_SECONDS, Shelf
from tests.fakes import noise
from tests.faults.calling import erased, still_serves, uploaded, visitor
from tests.serving import PATIENCE_SECONDS, Serve, Served
from tests.ui.app_page import AppPage
from tests.ui.conftest import DESKTOP
from tests.ui.stage.stage_app import Seen

MORE_THAN_THERE_IS = "1000000000000"
REFUSES = """
import errno, os, pathlib, runpy, sys, tempfile
from inpaint.storage import results
from gradio import route_utils

def guarded(own, *names):
    def call(*given, **options):
        if pathlib.Path(os.environ["FLAG"]).exists() and any(name in os.environ["REFUSED"] for name in names):
            raise OSError(getattr(errno, os.environ["ERRNO"]), os.strerror(getattr(errno, os.environ["ERRNO"])))
        return own(*given, **options)
    return call

results.tempfile.mkdtemp = guarded(results.tempfile.mkdtemp, "folder")
results.replace_file = guarded(results.replace_file, "file")
route_utils.NamedTemporaryFile = guarded(route_utils.NamedTemporaryFile, "upload")
runpy.run_path("app.py", run_name="__main__")
"""
"""The app on a disk that takes nothing more once a file of the name FLAG is there: REFUSED says what, ERRNO why."""


@pytest.fixture
def flag(tmp_path: Path) -> Path:
    return tmp_path / "full"


def refusing(serve: Serve, flag: Path, refused: str, why: str = "ENOSPC") -> Served:
    return serve(program=("-c", REFUSES), FLAG=str(flag), REFUSED=refused, ERRNO=why)


def test_below_the_floor_nothing_begins(serve: Serve, tmp_path: Path) -> None:
    """On a disk that has less than the floor from the start: an upload is refused before it is read, and the server is not ready."""
    with visitor(serve(INPAINT_FREE_MEGABYTES=MORE_THAN_THERE_IS)) as client:
        refused = client.post("/gradio_api/upload", files={"files": b"x"})
        assert refused.status_code == 507
        assert (
            refused.json()["error"].startswith("The server's disk is almost full: ")
            and "MB have to be. The file was not taken." in refused.json()["error"]
        )
        ready = client.get("/readyz")
        assert ready.status_code == 503 and ready.json()["reason"].startswith("The server's disk is almost full: ")
        assert client.get("/healthz").status_code == 200
        assert str(tmp_path) not in refused.text + ready.text


def test_below_the_floor_no_job_is_queued(tmp_path: Path) -> None:
    flags = {"device": "cpu", "data_dir": str(tmp_path)}
    config = load_config(environment={"INPAINT_FREE_MEGABYTES": MORE_THAN_THERE_IS}, flags=flags)
    server, command_line = Service.build(config, Journal(tmp_path / "running")), Service.build(config)
    with pytest.raises(StorageFull, match="almost full") as refused:
        server.start_generate(GenerateRequest("sdxl-turbo", SamplingParams(seed=1)), "ann")
    assert str(tmp_path) not in str(refused.value)
    assert command_line.space.shortage == "", "it writes where it is told to"


@pytest.mark.parametrize(("given", "free", "short"), [(500, 499_000_000, True), (500, 500_000_000, False), (0.5, 400_000, True)])
def test_the_floor(given: float, free: int, short: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inpaint.storage.space.free_bytes", lambda folder: free)
    assert bool(Space([tmp_path], given).shortage) == short


def test_the_disk_of_a_folder_that_is_not_there_is_that_of_the_one_above(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert None not in {free_bytes(tmp_path / "a" / "b"), free_bytes(tmp_path / "file" / "b")}


@pytest.mark.parametrize(
    ("refused", "why", "reason"),
    [
        pytest.param("folder", "ENOSPC", "The disk is full.", id="no folder fits"),
        pytest.param("file", "ENOSPC", "The disk is full.", id="no file fits"),
        pytest.param("file", "EDQUOT", "The disk is full.", id="a quota"),
        pytest.param("file", "EROFS", "The folder for results cannot be written.", id="read-only by now"),
    ],
)
def test_a_picture_is_downloaded_although_the_disk_takes_it_no_more(
    refused: str, why: str, reason: str, serve: Serve, flag: Path, tmp_path: Path, log: Path
) -> None:
    served = refusing(serve, flag, refused, why)
    with visitor(served) as client:
        places = uploaded(client, tmp_path)
        flag.touch()
        kind, told = erased(client, places)
        assert kind == "complete", told
        files, report = told
        assert files == [] and report["notices"][-1] == f"{reason} This result is not kept; download it now."
        (address,), (name,) = report["downloads"], report["outputs"]
        answer = client.get(f"/{address}")
        assert answer.status_code == 200 and answer.headers["content-type"] == "image/png" and name in answer.headers["content-disposition"]
        picture, photo = (
            np.asarray(Image.open(io.BytesIO(content))) for content in (answer.content, (tmp_path / "photo.png").read_bytes())
        )
        assert picture.shape == photo.shape and not (picture == photo).all() and (picture[:10] == photo[:10]).all()
        assert client.get(f"/kept/{'x' * 32}/{name}").status_code == 404
        assert str(served.data) not in str(told)
        flag.unlink()
        still_serves(client, tmp_path)
    assert "Traceback" not in log.read_text() and "a result could not be written and is in memory only" in log.read_text()


def test_a_result_in_memory_is_behind_the_login(serve: Serve, flag: Path, tmp_path: Path) -> None:
    """A browser that has logged in gets it by its cookie, a program by HTTP Basic, and a stranger who knows the address does not."""
    served = serve("--auth", "ann:secret", program=("-c", REFUSES), FLAG=str(flag), REFUSED="folder file", ERRNO="ENOSPC")
    with visitor(served) as client, visitor(served) as stranger:
        assert client.post("/login", data={"username": "ann", "password": "secret"}).status_code == 200
        places = uploaded(client, tmp_path)
        flag.touch()
        _kind, (_files, report) = erased(client, places)
        (address,) = report["downloads"]
        assert client.get(f"/{address}").headers["content-type"] == "image/png"
        assert stranger.get(f"/{address}").status_code == 401
        assert stranger.get(f"/{address}", auth=("ann", "wrong")).status_code == 401
        assert stranger.get(f"/{address}", auth=("ann", "secret")).status_code == 200


@pytest.mark.parametrize(
    ("why", "status", "sentence"),
    [
        ("ENOSPC", 507, "The server's disk is full: the file was not taken."),
        ("EACCES", 503, "The server's folder for uploads cannot be written: the file was not taken."),
    ],
)
def test_an_upload_that_fits_no_more_is_a_sentence(why: str, status: int, sentence: str, serve: Serve, flag: Path, tmp_path: Path) -> None:
    with visitor(refusing(serve, flag, "upload", why)) as client:
        flag.touch()
        refused = client.post("/gradio_api/upload", files={"files": b"x"})
        assert (refused.status_code, refused.json()) == (status, {"error": sentence})
        flag.unlink()
        still_serves(client, tmp_path)


def test_what_a_cut_upload_leaves_is_swept_after_an_hour(serve: Serve, tmp_path: Path) -> None:
    served = serve()
    cut(served)
    (left,) = waited_for(served.data / "cache")
    keeper = Housekeeper(served.data, StorageLimits())
    keeper.sweep()
    assert left.exists(), "it could be on its way still"
    os.utime(left, (time.time() - LITTER_SECONDS - 60,) * 2)
    keeper.sweep()
    assert not left.exists()
    with visitor(served) as client:
        still_serves(client, tmp_path)


def cut(served: Served) -> None:
    """Half an upload; then the connection is closed."""
    port = int(served.url.rpartition(":")[2])
    head = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.sendall(
            b"POST /gradio_api/upload HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: multipart/form-data; boundary=b\r\n"
            b"Content-Length: 1000000\r\n\r\n" % port + head + bytes(100_000)
        )
        waited_for(served.data / "cache")


def waited_for(cache: Path) -> list[Path]:
    for _ in range(300):
        if found := list(cache.glob("tmp*")):
            return found
        time.sleep(0.1)
    raise AssertionError("no file was begun")


class TestShelf:
    """Results in memory."""

    def test_the_newest_stay_and_the_oldest_leave(self) -> None:
        shelf = Shelf(most_bytes=100)
        (first,), (second,) = shelf.take([("a.png", bytes(60))]), shelf.take([("b.png", bytes(40))])
        assert shelf.find(first.key) == first
        third = shelf.take([("c.png", bytes(80)), ("d.png", bytes(80))])
        assert [shelf.find(file.key) for file in (first, second, *third)] == [None, None, *third], "one run's results stay together"

    def test_after_a_while_they_go(self) -> None:
        now = [0.0]
        shelf = Shelf(clock=lambda: now[0])
        (file,) = shelf.take([("a b.png", b"x")])
        now[0] = KEPT_SECONDS
        assert shelf.find(file.key) == file and file.address == f"kept/{file.key}/a%20b.png"
        now[0] += 1
        assert shelf.find(file.key) is None and shelf.find("nothing") is None


def test_a_file_that_cannot_be_written_says_whether_for_want_of_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, is_full in ((errno.ENOSPC, True), (errno.EROFS, False)):

        def refuse(path: Path, write: object, number: int = number) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr("inpaint.storage.results.replace_file", refuse)
        with pytest.raises(StorageFull) as refused:
            save_picture(Picture(noise(4, 4)), tmp_path / "a.png")
        assert refused.value.is_full == is_full and ("Free some space." in str(refused.value)) == is_full
        assert str(tmp_path) not in str(refused.value)


@pytest.mark.browser
def test_the_page_shows_the_result_and_gives_it_from_memory(serve: Serve, flag: Path, chromium: Any, photo: Path, tmp_path: Path) -> None:
    served = refusing(serve, flag, "folder file")
    with chromium.new_context(**DESKTOP, accept_downloads=True) as context:
        context.set_default_timeout(PATIENCE_SECONDS * 1000)
        app = AppPage(context.new_page(), Seen(), tmp_path)
        app.visit(served.url)
        app.open_file(photo)
        app.rectangle((0.25, 0.25), (0.5, 0.5))
        flag.touch()
        app.press_run()
        app.result()
        app.says("The disk is full. This result is not kept; download it now.", "#message")
        assert app.page.locator("#download-button").is_disabled()
        app.page.screenshot(path=tmp_path / "page.png")
        with app.page.expect_download() as download:
            app.page.locator("#message a").click()
        assert Image.open(download.value.path()).size == Image.open(photo).size
        flag.unlink()
        app.page.locator("#another-button").click()
        app.page.locator("#download-button:enabled").wait_for()
        assert app.page.locator("#message a").count() == 0 and app.troubles == []
