"""Translates the stage's props and value to and from Mask and pixels. No other Python code knows their format.

It must not know engines, jobs or files: a picture comes in as an array, a mask goes out as a Mask.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import cv2
import gradio as gr
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inpaint.core.geometry import Extent
from inpaint.core.masks.mask import Mask
from inpaint.errors import BadMask
from inpaint.ui.component import FileButton, OwnComponent
from inpaint.ui.images import PNG_PREFIX

Pixels = NDArray[np.uint8]

GROW_LIMIT_PX = 256
FEATHER_LIMIT_PX = 256
FEATHER_DEFAULT_PX = 6
MAX_VALUE_CHARS = 12_000_000
"""Longest value that is accepted. A 1280 x 1280 mask of pure noise takes about 7 million characters as browsers encode it."""

_HERE = Path(__file__).parent
_SCRIPTS = (
    "state.js",
    "distance.js",
    "strokes.js",
    "view.js",
    "sketch.js",
    "tools.js",
    "band.js",
    "png.js",
    "maskfile.js",
    "compare.js",
    "overlays.js",
    "opening.js",
    "outbox.js",
    "pointers.js",
    "keys.js",
    "controls.js",
    "main.js",
)
_PNG_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA"})


@dataclass(frozen=True, eq=False)
class StageValue:
    """What the person painted. mask: hard (0 or 255), in upload space; None if nothing is painted. grow, feather: px."""

    mask: Mask | None
    grow: int
    feather: int


@dataclass(frozen=True)
class HeldValue:
    """The stage's latest value, kept on the server, so that the mask is sent only once after each change.

    picture: the picture's id. token: names the mask; the stage sends it instead of the mask once it knows that the server
    holds that mask. mask: a PNG data URL at the size of the picture shown; "" if nothing is painted.
    """

    picture: str = ""
    token: str = ""
    mask: str = ""
    grow: int = 0
    feather: int = FEATHER_DEFAULT_PX

    def as_prop(self) -> dict[str, str]:
        """Returns the prop that tells the stage which mask the server holds."""
        return {"token": self.token}


class Stage(OwnComponent):
    """The picture with its brush, work area, live preview, and comparison of before and after. Every prop is plain JSON; {} means none.

    Gradio builds the component again with all props at each update, so each prop is a parameter here.
    """

    OWN_EVENTS: ClassVar[tuple[str, ...]] = ("stroke", "example", "filling", "candidate")

    def __init__(
        self,
        value: str = "",
        *,
        picture: dict[str, Any] | None = None,
        work_area: dict[str, Any] | None = None,
        preview: dict[str, Any] | None = None,
        running: dict[str, Any] | None = None,
        result: dict[str, Any] | None = None,
        mask: dict[str, Any] | None = None,
        band: dict[str, Any] | None = None,
        examples: list[dict[str, Any]] | None = None,
        fillings: list[dict[str, Any]] | None = None,
        notice: dict[str, Any] | None = None,
        held: dict[str, Any] | None = None,
        elem_id: str | None = "stage",
        elem_classes: list[str] | str | None = None,
        visible: bool | Literal["hidden"] = True,
        render: bool = True,
        key: int | str | tuple[int | str, ...] | None = None,
    ) -> None:
        super().__init__(
            value,
            html_template=_template(),
            js_on_load=_script(),
            apply_default_css=False,
            elem_id=elem_id,
            elem_classes=elem_classes,
            visible=visible,
            render=render,
            key=key,
            picture=picture or {},
            work_area=work_area or {},
            preview=preview or {},
            running=running or {},
            result=result or {},
            mask=mask or {},
            band=band or {},
            examples=examples or [],
            fillings=fillings or [],
            notice=notice or {},
            held=held or {},
        )


def upload_control() -> FileButton:
    """Builds the hidden control that takes the person's file unchanged. The stage passes every opened picture to it.

    It is an UploadButton, because that keeps its input element after an upload, and gr.File does not. Gradio puts the input
    beside the button and not inside it, so a column has the id that the stage looks for. It accepts every file: Gradio would
    judge by the name, and refuse a picture whose name has no ending.
    """
    with gr.Column(elem_id="open-picture", visible="hidden"):
        return FileButton("Open picture")


def receive(value: object, held: HeldValue) -> HeldValue:
    """Returns what a client sent. If it sent the token of the mask that the server holds, that mask is used.

    value: JSON of the stage, as text or decoded. Raises BadMask if it is something else, or names a mask that is not held.
    """
    fields = _fields(value)
    token = _text(fields, "token")
    mask = fields.get("mask", "")
    if mask is None:
        if not token or token != held.token:
            raise BadMask("The mask is not on the server any more.", "Reload the page and paint it again.")
        mask = held.mask
    elif not isinstance(mask, str):
        raise BadMask("The stage's mask is not text.")
    return HeldValue(
        _text(fields, "picture"),
        token,
        mask,
        _whole_number(fields, "grow", 0, -GROW_LIMIT_PX, GROW_LIMIT_PX),
        _whole_number(fields, "feather", FEATHER_DEFAULT_PX, 0, FEATHER_LIMIT_PX),
    )


def decode(value: HeldValue, picture_id: str, proxy: Extent, full: Extent) -> StageValue:
    """Returns the mask in upload space. proxy, full: extents of the picture shown and of the upload. Raises BadMask.

    picture_id: the picture that is open. A mask of another picture counts as none and is not decoded: while a picture is
    being opened, the value may still hold the mask of the previous one, at its size.
    """
    mask = _decode_mask(value.mask, proxy) if value.picture == picture_id else None
    return StageValue(None if mask is None else _to_upload_space(mask, full), value.grow, value.feather)


def read_stage(value: object, picture_id: str, proxy: Extent, full: Extent) -> StageValue:
    """Receives and decodes a value that holds its mask. Raises BadMask."""
    return decode(receive(value, HeldValue()), picture_id, proxy, full)


@cache
def _template() -> str:
    # The style sheet is part of the template. Gradio evaluates css_template again at every prop change, ten times a
    # second while previews arrive, and the browser then evaluates the whole page's styles.
    style = (_HERE / "stage.css").read_text("utf-8")
    return f"<style>{style}</style>\n" + (_HERE / "stage.html").read_text("utf-8")


@cache
def _script() -> str:
    return "\n".join((_HERE / name).read_text("utf-8") for name in _SCRIPTS)


def _fields(value: object) -> dict[str, Any]:
    if value is None or value == "":
        return {}
    if isinstance(value, str):
        if len(value) > MAX_VALUE_CHARS:
            raise BadMask("The mask is too large to be one.")
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise BadMask("The mask could not be read.", "Reload the page and paint it again.") from None
    if not isinstance(value, dict):
        raise BadMask("The mask could not be read.", "Reload the page and paint it again.")
    return value


def _text(fields: dict[str, Any], name: str) -> str:
    found = fields.get(name, "")
    if not isinstance(found, str):
        raise BadMask(f"The stage's {name} is not text.")
    return found


def _whole_number(fields: dict[str, Any], name: str, default: int, low: int, high: int) -> int:
    found = fields.get(name, default)
    if isinstance(found, bool) or not isinstance(found, int) or not low <= found <= high:
        raise BadMask(f"{name.capitalize()} must be a whole number from {low} to {high}.")
    return found


def _decode_mask(url: str, proxy: Extent) -> Pixels | None:
    """Returns uint8 [H, W] at proxy size, as luminance over black; None if the text is empty."""
    if not url:
        return None
    if len(url) > MAX_VALUE_CHARS or not url.startswith(PNG_PREFIX):
        raise BadMask("The mask is not a PNG picture.")
    try:
        return _open_png(base64.b64decode(url[len(PNG_PREFIX) :], validate=True), proxy)
    except (binascii.Error, OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
        raise BadMask("The mask is not a PNG picture that can be read.") from None


def _open_png(data: bytes, proxy: Extent) -> Pixels:
    # Only the header is read before the size is compared, so that a decompression bomb is refused without decoding it.
    with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
        if picture.size != (proxy.width, proxy.height):
            raise BadMask(f"The mask is {picture.width} x {picture.height} px, but the picture is shown at {proxy} px.")
        if picture.mode not in _PNG_MODES:
            raise BadMask("The mask must be an 8-bit PNG.")
        return _luminance_over_black(picture)


def _luminance_over_black(picture: Image.Image) -> Pixels:
    shown = picture.convert("RGBA")
    ground = Image.new("RGBA", shown.size, (0, 0, 0, 255))
    return np.asarray(Image.alpha_composite(ground, shown).convert("L"), np.uint8)


def _to_upload_space(mask: Pixels, full: Extent) -> Mask | None:
    """Enlarges a mask smoothly and then cuts it at half, so that contours are smooth and values are 0 or 255."""
    if Extent.of(mask) != full:
        mask = np.asarray(cv2.resize(mask, (full.width, full.height), interpolation=cv2.INTER_LINEAR), np.uint8)
    hard = np.where(mask >= 128, 255, 0).astype(np.uint8)
    return Mask(hard) if hard.any() else None
