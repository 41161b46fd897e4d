"""Writes results completely or not at all, and reads them back to prove what they hold. Knows no models and no page."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
import stat
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from inpaint.atomic import TEMPORARY, replace_file
from inpaint.core.geometry import Extent
from inpaint.core.picture import BACKDROP, Picture
from inpaint.core.words.text import file_stem
from inpaint.errors import InvalidRequest, StorageFull

FORMAT_BY_ENDING: Mapping[str, str] = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".avif": "AVIF",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
}
LOSSLESS = frozenset({"PNG", "TIFF", "BMP"})
WITHOUT_ALPHA = frozenset({"JPEG", "BMP"})
MAX_SIDE: Mapping[str, int] = {"WEBP": 16_383}
"""Formats whose longest side is below the limit for opening pictures. Every other format holds larger pictures than can be opened."""

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
OPTIONS: Mapping[str, Mapping[str, object]] = {
    "PNG": {"compress_level": 1},
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95},
    "AVIF": {"quality": 90},
    "TIFF": {"compression": "tiff_lzw"},
    "BMP": {},
}
"""Pillow's options by format. PNG uses level 1: a 12 MP photo takes 1.0 s and 22 MB. Level 4 takes 3.2 s and saves 13 %; level 6
takes 3.7 s and saves no more."""

LITTER_SECONDS = 3600
MAX_NAME_BYTES = 255
"""Longest file name in bytes of UTF-8 on the file systems of Linux and macOS. Windows counts UTF-16 units, which are never more."""

EXIF_IFD, DATE_TAKEN, DATE_OF_FILE = 0x8769, 36867, 306


@dataclass(frozen=True, eq=False)
class SavedFile:
    """A file on disk. picture: what a reader of the file sees; None if the format does not store the pixels exactly."""

    path: Path
    picture: Picture | None
    notices: tuple[str, ...] = ()


def check_ending(path: Path) -> None:
    """Raises InvalidRequest if the ending of a name is not that of a format that can be written."""
    if path.suffix.lower() not in FORMAT_BY_ENDING:
        raise InvalidRequest("output", f"The output {path.name} must end in {', '.join(FORMAT_BY_ENDING)}.")


def check_output(path: Path, inputs: Sequence[Path] = ()) -> None:
    """Raises an error before anything runs if the output could not be written, or would replace one of the inputs.

    Raises InvalidRequest, StorageFull.
    """
    check_ending(path)
    try:
        _check_place(path, inputs)
        probe = path.with_name(f"{TEMPORARY}{secrets.token_hex(8)}{path.suffix}")
        probe.touch(exist_ok=False)
        probe.unlink()
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in FULL:
            raise _full(path, error) from None
        raise InvalidRequest("output", f"The output {path} cannot be written: {_reason(error)}.") from None


def check_extent(path: Path, extent: Extent) -> None:
    """Raises InvalidRequest if the output's format cannot hold a picture of this extent."""
    file_format = FORMAT_BY_ENDING[path.suffix.lower()]
    if extent.long_side > MAX_SIDE.get(file_format, extent.long_side):
        raise InvalidRequest(
            "output", f"{file_format} holds at most {MAX_SIDE[file_format]:,} px a side; the picture is {extent}.", "Choose another ending."
        )


def new_results(data_dir: Path, name: str, seeds: Sequence[int]) -> list[Path]:
    """Returns paths for the results of one run, named after the original, in a new folder under data_dir/results.

    The folder's name cannot be guessed, since the page serves its files. Raises StorageFull.
    """
    results = data_dir / "results"
    try:
        results.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=results, prefix=time.strftime("%Y%m%d-%H%M%S-")))
    except OSError as error:
        raise StorageFull(f"Nothing can be written to the folder for results: {_reason(error)}.", *_hint_for(error)) from None
    return [folder / result_name(name, seed) for seed in seeds]


def sweep(data_dir: Path, now: float) -> None:
    """Removes half-written files that a killed process left in the data folder and among the results.

    Files younger than LITTER_SECONDS stay, because another process may be writing them now.
    """
    for litter in (path for place in ("", "*/", "results/*/") for path in data_dir.glob(f"{place}{TEMPORARY}*")):
        with contextlib.suppress(OSError):
            if now - litter.stat().st_mtime > LITTER_SECONDS:
                litter.unlink()


def save_picture(picture: Picture, path: Path) -> SavedFile:
    """Writes a picture in the format of the path's ending, atomically, and reads it back.

    A reader sees the old file or the whole new one. Raises InvalidRequest for an unknown ending, StorageFull if the disk
    refuses.
    """
    file_format = FORMAT_BY_ENDING[path.suffix.lower()]
    loses_alpha = picture.alpha is not None and file_format in WITHOUT_ALPHA
    write_atomically(path, encoded(_flattened(picture) if loses_alpha else picture, file_format))
    if file_format in LOSSLESS and not loses_alpha:
        with Image.open(path) as image:
            return SavedFile(path, Picture(np.array(image), picture.name))
    lost = [f"{file_format} holds no transparency; it was put on white."] if loses_alpha else []
    return SavedFile(
        path, None, (*lost, f"{file_format} does not hold the pixels unchanged: the numbers of this report were computed before encoding.")
    )


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a file completely or not at all: if the process is killed, no half-written file has the final name. Raises StorageFull."""
    try:
        replace_file(path, lambda temporary: temporary.write_bytes(data))
    except OSError as error:
        raise _full(path, error) from None


def _check_place(path: Path, inputs: Sequence[Path]) -> None:
    """Raises InvalidRequest if the output is no plain file, has no folder, or is an input; OSError or ValueError if the name
    cannot be looked up.
    """
    try:
        there = path.stat()
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise InvalidRequest("output", f"The output's folder {path.parent} does not exist.", "Create it first.") from None
        return
    if stat.S_ISDIR(there.st_mode):
        raise InvalidRequest("output", f"The output {path} is a folder.")
    if not stat.S_ISREG(there.st_mode):
        raise InvalidRequest("output", f"The output {path} is there already and not a plain file.")
    if any(given.exists() and os.path.samestat(there, given.stat()) for given in inputs):
        raise InvalidRequest("output", f"The output would replace {path}, which this edit reads.", "Choose another name.")


def result_name(original: str, seed: int) -> str:
    """Returns the name of a result's file, made from the original's name and the seed: "beach" and 42 give "beach-42.png"."""
    ending = f"-{seed}.png"
    return file_stem(original, MAX_NAME_BYTES - len(ending)) + ending


def _full(path: Path, error: OSError) -> StorageFull:
    return StorageFull(f"{path.name} could not be written: {_reason(error)}.", *_hint_for(error))


def _hint_for(error: OSError) -> tuple[str, bool]:
    """Returns what to do, and whether the disk is full."""
    return ("Free some space.", True) if error.errno in FULL else ("", False)


def encoded(picture: Picture, file_format: str) -> bytes:
    """Returns the bytes of a picture's file. file_format: one of FORMAT_BY_ENDING's values."""
    buffer = io.BytesIO()
    options: dict[str, object] = dict(OPTIONS[file_format])
    if picture.icc_profile and file_format != "BMP":
        options["icc_profile"] = picture.icc_profile
    if picture.taken and file_format != "BMP":
        options["exif"] = _exif_with_date(picture.taken, file_format)
    Image.fromarray(picture.pixels).save(buffer, file_format, **options)
    return buffer.getvalue()


def _exif_with_date(taken: str, file_format: str) -> bytes:
    """Returns EXIF that holds only the date. Place (GPS), camera and orientation are left out; the pixels are already upright.

    The result is bytes, because PNG and AVIF treat an Exif object with nothing but a sub-folder as empty. Pillow's compressed
    TIFF has no such sub-folder, so a TIFF gets the plain date of the file.
    """
    exif = Image.Exif()
    if file_format == "TIFF":
        exif[DATE_OF_FILE] = taken
    else:
        exif.get_ifd(EXIF_IFD)[DATE_TAKEN] = taken
    return exif.tobytes()


def _flattened(picture: Picture) -> Picture:
    ground = Image.new("RGBA", (picture.extent.width, picture.extent.height), (BACKDROP, BACKDROP, BACKDROP, 255))
    image = Image.alpha_composite(ground, Image.fromarray(picture.pixels)).convert("RGB")
    return Picture(np.array(image), picture.name, picture.icc_profile, picture.taken)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
