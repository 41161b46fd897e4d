"""Writing results: whole or not at all, and then read back to prove what they hold. Knows no models and no page."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from inpaint.core.picture import BACKDROP, Picture
from inpaint.errors import InvalidRequest, StorageFull

FORMAT_BY_ENDING: Mapping[str, str] = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".avif": "AVIF",
                                       ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP"}
LOSSLESS = frozenset({"PNG", "TIFF", "BMP"})
WITHOUT_ALPHA = frozenset({"JPEG", "BMP"})
OPTIONS: Mapping[str, Mapping[str, object]] = {
    "PNG": {"compress_level": 4},
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95},
    "AVIF": {"quality": 90},
    "TIFF": {"compression": "tiff_lzw"},
    "BMP": {},
}
EXIF_IFD, DATE_TAKEN = 0x8769, 36867


@dataclass(frozen=True, eq=False)
class Saved:
    """A file on disk. picture: what a reader of the file sees; for a lossy format None, its pixels are not the result's."""

    path: Path
    picture: Picture | None
    notices: tuple[str, ...] = ()


def check_output(path: Path) -> None:
    """Refuse before anything runs what could not be written afterwards. Raises InvalidRequest."""
    if path.suffix.lower() not in FORMAT_BY_ENDING:
        raise InvalidRequest("output", f"The output {path.name!r} must end in {', '.join(FORMAT_BY_ENDING)}.")
    if path.is_dir():
        raise InvalidRequest("output", f"The output {str(path)!r} is a folder.")
    if not path.parent.is_dir():
        raise InvalidRequest("output", f"The output's folder {str(path.parent)!r} does not exist.", "Create it first.")
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".inpaint-"):
            pass
    except (OSError, ValueError) as error:
        raise InvalidRequest("output", f"Nothing can be written to {str(path.parent)!r}: {_reason(error)}.") from None


def save_picture(picture: Picture, path: Path) -> Saved:
    """Write by the path's ending, atomically (a reader sees the old file or the whole new one), and read back.

    Raises InvalidRequest for an unknown ending, StorageFull where the disk refuses.
    """
    file_format = FORMAT_BY_ENDING[path.suffix.lower()]
    notices: list[str] = []
    if picture.alpha is not None and file_format in WITHOUT_ALPHA:
        notices.append(f"{file_format} holds no transparency; it was put on white.")
        picture = _flattened(picture)
    data = _encoded(picture, file_format)
    write_atomically(path, data)
    if file_format in LOSSLESS:
        with Image.open(path) as image:
            return Saved(path, Picture(np.array(image), picture.name), tuple(notices))
    notices.append(f"{file_format} is lossy: the numbers of this report were computed before encoding.")
    return Saved(path, None, tuple(notices))


def write_atomically(path: Path, data: bytes) -> None:
    """Temporary file beside the target, fsync, rename: a kill at any moment leaves no half file under the final name."""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".inpaint-", suffix=path.suffix)
    except OSError as error:
        raise StorageFull(f"{path.name} could not be written: {_reason(error)}.", "Free some space.") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        raise StorageFull(f"{path.name} could not be written: {_reason(error)}.", "Free some space.") from None
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def _encoded(picture: Picture, file_format: str) -> bytes:
    buffer = io.BytesIO()
    options: dict[str, object] = dict(OPTIONS[file_format])
    if picture.icc_profile and file_format != "BMP":
        options["icc_profile"] = picture.icc_profile
    if picture.taken and file_format != "BMP":
        options["exif"] = _exif_with_date(picture.taken)
    Image.fromarray(picture.pixels).save(buffer, file_format, **options)
    return buffer.getvalue()


def _exif_with_date(taken: str) -> Image.Exif:
    """The date alone: the place (GPS), the camera and the orientation, which the pixels already have, stay behind."""
    exif = Image.Exif()
    exif.get_ifd(EXIF_IFD)[DATE_TAKEN] = taken
    return exif


def _flattened(picture: Picture) -> Picture:
    ground = Image.new("RGBA", (picture.extent.width, picture.extent.height), (BACKDROP, BACKDROP, BACKDROP, 255))
    image = Image.alpha_composite(ground, Image.fromarray(picture.pixels)).convert("RGB")
    return Picture(np.array(image), picture.name, picture.icc_profile, picture.taken)


def _umask() -> int:
    """mkstemp makes private files; a result gets the rights any new file of this person gets."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
