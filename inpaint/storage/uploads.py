"""Opens pictures and masks that people hand in: checks limits before decoding, rotates by EXIF, and converts every mode to 8-bit RGB(A).

Takes bytes, never a path from a request. Knows no models and no page.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import sys
import unicodedata
import warnings
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from inpaint.config.settings import PictureLimits
from inpaint.core.picture import Picture
from inpaint.errors import ImageTooLarge, InpaintError, OutOfMemory, UnreadableImage

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF", "TIFF", "BMP", "DIB", "GIF")
"""Formats that Pillow tries in turn. The file's content decides, never its name."""

READABLE = "JPEG, PNG, WebP, AVIF, HEIC, TIFF, BMP or GIF"
CONVERTED_MODES = frozenset({"CMYK", "LAB"})
"""Modes whose colours are converted to sRGB. An embedded profile then no longer describes the result."""

EXIF_IFD, DATE_TAKEN, DATE_CHANGED, ORIENTATION = 0x8769, 36867, 306, 274
XMP = ("xmp", "XML:com.adobe.xmp")
"""Keys of `Image.info` under which Pillow keeps XMP."""

EXIF_DATE = re.compile(r"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d")
log = logging.getLogger(__name__)
SCALED_TO_EIGHT = "The picture was scaled from more than 8 bits a channel to 8."


@dataclass(frozen=True)
class Upload:
    """A file as it was handed in, unchanged.

    name: for display and for naming results, never used as a path. path: where the file was read from, if known.
    """

    name: str
    data: bytes
    path: Path | None = None

    @classmethod
    def own(cls, path: Path) -> Upload:
        """Reads a file that this app wrote. No size limit applies, since a result's PNG may be larger than the upload. Raises
        UnreadableImage.
        """
        return cls.from_path(path, PictureLimits(max_file_megabytes=sys.maxsize))

    @classmethod
    def handed_in(cls, path: Path, limits: PictureLimits) -> Upload:
        """Reads a file from the uploads. Errors do not reveal where uploads are stored. Raises UnreadableImage, ImageTooLarge."""
        try:
            return cls.from_path(path, limits)
        except UnreadableImage as error:
            log.warning("an upload cannot be read: %s", error)
            raise UnreadableImage("A file of this call is no longer on the server, or cannot be read there.", "Upload it again.") from None

    @classmethod
    def from_path(cls, path: Path, limits: PictureLimits) -> Upload:
        """Reads a file. Raises UnreadableImage, and ImageTooLarge if the file has more bytes than the limits allow."""
        try:
            if not path.is_file():
                raise UnreadableImage(f"{path} is not a file." if path.exists() else f"There is no file {path}.")
            size = path.stat().st_size
            if size > limits.max_file_megabytes * 1_000_000:
                raise ImageTooLarge(f"{path.name} has {size / 1e6:.0f} MB; the limit is {limits.max_file_megabytes} MB.")
            # Some kernel files report a size of 0 and then never end.
            return cls(unicodedata.normalize("NFC", path.name), path.read_bytes() if size else b"", path)
        except (OSError, ValueError) as error:
            raise UnreadableImage(f"{path} cannot be read: {_reason(error)}.") from None


def read_picture(upload: Upload, limits: PictureLimits) -> Picture:
    """Returns the picture as 8-bit RGB or RGBA, upright. Raises UnreadableImage, ImageTooLarge."""
    notices: list[str] = []
    with reading(upload.name, limits):
        image = opened(upload, limits)
        if _is_deep_colour(image):
            notices.append(SCALED_TO_EIGHT)
        image.load()
        if _has_more_frames(image):
            notices.append(f"{upload.name} holds more than one frame; the first one is used.")
        plain = eight_bit(upright(image), notices)
        return Picture(np.array(plain), Path(upload.name).stem or "picture", _kept_profile(image), _date_taken(image), tuple(notices))


@contextlib.contextmanager
def reading(name: str, limits: PictureLimits) -> Generator[None]:
    """Turns every error of a picture reader into one of ours with one sentence, and hides the readers' warnings.

    On 6,000 files with flipped or missing bytes, Pillow's readers raised OSError, SyntaxError, ValueError, RuntimeError,
    IndexError, KeyError, TypeError and struct.error.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except InpaintError:
        raise
    except Image.DecompressionBombError:
        raise ImageTooLarge(f"{name} is over the limit of {limits.max_megapixels:g} megapixels.", "Shrink it first.") from None
    except MemoryError:
        raise OutOfMemory(f"The computer's memory is too small to open {name}.", "Close other programs.") from None
    except Exception as error:
        log.info("%r cannot be decoded: %s: %s", name, type(error).__name__, error)
        raise UnreadableImage(f"{name} is damaged and cannot be read to its end.") from None


def opened(upload: Upload, limits: PictureLimits) -> Image.Image:
    """Opens the first frame and checks its size. Its pixels are not decoded yet."""
    if not upload.data:
        raise UnreadableImage(f"{upload.name} is empty (0 bytes).")
    _register_heif()
    try:
        image = Image.open(io.BytesIO(upload.data), formats=FORMATS)
    except UnidentifiedImageError:
        raise UnreadableImage(f"{upload.name} is not a readable {READABLE} picture.") from None
    _forget_xmp(image)
    _check_size(upload.name, image.size, limits)
    return image


def _is_deep_colour(image: Image.Image) -> bool:
    """Returns whether Pillow will reduce 16-bit colours to 8 bits while decoding. Only the raw mode of an image that is not
    loaded yet shows it.
    """
    return image.mode in ("RGB", "RGBA") and any(";16" in str(part) for tile in getattr(image, "tile", ()) for part in tile)


def _has_more_frames(image: Image.Image) -> bool:
    """Returns whether a file has more than one frame; a damaged second frame counts.

    MPO, a phone's JPEG with a depth map or a second picture behind the first, counts as one frame.
    """
    try:
        return image.format != "MPO" and bool(getattr(image, "is_animated", False))
    except Exception:
        return True


def _register_heif() -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()


def _check_size(name: str, size: tuple[int, int], limits: PictureLimits) -> None:
    width, height = size
    if width * height > limits.max_megapixels * 1_000_000:
        raise ImageTooLarge(
            f"{name} has {width * height / 1e6:.1f} megapixels; the limit is {limits.max_megapixels:g}.", "Shrink it first."
        )
    if max(size) > limits.max_side:
        raise ImageTooLarge(f"{name} is {width} x {height}; a side may have at most {limits.max_side:,} px.", "Shrink or crop it first.")


def upright(image: Image.Image) -> Image.Image:
    """Returns the image rotated by its EXIF orientation. A damaged EXIF block counts as none.

    Like browsers, it ignores an orientation in XMP, and EXIF stored in a PNG's text.
    """
    _forget_xmp(image)
    try:
        alone = Image.Exif()
        alone.load(image.info.get("exif", b""))
        if ORIENTATION not in alone:
            image.getexif().pop(ORIENTATION, None)
        return ImageOps.exif_transpose(image)
    except Exception:
        return image


def _forget_xmp(image: Image.Image) -> None:
    """Removes XMP, which Pillow would otherwise use to rotate a picture without EXIF orientation: a TIFF during decoding, a PNG
    after its pixels.
    """
    for key in XMP:
        image.info.pop(key, None)


def _date_taken(image: Image.Image) -> str | None:
    try:
        exif = image.getexif()
        value = exif.get_ifd(EXIF_IFD).get(DATE_TAKEN) or exif.get(DATE_CHANGED)
    except Exception:
        return None
    return value if isinstance(value, str) and EXIF_DATE.fullmatch(value) else None


def _kept_profile(image: Image.Image) -> bytes | None:
    """Returns the colour profile if it still describes the pixels after conversion to RGB."""
    profile = image.info.get("icc_profile")
    fits = isinstance(profile, bytes) and profile[16:20] == b"RGB " and image.mode not in CONVERTED_MODES
    return profile if fits else None


def eight_bit(image: Image.Image, notices: list[str]) -> Image.Image:
    """Converts any mode that Pillow reads to RGB, or to RGBA if there is transparency. It appends a notice for each conversion
    that loses something.
    """
    if image.mode in ("RGB", "RGBA") and not image.has_transparency_data:
        return image.convert("RGB") if image.mode == "RGB" else image
    if image.mode.startswith(("I", "F")):
        notices.append(SCALED_TO_EIGHT)
        return Image.fromarray(_scaled_to_bytes(np.asarray(image))).convert("RGB")
    if image.mode == "CMYK":
        notices.append("The picture was converted from CMYK to sRGB.")
        return _cmyk_to_srgb(image)
    if image.mode == "LAB":
        notices.append("The picture was converted from Lab to sRGB.")
        return _to_srgb(image, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")))
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _scaled_to_bytes(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Scales [H, W] of any integer or float range to uint8: 16-bit values from 0..65535, floats from 0..1 or 0..255, larger ones
    by their maximum.
    """
    numbers = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    highest = float(numbers.max())
    if np.issubdtype(values.dtype, np.floating):
        ceiling = 1.0 if highest <= 1.0 else 255.0 if highest <= 255.0 else highest
    else:
        ceiling = 65_535.0 if highest <= 65_535 else highest
    return np.rint(np.clip(numbers / ceiling, 0.0, 1.0) * 255.0).astype(np.uint8)


def _cmyk_to_srgb(image: Image.Image) -> Image.Image:
    """Converts by the embedded profile if there is a usable one, else by Pillow's plain formula."""
    profile = image.info.get("icc_profile")
    if isinstance(profile, bytes):
        with contextlib.suppress(ImageCms.PyCMSError, OSError):
            return _to_srgb(image, ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    return image.convert("RGB")


def _to_srgb(image: Image.Image, source: ImageCms.ImageCmsProfile) -> Image.Image:
    converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    return image.convert("RGB") if converted is None else converted


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
