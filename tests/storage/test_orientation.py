"""EXIF alone turns a picture, and a mask file with it, as browsers show them: XMP says nothing of it."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from inpaint.core.geometry import Extent
from inpaint.storage.masks import read_mask
from inpaint.storage.uploads import Upload, read_picture
from tests.conftest import LIMITS
from tests.fakes import Pixels, noise
from tests.storage.pictures import ORIENTATION, TAKEN, encoded, exif, header, png, smooth

# What each orientation asks a viewer to do with the stored pixels, by the standard (CIPA DC-008, 4.6.4 A).
UPRIGHT = {
    1: lambda p: p,
    2: lambda p: np.flip(p, 1),
    3: lambda p: np.flip(p, (0, 1)),
    4: lambda p: np.flip(p, 0),
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: np.rot90(p, 2).swapaxes(0, 1),
    8: lambda p: np.rot90(p, 1),
}
SAVING: dict[str, tuple[str, dict[str, Any], int]] = {
    "JPEG": ("JPEG", {"quality": 98, "subsampling": 0}, 12),
    "PNG": ("PNG", {}, 0),
    "WebP": ("WEBP", {"lossless": True, "exact": True}, 0),
    "TIFF": ("TIFF", {}, 0),
    "LZW TIFF": ("TIFF", {"compression": "tiff_lzw"}, 0),
    "AVIF": ("AVIF", {"quality": 98, "subsampling": "4:4:4"}, 12),
}
"""How each is written, and by how many levels its pixels may differ."""


def xmp(orientation: int, element: bool = False) -> bytes:
    said = f"><tiff:Orientation>{orientation}</tiff:Orientation></rdf:Description>" if element else f' tiff:Orientation="{orientation}"/>'
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/"{said}</rdf:RDF></x:xmpmeta>'
    ).encode()


def file_with(pixels: Pixels, kind: str, exif_says: int | None, xmp_says: int | None) -> bytes:
    file_format, options, _ = SAVING[kind]
    kept: dict[str, Any] = {} if exif_says is None else {"exif": exif(exif_says)}
    if xmp_says is not None and file_format == "PNG":
        kept["pnginfo"] = PngInfo()
        kept["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp(xmp_says).decode())
    elif xmp_says is not None and file_format == "TIFF":
        kept["tiffinfo"] = {700: xmp(xmp_says), **({ORIENTATION: exif_says} if exif_says else {})}
        kept.pop("exif", None)
    elif xmp_says is not None:
        kept["xmp"] = xmp(xmp_says)
    return encoded(Image.fromarray(pixels), file_format, **options, **kept)


def check(data: bytes, meant: Pixels, levels: int) -> None:
    """As a picture and, by its luminance, as a mask."""
    picture = read_picture(Upload("photo", data), LIMITS)
    assert picture.pixels.shape == meant.shape
    assert np.abs(picture.pixels.astype(int) - meant).max() <= levels
    mask = read_mask(Upload("mask", data), Extent.of(meant), LIMITS)
    assert np.abs(mask.pixels.astype(int) - np.asarray(Image.fromarray(np.ascontiguousarray(meant)).convert("L"))).max() <= levels + 1


@pytest.mark.parametrize("kind", SAVING)
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_turns(orientation: int, kind: str) -> None:
    check(file_with(smooth(24, 40), kind, orientation, None), UPRIGHT[orientation](smooth(24, 40)), SAVING[kind][2])


@pytest.mark.parametrize("kind", SAVING)
@pytest.mark.parametrize("orientation", [2, 3, 5, 6, 8])
def test_xmp_alone_turns_nothing(orientation: int, kind: str) -> None:
    data = file_with(smooth(24, 40), kind, None, orientation)
    assert b"tiff:Orientation" in data
    check(data, smooth(24, 40), SAVING[kind][2])


@pytest.mark.parametrize("kind", SAVING)
@pytest.mark.parametrize(("exif_says", "xmp_says"), [(6, 3), (1, 6), (3, 8)])
def test_where_they_disagree_exif_is_right(exif_says: int, xmp_says: int, kind: str) -> None:
    check(file_with(smooth(24, 40), kind, exif_says, xmp_says), UPRIGHT[exif_says](smooth(24, 40)), SAVING[kind][2])


def test_exif_that_says_no_orientation_leaves_none_to_xmp() -> None:
    dated = exif()
    del dated[ORIENTATION]
    data = encoded(Image.fromarray(smooth(24, 40)), "JPEG", quality=98, subsampling=0, exif=dated.tobytes(), xmp=xmp(6, element=True))
    check(data, smooth(24, 40), 12)
    assert read_picture(Upload("photo", data), LIMITS).taken == TAKEN


def test_xmp_behind_the_pixels_of_a_png() -> None:
    pixels = noise(4, 6)
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in pixels))
    data = png(header(6, 4), (b"IDAT", rows), (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(6)), (b"IEND", b""))
    check(data, pixels, 0)


def test_exif_in_the_text_of_a_png_tells_the_date_and_turns_nothing() -> None:
    """As ImageMagick once wrote it; browsers do not read it."""
    block = exif(6).tobytes()
    info = PngInfo()
    info.add_text("Raw profile type exif", f"\nexif\n{len(block):8}\n{block.hex()}\n", zip=True)
    data = encoded(Image.fromarray(noise(4, 6)), "PNG", pnginfo=info)
    check(data, noise(4, 6), 0)
    assert read_picture(Upload("photo", data), LIMITS).taken == TAKEN


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_heic_is_turned_by_its_own_box(orientation: int) -> None:
    """pillow-heif writes the box that turns (irot, imir), which alone counts in this format."""
    check(
        encoded(Image.fromarray(smooth(64, 96)), "HEIF", quality=-1, exif=exif(orientation).tobytes()),
        UPRIGHT[orientation](smooth(64, 96)),
        12,
    )
