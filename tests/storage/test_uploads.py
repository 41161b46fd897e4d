"""Every kind of picture that people hand in is read as it is meant; everything else is one sentence."""

from __future__ import annotations

import os
import random
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from inpaint.config.settings import PictureLimits
from inpaint.core.geometry import Extent
from inpaint.core.picture import Picture
from inpaint.errors import BadMask, ImageTooLarge, InpaintError, OutOfMemory, UnreadableImage
from inpaint.storage import uploads
from inpaint.storage.masks import LABELS, TRANSPARENT_MASK, read_mask
from inpaint.storage.uploads import Upload, read_picture
from tests.conftest import LIMITS
from tests.fakes import Pixels, block, noise
from tests.storage.pictures import (
    PHOTO,
    TAKEN,
    TOO_LARGE,
    UNREADABLE,
    cmyk_profile,
    encoded,
    exif,
    header,
    png,
    smooth,
    srgb_profile,
)

# What each EXIF orientation asks a viewer to do with the stored pixels, by the standard (CIPA DC-008, 4.6.4 A).
UPRIGHT = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: np.rot90(p, 2).transpose(1, 0, 2),
    8: lambda p: np.rot90(p, 1),
}


def read(data: bytes, name: str = "photo.png") -> Picture:
    return read_picture(Upload(name, data), LIMITS)


def close(read_pixels: Pixels, meant: Pixels, levels: int) -> bool:
    return read_pixels.shape == meant.shape and bool(np.abs(read_pixels.astype(int) - meant).max() <= levels)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_rotation(orientation: int, file_format: str) -> None:
    stored = noise(6, 9)
    picture = read(encoded(Image.fromarray(stored), file_format, exif=exif(orientation)))
    assert np.array_equal(picture.pixels, UPRIGHT[orientation](stored))


@pytest.mark.parametrize("file_format", ["JPEG", "WEBP", "AVIF"])
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_exif_rotation_of_lossy_formats(orientation: int, file_format: str) -> None:
    stored = smooth(24, 40)
    picture = read(encoded(Image.fromarray(stored), file_format, exif=exif(orientation), quality=95))
    assert close(picture.pixels, UPRIGHT[orientation](stored), 24)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "BMP"])
def test_lossless_formats_bit_for_bit(file_format: str) -> None:
    pixels = noise(17, 23)
    assert np.array_equal(read(encoded(Image.fromarray(pixels), file_format)).pixels, pixels)


@pytest.mark.parametrize("file_format", ["JPEG", "WEBP", "AVIF", "HEIF"])
def test_lossy_formats(file_format: str) -> None:
    pixels = smooth(64, 96)
    picture = read(encoded(Image.fromarray(pixels), file_format, quality=95))
    assert close(picture.pixels, pixels, 24) and picture.notices == ()


def test_the_format_is_told_by_content_not_by_name() -> None:
    assert read(PHOTO, "really.png").extent == Extent(60, 40)


@pytest.mark.parametrize("profile", [None, "sRGB", b"damaged profile"], ids=["no profile", "unusable profile", "damaged profile"])
def test_cmyk_becomes_srgb(profile: str | bytes | None) -> None:
    rgb = Image.fromarray(smooth(32, 48))
    options = {} if profile is None else {"icc_profile": srgb_profile() if profile == "sRGB" else profile}
    picture = read(encoded(rgb.convert("CMYK"), "JPEG", quality=95, **options))
    assert close(picture.pixels, np.asarray(rgb), 40)
    assert picture.icc_profile is None
    assert picture.notices == ("The picture was converted from CMYK to sRGB.",)


def test_cmyk_goes_through_its_profile() -> None:
    """A made-up press on which cyan ink prints nearly black: the plain formula makes it cyan."""
    data = encoded(Image.new("CMYK", (16, 16), (255, 0, 0, 0)), "JPEG", quality=95, icc_profile=cmyk_profile())
    assert read(data).pixels.max() < 80
    assert np.allclose(read(data.replace(b"CMYKLab ", b"XXXXLab ")).pixels[8, 8], (0, 255, 255), atol=12)


def test_lab_becomes_srgb() -> None:
    rgb = Image.fromarray(smooth(32, 48))
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    lab = ImageCms.applyTransform(rgb, to_lab)
    assert lab is not None
    picture = read(encoded(lab, "TIFF"))
    # Eight bits of Lab cut off the most saturated colours.
    assert np.abs(picture.pixels.astype(int) - np.asarray(rgb)).mean() < 12
    assert picture.notices == ("The picture was converted from Lab to sRGB.",)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_not_clipped(file_format: str) -> None:
    values = np.linspace(0, 65_535, 256).astype(np.uint16).reshape(16, 16)
    picture = read(encoded(Image.fromarray(values), file_format))
    assert np.array_equal(picture.pixels[..., 0].ravel(), np.arange(256))
    assert np.ptp(picture.pixels, axis=2).max() == 0
    assert picture.notices == ("The picture was scaled from more than 8 bits a channel to 8.",)


@pytest.mark.parametrize("file_format", ["png", "tiff"])
@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bit_colour_is_scaled_and_said(file_format: str, channels: int) -> None:
    values = noise(9, 7, channels).astype(np.uint16) * 257
    swapped = cv2.cvtColor(values, cv2.COLOR_RGB2BGR if channels == 3 else cv2.COLOR_RGBA2BGRA)
    picture = read(cv2.imencode(f".{file_format}", swapped)[1].tobytes())
    assert np.array_equal(picture.pixels, values // 257)
    assert picture.notices == ("The picture was scaled from more than 8 bits a channel to 8.",)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param(np.float32([[0, 0.5, 1]]), [0, 128, 255], id="0 to 1"),
        pytest.param(np.float32([[0, 128, 255]]), [0, 128, 255], id="0 to 255"),
        pytest.param(np.float32([[np.nan, np.inf, 1]]), [0, 0, 255], id="NaN and infinity"),
        pytest.param(np.float32([[-5, 0, 0]]), [0, 0, 0], id="negative"),
    ],
)
def test_float_tiffs(values: Pixels, expected: list[int]) -> None:
    assert read(encoded(Image.fromarray(values), "TIFF")).pixels[0, :, 0].tolist() == expected


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_grey_palette_and_one_bit_become_colour(mode: str) -> None:
    image = Image.fromarray(noise(8, 9)).convert(mode)
    picture = read(encoded(image, "PNG"))
    assert np.array_equal(picture.pixels, np.asarray(image.convert("RGB")))


def test_grey_with_alpha_keeps_it() -> None:
    grey, alpha = noise(8, 9, 2)[..., 0], noise(8, 9, 2)[..., 1]
    picture = read(encoded(Image.merge("LA", [Image.fromarray(grey), Image.fromarray(alpha)]), "PNG"))
    assert np.array_equal(picture.pixels[..., 0], grey) and np.array_equal(picture.pixels[..., 3], alpha)


def test_a_transparent_palette_colour_becomes_alpha() -> None:
    image = Image.new("P", (4, 2), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((3, 1), 1)
    pixels = read(encoded(image, "PNG", transparency=0)).pixels
    assert tuple(pixels[0, 0]) == (255, 0, 0, 0) and tuple(pixels[1, 3]) == (0, 0, 255, 255)


def test_a_transparent_colour_of_a_true_colour_png_becomes_alpha() -> None:
    image = Image.new("RGB", (2, 1), (1, 2, 3))
    image.putpixel((1, 0), (9, 9, 9))
    pixels = read(encoded(image, "PNG", transparency=(1, 2, 3))).pixels
    assert pixels[0, :, 3].tolist() == [0, 255]


def test_alpha_and_the_colours_hidden_under_it_are_kept() -> None:
    pixels = noise(8, 9, 4)
    pixels[:4, :, 3] = 0
    assert np.array_equal(read(encoded(Image.fromarray(pixels), "PNG")).pixels, pixels)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_an_rgb_profile_is_kept_as_it_is(file_format: str) -> None:
    assert read(encoded(Image.fromarray(smooth(16, 16)), file_format, icc_profile=srgb_profile())).icc_profile == srgb_profile()


def test_a_grey_profile_does_not_fit_a_colour_picture() -> None:
    grey = bytearray(srgb_profile())
    grey[16:20] = b"GRAY"
    assert read(encoded(Image.new("L", (4, 4), 9), "PNG", icc_profile=bytes(grey))).icc_profile is None


@pytest.mark.parametrize("file_format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_an_animation_gives_its_first_frame_and_says_so(file_format: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    options = {"lossless": True} if file_format == "WEBP" else {}
    data = encoded(frames[0], file_format, save_all=True, append_images=frames[1:], **options)
    picture = read(data, "dance.gif")
    assert np.all(picture.pixels[..., :3] == (255, 0, 0))
    assert picture.notices == ("dance.gif holds more than one frame; the first one is used.",)


def test_a_single_frame_gif_says_nothing() -> None:
    assert read(encoded(Image.new("RGB", (8, 8), (255, 0, 0)), "GIF")).notices == ()


def test_a_phones_double_picture_is_read_silently() -> None:
    frames = [Image.fromarray(smooth(16, 24)), Image.new("RGB", (16, 24))]
    picture = read(encoded(frames[0], "MPO", save_all=True, append_images=frames[1:]))
    assert close(picture.pixels, smooth(16, 24), 40) and picture.notices == ()


@pytest.mark.parametrize("size", [(1, 1), (16_000, 20), (20, 16_000), (16_384, 1)], ids=str)
def test_extreme_extents(size: tuple[int, int]) -> None:
    assert read(encoded(Image.new("RGB", size, (1, 2, 3)), "PNG")).extent == Extent(*size)


@pytest.mark.parametrize(("value", "kept"), [(TAKEN, TAKEN), ("yesterday", None), ("2024:05:06 07:08:0\n", None), ("", None)], ids=ascii)
def test_the_date(value: str, kept: str | None) -> None:
    made = exif()
    made.get_ifd(0x8769)[0x9003] = value
    assert read(encoded(Image.fromarray(smooth(8, 8)), "JPEG", exif=made)).taken == kept


@pytest.mark.parametrize("block_", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0" + bytes(range(256))], ids=len)
def test_a_damaged_exif_block_counts_as_none(block_: bytes) -> None:
    picture = read(encoded(Image.fromarray(smooth(8, 12)), "JPEG", exif=block_))
    assert picture.extent == Extent(12, 8) and picture.taken is None


@pytest.mark.parametrize("data", UNREADABLE.values(), ids=UNREADABLE)
def test_unreadable_files(data: bytes) -> None:
    with pytest.raises(UnreadableImage, match=r"is not a readable|is damaged|is empty"):
        read(data)


@pytest.mark.parametrize("data", TOO_LARGE.values(), ids=TOO_LARGE)
def test_too_large_pictures_are_refused_before_they_are_decoded(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def decoded(self: Image.Image) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decoded)
    with pytest.raises(ImageTooLarge, match="limit|at most"):
        read(data)


def test_limits_come_from_the_settings() -> None:
    with pytest.raises(ImageTooLarge, match=r"0\.0 megapixels; the limit is 0\.001"):
        read_picture(Upload("x", PHOTO), PictureLimits(max_megapixels=0.001))
    with pytest.raises(ImageTooLarge, match="may have at most 50 px"):
        read_picture(Upload("x", PHOTO), PictureLimits(max_side=50))


def test_too_little_memory_is_no_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(self: Image.Image) -> None:
        raise MemoryError

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    with pytest.raises(OutOfMemory, match="too small to open photo"):
        read(PHOTO)


def test_a_png_without_its_last_chunk_is_taken() -> None:
    data = encoded(Image.fromarray(noise(5, 5)), "PNG")
    assert np.array_equal(read(data[:-12]).pixels, noise(5, 5))


KINDS = {
    "JPEG": PHOTO,
    "PNG": encoded(Image.fromarray(noise(12, 9)), "PNG", exif=exif(6)),
    "GIF": encoded(Image.new("P", (9, 9)), "GIF", save_all=True, append_images=[Image.fromarray(noise(9, 9, 1)[..., 0])]),
    "APNG": encoded(Image.fromarray(noise(9, 9)), "PNG", save_all=True, append_images=[Image.new("RGB", (9, 9))]),
    "WEBP": encoded(Image.fromarray(smooth(16, 16)), "WEBP"),
    "AVIF": encoded(Image.fromarray(smooth(16, 16)), "AVIF"),
    "HEIC": encoded(Image.fromarray(smooth(64, 64)), "HEIF"),
    "BMP": encoded(Image.fromarray(noise(9, 9)), "BMP"),
    "TIFF": encoded(Image.fromarray(noise(9, 9)), "TIFF", save_all=True, append_images=[Image.fromarray(noise(5, 5))]),
    "LZW TIFF": encoded(Image.fromarray(noise(9, 9)), "TIFF", compression="tiff_lzw"),
    "CMYK": encoded(Image.fromarray(smooth(16, 16)).convert("CMYK"), "JPEG"),
}


def outcome(data: bytes) -> str:
    try:
        return f"picture of {read(data).extent}"
    except InpaintError as refused:
        return str(refused)


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_damaged_it_is_a_picture_or_one_sentence(kind: str) -> None:
    """300 files each with bytes flipped or cut off; Pillow's readers answer with nearly every built-in error."""
    dice, data = random.Random(kind), KINDS[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(300):
            damaged = bytearray(data[: dice.randrange(len(data))] if dice.random() < 0.3 else data)
            for _ in range(dice.choice((0, 1, 2, 5, 20))):
                if damaged:
                    damaged[dice.randrange(min(len(damaged), dice.choice((120, len(damaged)))))] = dice.randrange(256)
            assert outcome(bytes(damaged)).startswith(("picture of ", "photo.png "))


def test_a_damaged_second_frame_does_not_spoil_the_first() -> None:
    data = KINDS["GIF"]
    picture = read(data[: data.rindex(b",") + 3])
    assert picture.extent == Extent(9, 9) and "more than one frame" in picture.notices[0]


class TestFromPath:
    """Regular files only, and nothing that never ends."""

    def test_a_file_is_kept_whole(self, tmp_path: Path) -> None:
        (tmp_path / "my photo.jpg").write_bytes(PHOTO)
        assert Upload.from_path(tmp_path / "my photo.jpg", LIMITS) == Upload("my photo.jpg", PHOTO, tmp_path / "my photo.jpg")

    @pytest.mark.parametrize("path", ["missing.png", ".", "a" * 300 + ".png", "nul\0.png", "", "/dev/zero", "/dev/stdin"], ids=ascii)
    def test_what_is_no_file(self, path: str, tmp_path: Path) -> None:
        with pytest.raises(UnreadableImage, match=r"There is no file|is not a file|cannot be read"):
            Upload.from_path(tmp_path / path, LIMITS)

    def test_a_pipe_does_not_hang(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.png")
        with pytest.raises(UnreadableImage, match="is not a file"):
            Upload.from_path(tmp_path / "pipe.png", LIMITS)

    @pytest.mark.skipif(not Path("/proc/kmsg").exists(), reason="needs a kernel file that calls itself empty and never ends")
    def test_a_kernel_file_does_not_hang(self) -> None:
        assert Upload.from_path(Path("/proc/kmsg"), LIMITS).data == b""

    def test_a_link_in_a_circle(self, tmp_path: Path) -> None:
        (tmp_path / "loop.png").symlink_to("loop.png")
        with pytest.raises(UnreadableImage):
            Upload.from_path(tmp_path / "loop.png", LIMITS)

    def test_a_large_file_is_not_read(self, tmp_path: Path) -> None:
        with (tmp_path / "big.png").open("wb") as file:
            file.truncate(100_000_001)
        with pytest.raises(ImageTooLarge, match="has 100 MB; the limit is 100 MB"):
            Upload.from_path(tmp_path / "big.png", LIMITS)


class TestMask:
    """White = repaint, grey is soft, transparency is black."""

    @staticmethod
    def read(image: Image.Image, file_format: str = "PNG", **options: object) -> Pixels:
        extent = Extent(image.width, image.height)
        return read_mask(Upload("mask.png", encoded(image, file_format, **options)), extent, LIMITS).pixels

    @pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
    def test_modes(self, mode: str) -> None:
        painted = block(8, 9, 2, 3, 6, 7)
        image = Image.fromarray(painted.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(painted).convert(mode)
        assert np.array_equal(self.read(image), painted)

    def test_grey_is_soft(self) -> None:
        ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
        assert np.array_equal(self.read(Image.fromarray(ramp)), ramp)

    def test_transparency_is_black(self) -> None:
        image = Image.new("RGBA", (3, 1), (255, 255, 255, 255))
        image.putpixel((1, 0), (255, 255, 255, 0))
        image.putpixel((2, 0), (255, 255, 255, 128))
        assert self.read(image).tolist() == [[255, 0, 128]]

    @pytest.mark.parametrize(("lowest", "told"), [(0, True), (254, True), (255, False)])
    def test_transparency_in_a_mask_is_told(self, lowest: int, told: bool) -> None:
        image = Image.new("RGBA", (3, 1), (255, 255, 255, 255))
        image.putpixel((1, 0), (255, 255, 255, lowest))
        mask = read_mask(Upload("mask.png", encoded(image, "PNG")), Extent(3, 1), LIMITS)
        assert (TRANSPARENT_MASK in mask.notices) == told

    def test_coding_noise_of_a_jpeg_is_not_paint(self) -> None:
        painted = block(64, 64, 16, 16, 48, 48)
        pixels = self.read(Image.fromarray(painted), "JPEG", quality=90)
        assert np.array_equal(pixels, painted)

    @pytest.mark.parametrize(
        ("file_format", "title", "options"),
        [
            ("JPEG", "JPEG", {}),
            ("MPO", "JPEG", {"save_all": True}),
            ("WEBP", "WebP", {}),
            ("AVIF", "AVIF", {"quality": 30}),
            ("HEIF", "HEIC", {}),
        ],
    )
    def test_traces_of_a_lossy_format_are_dropped_and_said(self, file_format: str, title: str, options: dict[str, object]) -> None:
        """At the quality that a program takes by itself, or nearly."""
        painted = cv2.circle(np.zeros((96, 128), np.uint8), (60, 45), 30, 255, -1, cv2.LINE_AA)
        data = encoded(Image.fromarray(painted).convert("RGB"), file_format, **options)
        mask = read_mask(Upload("mask", data), Extent(128, 96), LIMITS)
        assert not (mask.painted & (painted == 0)).any() and (mask.pixels >= 128).sum() >= 0.98 * (painted >= 128).sum()
        (notice,) = mask.notices
        assert notice.startswith(f"The mask was saved as {title}, which leaves faint traces beside an edge: ")

    @pytest.mark.parametrize("options", [{}, {"exif": exif()}, {"icc_profile": srgb_profile()}], ids=["plain", "EXIF", "profile"])
    def test_a_lossless_webp_keeps_every_value(self, options: dict[str, object]) -> None:
        painted = block(40, 50, 9, 9, 20, 30)
        painted[22:26, 9:30] = 3
        mask = read_mask(
            Upload("mask.webp", encoded(Image.fromarray(painted).convert("RGB"), "WEBP", lossless=True, **options)), Extent(50, 40), LIMITS
        )
        assert np.array_equal(mask.pixels, painted) and mask.notices == ()

    @pytest.mark.parametrize(
        "image",
        [
            pytest.param(Image.fromarray(block(40, 50, 9, 9, 20, 30)), id="grey"),
            pytest.param(Image.fromarray(block(40, 50, 9, 9, 20, 30)).convert("RGBA"), id="RGBA"),
            pytest.param(
                Image.fromarray(np.dstack([block(40, 50, 9, 9, 20, 30)] * 2 + [block(40, 50, 9, 9, 20, 30) // 255 * np.uint8(220)])),
                id="warm white",
            ),
        ],
    )
    def test_nothing_is_said_of_a_plain_mask(self, image: Image.Image) -> None:
        assert read_mask(Upload("mask.png", encoded(image, "PNG")), Extent(50, 40), LIMITS).notices == ()

    @pytest.mark.parametrize("colour", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (128, 0, 0), (192, 128, 128)], ids=str)
    @pytest.mark.parametrize("mode", ["RGB", "P", "RGBA"])
    def test_a_mask_in_colour_is_said(self, mode: str, colour: tuple[int, int, int]) -> None:
        image = Image.new("RGB", (50, 40))
        image.paste(colour, (10, 10, 30, 30))
        mask = read_mask(Upload("mask.png", encoded(image.convert(mode), "PNG")), Extent(50, 40), LIMITS)
        assert mask.notices == ("The mask is in colour and was read by its brightness: red counts as 76 of 255, green as 150, blue as 29.",)

    @pytest.mark.parametrize(
        "kind",
        [
            pytest.param(np.uint8, id="8 bits"),
            pytest.param(np.uint16, id="16 bits"),
            pytest.param(np.int32, id="32 bits, TIFF"),
            pytest.param(None, id="RGB"),
        ],
    )
    def test_labels_of_0_and_1_are_black_and_white(self, kind: type[np.generic] | None) -> None:
        labels = block(8, 9, 2, 3, 6, 7) // 255
        image = Image.fromarray(np.dstack([labels] * 3) if kind is None else labels.astype(kind))
        mask = read_mask(Upload("mask.png", encoded(image, "TIFF" if kind is np.int32 else "PNG", exif=exif(3))), Extent(9, 8), LIMITS)
        assert np.array_equal(mask.pixels, labels[::-1, ::-1] * 255) and mask.notices == (LABELS,)

    @pytest.mark.parametrize("highest", [0, 2, 255])
    def test_other_values_are_no_labels(self, highest: int) -> None:
        values = np.array([[0, 1, highest]], np.uint8)
        mask = read_mask(Upload("mask.png", encoded(Image.fromarray(values if highest else values * 0), "PNG")), Extent(3, 1), LIMITS)
        assert np.array_equal(mask.pixels, values if highest else values * 0) and mask.notices == ()

    def test_it_is_turned_like_a_photo(self) -> None:
        painted = block(4, 9, 0, 0, 1, 9)
        data = encoded(Image.fromarray(painted), "PNG", exif=exif(6))
        assert np.array_equal(read_mask(Upload("m", data), Extent(4, 9), LIMITS).pixels, np.rot90(painted, -1))

    @pytest.mark.parametrize("size", [(9, 8), (18, 16), (1, 1)], ids=str)
    def test_another_size_is_refused(self, size: tuple[int, int]) -> None:
        data = encoded(Image.new("L", size, 255), "PNG")
        with pytest.raises(BadMask, match=rf"The mask is {size[0]} x {size[1]}, the picture 8 x 9"):
            read_mask(Upload("m", data), Extent(8, 9), LIMITS)

    @pytest.mark.parametrize(
        "data", [UNREADABLE["text"], UNREADABLE["half a PNG"], TOO_LARGE["decompression bomb"]], ids=["text", "half a PNG", "bomb"]
    )
    def test_damaged_masks(self, data: bytes) -> None:
        with pytest.raises((UnreadableImage, ImageTooLarge)):
            read_mask(Upload("m", data), Extent(8, 9), LIMITS)


def test_only_the_formats_that_are_named_are_tried() -> None:
    """Pillow reads some forty formats, several through other programs."""
    assert not set(uploads.FORMATS) & {"EPS", "PSD", "FITS", "ICNS", "WMF", "PDF"}
    with pytest.raises(UnreadableImage, match="is not a readable"):
        read(encoded(Image.new("RGB", (4, 4)), "PPM"))


def test_a_header_alone_promises_nothing() -> None:
    with pytest.raises(UnreadableImage):
        read(png(header(16_000, 4_000)))


def test_a_file_of_our_own_may_be_larger_than_one_from_outside(tmp_path: Path) -> None:
    path = tmp_path / "result.png"
    Image.fromarray(noise(40, 40)).save(path)
    tight = PictureLimits(max_file_megabytes=0)
    with pytest.raises(ImageTooLarge):
        Upload.from_path(path, tight)
    assert read_picture(Upload.own(path), tight).extent == Extent(40, 40)
