"""What read_stage makes of a client's value, kind or hostile. Needs no browser."""

from __future__ import annotations

import base64
import io
import json
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inpaint.core.geometry import Extent
from inpaint.errors import BadMask
from inpaint.ui.images import data_url_png
from inpaint.ui.stage.stage import FEATHER_DEFAULT_PX, MAX_VALUE_CHARS, HeldValue, Stage, decode, read_stage, receive

PROXY = Extent(40, 30)
FULL = Extent(160, 120)


def square(extent: Extent = PROXY) -> np.ndarray[Any, Any]:
    pixels = np.zeros(extent.shape, np.uint8)
    pixels[10:20, 10:30] = 255
    return pixels


def url_of(image: Image.Image, kind: str = "PNG", prefix: str = "data:image/png;base64,") -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return prefix + base64.b64encode(buffer.getvalue()).decode()


def bomb() -> str:
    """A header of 60000 x 60000 px with a few bytes behind it."""
    header = (60000).to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    packed = b"".join(len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big") for name, data in chunks)
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + packed).decode()


GOOD = data_url_png(square())

HOSTILE: dict[str, object] = {
    "a list": [],
    "a number": 7,
    "bytes": b"{}",
    "not JSON": "{mask",
    "JSON of a list": "[1]",
    "nested without end": "[" * 100_000,
    "an endless number": '{"grow": ' + "9" * 10_000 + "}",
    "too long": "x" * (MAX_VALUE_CHARS + 1),
    "mask is a number": {"mask": 5},
    "mask is a dict": {"mask": {"path": "/etc/passwd"}},
    "mask is a path": {"mask": "/etc/passwd"},
    "mask is a file URL": {"mask": "file:///etc/passwd"},
    "mask is a web URL": {"mask": "http://127.0.0.1/mask.png"},
    "mask is too long": {"mask": "data:image/png;base64," + "A" * MAX_VALUE_CHARS},
    "mask is not base64": {"mask": "data:image/png;base64,%%%"},
    "mask is not ASCII": {"mask": "data:image/png;base64,\ud800é"},
    "mask is text": {"mask": "data:image/png;base64," + base64.b64encode(b"hello").decode()},
    "mask is nothing": {"mask": "data:image/png;base64,"},
    "mask is a JPEG": {"mask": url_of(Image.fromarray(square()), "JPEG", "data:image/jpeg;base64,")},
    "mask is a JPEG called PNG": {"mask": url_of(Image.fromarray(square()), "JPEG")},
    "mask is a bomb": {"mask": bomb()},
    "mask is cut short": {"mask": "data:image/png;base64," + base64.b64encode(base64.b64decode(GOOD[22:])[:70]).decode()},
    "mask has another size": {"mask": url_of(Image.new("L", (41, 30)))},
    "mask has the full size": {"mask": url_of(Image.new("L", (160, 120)))},
    "mask has 16 bits": {"mask": url_of(Image.fromarray(square().astype(np.uint16) * 257))},
    "picture is a number": {"picture": 3},
    "grow is text": {"grow": "4"},
    "grow is true": {"grow": True},
    "grow is a fraction": {"grow": 1.5},
    "grow is not a number": '{"grow": NaN}',
    "grow is infinite": '{"grow": Infinity}',
    "grow is huge": {"grow": 10**9},
    "grow is null": {"grow": None},
    "feather is negative": {"feather": -1},
    "a mask that nobody holds": {"mask": None, "token": "abc"},
    "no mask and no token": {"mask": None},
    "a token that is no text": {"token": 7},
}


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_value_is_refused(value: object) -> None:
    with pytest.raises(BadMask) as refused:
        read_stage(value, "", PROXY, FULL)
    assert refused.value.message.endswith(".")


@pytest.mark.parametrize("value", [None, "", {}, "{}", {"mask": ""}], ids=repr)
def test_untouched_stage_has_no_mask(value: object) -> None:
    read = read_stage(value, "", PROXY, FULL)
    assert (read.mask, read.grow, read.feather) == (None, 0, FEATHER_DEFAULT_PX)


def test_fields_are_read() -> None:
    fields = {"picture": "abc", "mask": GOOD, "bounds": [1, 2, 3, 4], "grow": -3, "feather": 12, "rev": 9}
    for value in (fields, json.dumps(fields)):
        read = read_stage(value, "abc", PROXY, FULL)
        assert (read.grow, read.feather) == (-3, 12)
        assert read.mask is not None and read.mask.extent == FULL


def test_a_mask_that_is_held_need_not_be_sent_again() -> None:
    sent = {"picture": "abc", "mask": GOOD, "token": "t1", "grow": 1, "feather": 2}
    held = receive(sent, HeldValue())
    assert held == HeldValue("abc", "t1", GOOD, 1, 2) and held.as_prop() == {"token": "t1"}
    again = receive(json.dumps({**sent, "mask": None, "grow": 5}), held)
    assert again == HeldValue("abc", "t1", GOOD, 5, 2), "the band is read anew"
    assert decode(again, "abc", PROXY, FULL).mask is not None


@pytest.mark.parametrize("token", ["t2", "", None], ids=repr)
def test_another_mask_than_the_one_that_is_held_is_missed(token: str | None) -> None:
    with pytest.raises(BadMask, match="not on the server"):
        receive({"picture": "abc", "mask": None} | ({"token": token} if token is not None else {}), HeldValue("abc", "t1", GOOD))


@pytest.mark.parametrize(
    "mask",
    [GOOD, data_url_png(square(Extent(64, 48))), bomb(), "data:image/png;base64,%%%"],
    ids=["of the same size", "of another size", "a bomb", "not a picture"],
)
@pytest.mark.parametrize("its", ["before", "", "p" * 201], ids=["another", "none", "endless"])
def test_mask_of_another_picture_is_none_and_is_not_looked_at(its: str, mask: str) -> None:
    read = read_stage({"picture": its, "mask": mask, "grow": 3}, "now", PROXY, FULL)
    assert (read.mask, read.grow) == (None, 3)


def test_mask_of_proxy_size_is_taken_as_it_is() -> None:
    read = read_stage({"mask": GOOD}, "", PROXY, PROXY)
    assert read.mask is not None
    np.testing.assert_array_equal(read.mask.pixels, square())


def test_black_mask_is_no_mask() -> None:
    assert read_stage({"mask": data_url_png(np.full(PROXY.shape, 127, np.uint8))}, "", PROXY, FULL).mask is None


def test_enlarged_contour_is_smooth_and_hard() -> None:
    y, x = np.mgrid[0:300, 0:400]
    disc = (np.hypot(x - 200, y - 150) <= 100).astype(np.uint8) * 255
    read = read_stage({"mask": data_url_png(disc)}, "", Extent(400, 300), Extent(1600, 1200))
    assert read.mask is not None
    assert set(np.unique(read.mask.pixels)) == {0, 255}
    y, x = np.mgrid[0:1200, 0:1600]
    away = np.abs(np.hypot(x - 801.5, y - 601.5) - 402)
    wrong = (read.mask.pixels > 0) != (np.hypot(x - 801.5, y - 601.5) <= 402)
    assert away[wrong].max() < 3.5


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA"])
def test_every_kind_of_png_is_read(mode: str) -> None:
    read = read_stage({"mask": url_of(Image.fromarray(square()).convert(mode))}, "", PROXY, PROXY)
    assert read.mask is not None
    np.testing.assert_array_equal(read.mask.pixels, square())


def test_transparent_white_is_not_painted() -> None:
    clear = np.full((*PROXY.shape, 4), 255, np.uint8)
    clear[..., 3] = square()
    read = read_stage({"mask": data_url_png(clear)}, "", PROXY, PROXY)
    assert read.mask is not None
    np.testing.assert_array_equal(read.mask.pixels, square())


def test_stage_takes_all_its_props_and_no_other_events() -> None:
    stage = Stage(picture={"id": "a"}, band={"grow": 1, "feather": 2})
    assert stage.props["picture"] == {"id": "a"} and stage.props["mask"] == {} and stage.props["examples"] == []
    assert callable(stage.stroke) and not hasattr(stage, "mask")
    with pytest.raises(TypeError):
        Stage(pictures={})  # pyright: ignore[reportCallIssue]


def test_template_holds_nothing_that_gradio_would_replace() -> None:
    assert not any(sign in Stage().html_template for sign in ("${", "{{", "`", "\\"))
