"""Writing results: whole or not at all, and then read back to prove what they hold. Knows no models and no page."""

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
"""Smaller than what can be opened; the other formats hold more."""

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
OPTIONS: Mapping[str, Mapping[str, object]] = {
    "PNG": {"compress_level": 1},
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95},
    "AVIF": {"quality": 90},
    "TIFF": {"compression": "tiff_lzw"},
    "BMP": {},
}
"""PNG: on a 12-MP photo level 1 takes 1.0 s and 22 MB, level 4 (3.2 s) saves 13 % of it, level 6 (3.7 s) nothing more."""

LITTER_SECONDS = 3600
MAX_NAME_BYTES = 255
"""Of UTF-8: what the file systems of Linux and macOS take; Windows counts UTF-16, which is never more."""

EXIF_IFD, DATE_TAKEN, DATE_OF_FILE = 0x8769, 36867, 306


@dataclass(frozen=True, eq=False)
class SavedFile:
    """A file on disk. picture: what a reader of the file sees; None where the format cannot hold the result as it is."""

    path: Path
    picture: Picture | None
    notices: tuple[str, ...] = ()


def check_ending(path: Path) -> None:
    """Raises InvalidRequest for a name whose ending says no format that can be written."""
    if path.suffix.lower() not in FORMAT_BY_ENDING:
        raise InvalidRequest("output", f"The output {path.name} must end in {', '.join(FORMAT_BY_ENDING)}.")


def check_output(path: Path, inputs: Sequence[Path] = ()) -> None:
    """Refuse before anything runs what could not be written afterwards, and what would replace one of the inputs.

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
    """Raises InvalidRequest where the output's format holds no picture of this extent."""
    file_format = FORMAT_BY_ENDING[path.suffix.lower()]
    if extent.long_side > MAX_SIDE.get(file_format, extent.long_side):
        raise InvalidRequest(
            "output", f"{file_format} holds at most {MAX_SIDE[file_format]:,} px a side; the picture is {extent}.", "Choose another ending."
        )


def new_results(data_dir: Path, name: str, seeds: Sequence[int]) -> list[Path]:
    """Paths for the results of one run, in a folder of their own under data_dir/results, named after the original.

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
    """Remove half-written files that a killed process left in the data folder and among the results; young ones may be being written now."""
    for litter in (path for place in ("", "*/", "results/*/") for path in data_dir.glob(f"{place}{TEMPORARY}*")):
        with contextlib.suppress(OSError):
            if now - litter.stat().st_mtime > LITTER_SECONDS:
                litter.unlink()


def save_picture(picture: Picture, path: Path) -> SavedFile:
    """Write by the path's ending, atomically (a reader sees the old file or the whole new one), and read back.

    Raises InvalidRequest for an unknown ending, StorageFull where the disk refuses.
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
    """Writes a whole file or none: a kill at any moment leaves no half file under the final name. Raises StorageFull."""
    try:
        replace_file(path, lambda temporary: temporary.write_bytes(data))
    except OSError as error:
        raise _full(path, error) from None


def _check_place(path: Path, inputs: Sequence[Path]) -> None:
    """Raises InvalidRequest; OSError and ValueError where the name itself cannot be looked up."""
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
    """Of a result's file, after the original's."""
    ending = f"-{seed}.png"
    return file_stem(original, MAX_NAME_BYTES - len(ending)) + ending


def _full(path: Path, error: OSError) -> StorageFull:
    return StorageFull(f"{path.name} could not be written: {_reason(error)}.", *_hint_for(error))


def _hint_for(error: OSError) -> tuple[str, bool]:
    """What to do, and whether it is for want of space."""
    return ("Free some space.", True) if error.errno in FULL else ("", False)


def encoded(picture: Picture, file_format: str) -> bytes:
    """The bytes of a file. file_format: one of FORMAT_BY_ENDING's."""
    buffer = io.BytesIO()
    options: dict[str, object] = dict(OPTIONS[file_format])
    if picture.icc_profile and file_format != "BMP":
        options["icc_profile"] = picture.icc_profile
    if picture.taken and file_format != "BMP":
        options["exif"] = _exif_with_date(picture.taken, file_format)
    Image.fromarray(picture.pixels).save(buffer, file_format, **options)
    return buffer.getvalue()


def _exif_with_date(taken: str, file_format: str) -> bytes:
    """The date alone: the place (GPS), the camera and the orientation, which the pixels already have, stay behind.

    As bytes: an Exif object that holds nothing but a sub-folder counts as empty for PNG and AVIF. Pillow's compressed TIFF
    has no such sub-folder, so there the plain date of the file says it.
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
