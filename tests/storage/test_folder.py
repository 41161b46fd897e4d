"""The folders a server writes to: refused with what to do, and watched. Permission bits do not hold for root, so other means stand beside them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from inpaint.errors import BadConfig, FolderUnusable
from inpaint.storage import folder as folders
from inpaint.storage.folder import FolderWatch, check_folders, written_folders

ROOT = Path(__file__).parents[2]
NOBODY = 65_534
CHECK = """
import os, sys
from pathlib import Path
from inpaint.errors import InpaintError
from inpaint.storage.folder import check_folders
if len(sys.argv) > 2:  # only now: this Python may lie where that user cannot look
    os.setgroups([])
    os.setgid(int(sys.argv[2]))
    os.setuid(int(sys.argv[2]))
try:
    check_folders(Path(sys.argv[1]), Path(sys.argv[1]) / "cache")
except InpaintError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """One that every user can look into, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


def checked_elsewhere(folder: Path, *before: str, user: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """check_folders in a process of its own: behind a command, or as another user."""
    return subprocess.run(
        [*before, sys.executable, "-c", CHECK, str(folder), *user],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
    )


def test_folders_are_made_and_nothing_is_left_in_them(tmp_path: Path) -> None:
    check_folders(tmp_path / "a" / "data", tmp_path / "a" / "data" / "cache")
    assert sorted(path.name for path in (tmp_path / "a" / "data").rglob("*")) == ["cache", "results"]


@pytest.mark.parametrize(
    ("blocked", "said"),
    [
        pytest.param("data", r"The folder \S+/data is a file\. Move that file away, or name another with --data-dir\.", id="the folder"),
        pytest.param(".", r"The folder \S+/data cannot be made: \S+ is a file\.", id="one above it"),
        pytest.param("data/results", r"The folder \S+/data/results is a file\.", id="one in it"),
    ],
)
def test_a_file_in_its_place_is_a_wrong_setting(blocked: str, said: str, tmp_path: Path) -> None:
    place = tmp_path / "place"
    (place / blocked).parent.mkdir(parents=True, exist_ok=True)
    (place / blocked).write_text("")
    with pytest.raises(BadConfig, match=said):
        check_folders(place / "data", place / "data" / "cache")


def test_uploads_that_lie_elsewhere_name_their_own_variable(tmp_path: Path) -> None:
    (tmp_path / "uploads").write_text("")
    with pytest.raises(BadConfig, match="uploads is a file.*GRADIO_TEMP_DIR"):
        check_folders(tmp_path / "data", tmp_path / "uploads")


def test_uploads_that_cannot_be_made_name_their_variable_as_it_is_written(tmp_path: Path) -> None:
    too_long = tmp_path / ("u" * 300)
    with pytest.raises(FolderUnusable, match=r"u cannot be written: \S.*\. Name another with GRADIO_TEMP_DIR\.$"):
        check_folders(tmp_path / "data", too_long)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="this system has no user numbers")
@pytest.mark.parametrize("below", ["", "results"], ids=["the folder", "one in it, made by an earlier root"])
def test_a_folder_of_another_user_is_named_with_what_to_do(below: str, open_folder: Path) -> None:
    if os.getuid() == 0:
        os.chown(open_folder, NOBODY, NOBODY)
        (open_folder / below).mkdir(exist_ok=True)
        os.chown(open_folder / below, 0, 0)
        done = checked_elsewhere(open_folder, user=[str(NOBODY)])
        expected = rf"cannot be written by this user \(uid {NOBODY}; \S+ belongs to uid 0\). Give it to this user with chown -R {NOBODY} "
    else:
        (open_folder / below).mkdir(exist_ok=True)
        (open_folder / below).chmod(0o555)
        done = checked_elsewhere(open_folder)
        expected = r"cannot be written by this user \(uid \d+; \S+ belongs to uid \d+\). Make it writable"
    assert done.returncode == 1 and re.match(f"FolderUnusable: The folder {open_folder / below} {expected}", done.stderr)


def test_a_disk_that_is_mounted_read_only_is_named(tmp_path: Path) -> None:
    mount = f"mount --bind '{tmp_path}' '{tmp_path}' && mount -o remount,bind,ro '{tmp_path}'"
    if subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount")
    done = checked_elsewhere(tmp_path / "data", "unshare", "-m", "sh", "-c", f'{mount} && exec "$@"', "sh")
    assert re.match(r"FolderUnusable: The folder \S+ lies on a disk that is mounted read-only. Mount it writable, or name", done.stderr)


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    mount = f"mount -t tmpfs -o size=8k tmpfs '{tmp_path}' && head -c 8192 /dev/zero > '{tmp_path}/all' 2>/dev/null"
    if subprocess.run(["unshare", "-m", "sh", "-c", f"mount -t tmpfs tmpfs '{tmp_path}'"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount")
    done = checked_elsewhere(tmp_path, "unshare", "-m", "sh", "-c", f'{mount}; exec "$@"', "sh")
    assert re.match(r"FolderUnusable: The disk of the folder \S+ is full. Free some space, or name", done.stderr)


@pytest.mark.parametrize("gone", ["cache", "results", "."])
def test_a_watch_sees_a_folder_that_stops_being_writable_and_that_it_is_mended(gone: str, tmp_path: Path) -> None:
    now = [0.0]
    data = tmp_path / "data"
    watch = FolderWatch(written_folders(data, data / "cache"), lambda: now[0])
    assert watch.is_writable
    aside = (data / gone).rename(tmp_path / "aside")
    (data / gone).write_text("in its place")
    assert watch.is_writable, "what was found holds for a moment"
    now[0] += folders.TOLD_FOR_SECONDS + 0.1
    assert not watch.is_writable
    (data / gone).unlink()
    aside.rename(data / gone)
    now[0] += folders.TOLD_FOR_SECONDS + 0.1
    assert watch.is_writable


def test_a_deleted_folder_is_made_again(tmp_path: Path) -> None:
    watch = FolderWatch(written_folders(tmp_path / "data", tmp_path / "data" / "cache"))
    assert watch.is_writable and (tmp_path / "data" / "results").is_dir()
