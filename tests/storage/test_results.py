"""Results are written whole or not at all, hold what was computed, and carry the date and profile but not the place."""

from __future__ import annotations

import errno
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inpaint.core.geometry import Extent
from inpaint.core.picture import Picture
from inpaint.errors import InvalidRequest, StorageFull
from inpaint.storage import results
from inpaint.storage.results import (
    FORMAT_BY_ENDING,
    LOSSLESS,
    check_extent,
    check_output,
    new_results,
    save_picture,
    write_atomically,
)
from inpaint.storage.uploads import Upload, read_picture
from tests.conftest import LIMITS
from tests.fakes import noise
from tests.storage.pictures import EXIF_IFD, GPS_IFD, ORIENTATION, TAKEN, encoded, exif, smooth, srgb_profile


def litter(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


@contextmanager
def at_most_bytes_per_file(size: int) -> Iterator[None]:
    """A full disk, as this process sees it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("ending", FORMAT_BY_ENDING)
def test_every_format_holds_the_picture(ending: str, channels: int, tmp_path: Path) -> None:
    pixels = np.dstack([smooth(40, 60), np.full((40, 60, 1), 255, np.uint8)])[..., :channels]
    saved = save_picture(Picture(pixels), tmp_path / f"out{ending.upper()}")
    with Image.open(saved.path) as image:
        assert image.format == FORMAT_BY_ENDING[ending]
        assert np.abs(np.asarray(image.convert("RGB")).astype(int) - pixels[..., :3]).max() <= 24
    if saved.picture is not None:
        assert np.array_equal(saved.picture.pixels, pixels) and saved.notices == ()
    else:
        assert "computed before encoding" in saved.notices[-1]
    assert (saved.picture is None) == (FORMAT_BY_ENDING[ending] not in LOSSLESS or (channels == 4 and ending == ".bmp"))
    assert litter(tmp_path) == []


@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_hidden_colours_are_written_as_they_are(ending: str, tmp_path: Path) -> None:
    pixels = noise(9, 9, 4)
    pixels[:5, :, 3] = 0
    saved = save_picture(Picture(pixels), tmp_path / f"out{ending}")
    assert saved.picture is not None and np.array_equal(saved.picture.pixels, pixels)


@pytest.mark.parametrize("ending", [".jpg", ".bmp"])
def test_formats_without_transparency_put_it_on_white(ending: str, tmp_path: Path) -> None:
    pixels = np.zeros((16, 16, 4), np.uint8)
    saved = save_picture(Picture(pixels), tmp_path / f"out{ending}")
    with Image.open(saved.path) as image:
        assert np.asarray(image).min() >= 250
    assert "holds no transparency; it was put on white" in saved.notices[0]


@pytest.mark.parametrize("ending", [".png", ".jpg", ".webp", ".avif", ".tif"])
def test_date_and_profile_travel_along_and_the_place_does_not(ending: str, tmp_path: Path) -> None:
    photo = encoded(Image.fromarray(smooth(24, 32)), "JPEG", exif=exif(6, place=True), icc_profile=srgb_profile())
    picture = read_picture(Upload("photo.jpg", photo), LIMITS)
    saved = save_picture(picture, tmp_path / f"out{ending}")
    with Image.open(saved.path) as image:
        carried = image.getexif()
        assert (carried[0x0132] if ending == ".tif" else carried.get_ifd(EXIF_IFD)[0x9003]) == TAKEN
        assert not carried.get_ifd(GPS_IFD) and carried.get(ORIENTATION, 1) == 1
        assert image.info["icc_profile"] == srgb_profile()
        assert image.size == (24, 32)
    again = read_picture(Upload("out", saved.path.read_bytes()), LIMITS)
    assert again.extent == picture.extent and again.taken == TAKEN


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("out", "must end in", id="no ending"),
        pytest.param("out.heic", "must end in", id="unknown ending"),
        pytest.param(".png", "must end in", id="an ending alone"),
        pytest.param("", "must end in", id="nothing"),
        pytest.param("folder.png", "is a folder", id="a folder"),
        pytest.param("missing/out.png", "does not exist", id="folder missing"),
        pytest.param("photo.png/out.png", "cannot be written|does not exist", id="a file as folder"),
        pytest.param("a" * 300 + ".png", "cannot be written", id="too long"),
        pytest.param("nul\0.png", "cannot be written", id="NUL"),
        pytest.param("loop.png", "cannot be written", id="a link in a circle"),
        pytest.param("pipe.png", "not a plain file", id="a pipe"),
        pytest.param("/proc/out.png", "cannot be written", id="a kernel folder"),
        pytest.param("photo.png", "would replace .*photo.png, which this edit reads", id="the photo"),
        pytest.param("./folder.png/../photo.png", "would replace", id="the photo by another path"),
        pytest.param("link.png", "would replace", id="the photo through a link"),
    ],
)
def test_outputs_that_are_refused_before_anything_runs(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "photo.png").write_bytes(b"mine")
    (tmp_path / "link.png").symlink_to("photo.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(InvalidRequest, match=message) as caught:
        check_output(tmp_path / name, inputs=[tmp_path / "photo.png", tmp_path / "missing.png"])
    assert caught.value.field == "output"
    assert (tmp_path / "photo.png").read_bytes() == b"mine" and litter(tmp_path) == []


@pytest.mark.parametrize("name", ["new.png", "there.png", "two\nlines.png", "caf\u00e9 \U0001f60e.PNG", "\udcff.png"], ids=ascii)
def test_outputs_that_are_fine(name: str, tmp_path: Path) -> None:
    (tmp_path / "there.png").write_bytes(b"old")
    check_output(tmp_path / name, inputs=[tmp_path / "photo.png"])
    assert litter(tmp_path) == [] and (tmp_path / "there.png").read_bytes() == b"old"


def test_a_disk_that_is_full_from_the_start_is_the_machines_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(results.os, "open", full)
    with pytest.raises(StorageFull, match="No space left on device"):
        check_output(tmp_path / "out.png")


@pytest.mark.parametrize(
    ("ending", "extent", "fits"),
    [
        (".webp", Extent(16_384, 20), False),
        (".webp", Extent(20, 16_383), True),
        (".png", Extent(16_384, 20), True),
        (".jpg", Extent(16_384, 20), True),
        (".avif", Extent(20, 16_384), True),
    ],
    ids=str,
)
def test_formats_with_a_smaller_limit(ending: str, extent: Extent, fits: bool, tmp_path: Path) -> None:
    path = tmp_path / f"out{ending}"
    if fits:
        check_extent(path, extent)
        assert save_picture(Picture(noise(extent.height, extent.width)), path).path == path
    else:
        with pytest.raises(InvalidRequest, match="WEBP holds at most 16,383 px a side; the picture is 16384 x 20"):
            check_extent(path, extent)


def test_a_full_disk_leaves_the_old_file_whole_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    out.write_bytes(b"the old result")
    with at_most_bytes_per_file(1_000), pytest.raises(StorageFull, match="out.png could not be written"):
        save_picture(Picture(noise(100, 100)), out)
    assert out.read_bytes() == b"the old result" and os.listdir(tmp_path) == ["out.png"]


def test_a_folder_that_vanished_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StorageFull, match="could not be written"):
        write_atomically(tmp_path / "gone" / "out.png", b"data")


def test_a_replaced_file_has_the_rights_of_a_new_one(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "out.png", b"data")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out.png").stat().st_mode) == 0o640


def test_an_output_that_is_a_link_is_replaced_and_its_target_kept(tmp_path: Path) -> None:
    (tmp_path / "kept.png").write_bytes(b"kept")
    (tmp_path / "out.png").symlink_to("kept.png")
    write_atomically(tmp_path / "out.png", b"new")
    assert (tmp_path / "kept.png").read_bytes() == b"kept" and (tmp_path / "out.png").read_bytes() == b"new"


def test_a_kill_while_writing_leaves_no_half_file_under_the_final_name(tmp_path: Path) -> None:
    """The process ends itself, without any cleaning up, in the middle of the data."""
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom inpaint.storage import results\n"
        "results.os.fsync = lambda handle: os._exit(9)\n"
        "results.write_atomically(Path(sys.argv[1]), b'x' * 1000)"
    )
    out = tmp_path / "out.png"
    out.write_bytes(b"old")
    assert subprocess.run([sys.executable, "-c", program, str(out)], check=False, timeout=60).returncode == 9
    assert out.read_bytes() == b"old"


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("photo", "photo"),
        ("../../etc/passwd", "______etc_passwd"),
        ("", "picture"),
        ("a" * 300, "a" * 249),
        ("\udcff\n\0", "___"),
        ("<script>", "_script_"),
        ("-rf", "-rf"),
        ("\u0939\u093f\u0928\u094d\u0926\u0940", "\u0939\u093f\u0928\u094d\u0926\u0940"),
        ("cafe\u0301", "caf\u00e9"),
        ("\U0001f469\u200d\U0001f680" * 99, "\U0001f469\u200d\U0001f680" * 22),
        ("a\u202egpj", "agpj"),
        ("CON", "CON"),
        ("x. ", "x_"),
    ],
    ids=ascii,
)
def test_results_of_the_page_are_named_after_the_original_in_a_folder_of_their_own(name: str, stem: str, tmp_path: Path) -> None:
    paths = new_results(tmp_path, name, [7, 8])
    assert [path.name for path in paths] == [f"{stem}-7.png", f"{stem}-8.png"]
    assert paths[0].parent.parent == tmp_path / "results"
    assert new_results(tmp_path, name, [7])[0].parent != paths[0].parent
    write_atomically(paths[0], b"data")


@pytest.mark.parametrize("name", ["a", "\u0939\u093f", "\U0001f469\u200d\U0001f680", "nul", "\u00e9"], ids=ascii)
@pytest.mark.parametrize("seed", [0, 2**32 - 1])
def test_a_result_has_a_name_that_every_file_system_takes(name: str, seed: int, tmp_path: Path) -> None:
    (path,) = new_results(tmp_path, name * 300, [seed])
    write_atomically(path, b"data")
    assert len(path.name.encode()) <= 255 and path.name.endswith(f"-{seed}.png")
    assert path.name.partition(".")[0].upper() not in {"CON", "PRN", "AUX", "NUL", "COM1", "LPT1"}


def test_a_data_folder_that_cannot_be_made_is_the_machines_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageFull, match="Nothing can be written"):
        new_results(tmp_path / "file", "photo", [1])
