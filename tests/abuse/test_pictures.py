"""Pictures that no camera made: each is edited with a notice or refused in one sentence."""

from __future__ import annotations

import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.fakes import Pixels, block, noise
from tests.faults.calling import erased, sent, spoken, visitor
from tests.serving import Served
from tests.storage.pictures import (
    PLAIN_PNG,
    TOO_LARGE,
    UNREADABLE,
    encoded,
    exif,
    header,
    png,
    png16,
    smooth,
    srgb_profile,
)

DAMAGED, NO_PICTURE, DONE = "is damaged and cannot be read to its end", "is not a readable", ""


@dataclass(frozen=True)
class Case:
    """row: its number in the table. says: part of the error, or "" where the edit is done. notice: part of a notice of the report.
    size: of the mask, which is the picture's as it is seen."""

    row: int
    name: str
    data: bytes
    says: str = DONE
    notice: str = ""
    size: tuple[int, int] = (60, 40)


def one_bit(width: int, height: int) -> bytes:
    return encoded(Image.new("1", (width, height)), "PNG")


def grey16() -> bytes:
    return encoded(Image.fromarray(np.linspace(0, 65_535, 2400).astype(np.uint16).reshape(40, 60)), "PNG")


def transparent(mode: str) -> bytes:
    image = Image.fromarray(noise(40, 60, 4))
    return encoded(image if mode == "RGBA" else image.convert("RGB").convert("P"), "PNG", **({} if mode == "RGBA" else {"transparency": 3}))


def moving(file_format: str) -> bytes:
    frames = [Image.fromarray(noise(40, 60, seed=seed)) for seed in range(3)]
    return encoded(frames[0], file_format, save_all=True, append_images=frames[1:])


def located() -> bytes:
    return encoded(Image.fromarray(smooth(40, 60)), "JPEG", exif=exif(place=True), icc_profile=srgb_profile(), comment=b"at home")


CASES = [
    Case(2, "empty", b"", "is empty (0 bytes)"),
    *(
        Case(3, name, data, NO_PICTURE)
        for name, data in {"text": UNREADABLE["text"], "PDF": UNREADABLE["PDF"], "HTML": b"<!doctype html><p>hello"}.items()
    ),
    Case(4, "SVG", UNREADABLE["SVG"], NO_PICTURE),
    *(
        Case(5, name, data, NO_PICTURE)
        for name, data in {
            "EPS": UNREADABLE["EPS"],
            "PSD": b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 9, 9, 8, 3) + bytes(300),
            "FITS": b"SIMPLE  =                    T".ljust(80) + b"END".ljust(2800),
            "ICNS": b"icns" + struct.pack(">I", 16) + b"ic07" + struct.pack(">I", 8),
        }.items()
    ),
    Case(6, "half a JPEG", UNREADABLE["half a JPEG"], DAMAGED),
    Case(7, "half a PNG", UNREADABLE["half a PNG"], DAMAGED),
    Case(7, "a PNG without its end", PLAIN_PNG[:-12]),
    Case(8, "a flipped byte", UNREADABLE["a flipped byte in a PNG"], DAMAGED),
    Case(9, "900 megapixels in 110 KB", TOO_LARGE["decompression bomb"], "is over the limit of 64 megapixels"),
    Case(10, "100 megapixels in 12 KB", one_bit(10_000, 10_000), "has 100.0 megapixels; the limit is 64"),
    Case(11, "100,000 wide", one_bit(100_000, 1), "a side may have at most 16,384 px"),
    Case(11, "30,000 high", one_bit(1, 30_000), "a side may have at most 16,384 px"),
    Case(12, "1 x 1", one_bit(1, 1), notice="The whole picture is painted", size=(1, 1)),
    Case(12, "8 x 8", encoded(Image.fromarray(noise(8, 8)), "PNG"), size=(8, 8)),
    Case(13, "64 MB of text", UNREADABLE["zTXt bomb"], DAMAGED),
    Case(13, "64 MB of text at the end", UNREADABLE["zTXt bomb behind the pixels"], DAMAGED),
    Case(14, "80 texts", UNREADABLE["80 text chunks"], DAMAGED),
    Case(15, "CMYK", encoded(Image.fromarray(smooth(40, 60)).convert("CMYK"), "JPEG"), notice="converted from CMYK"),
    Case(16, "16-bit grey", grey16(), notice="scaled from more than 8 bits"),
    Case(17, "16-bit colour", png16(noise(40, 60).astype(np.uint16) * 257), notice="scaled from more than 8 bits"),
    Case(18, "a transparent palette", transparent("P")),
    Case(19, "colours under alpha 0", transparent("RGBA")),
    Case(20, "turned by EXIF", encoded(Image.fromarray(smooth(60, 40)), "JPEG", exif=exif(6))),
    Case(21, "broken EXIF", encoded(Image.fromarray(smooth(40, 60)), "JPEG", exif=b"Exif\0\0" + bytes(range(256)))),
    *(Case(22, file_format, moving(file_format), notice="more than one frame") for file_format in ("GIF", "PNG", "WEBP")),
    Case(23, "a place in EXIF", located()),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.row} {case.name}")
def test_a_picture(case: Case, client: httpx.Client) -> None:
    kind, told = erased(client, sent(client, ("photo.png", case.data), ("mask.png", mask(*case.size))))
    if case.says:
        assert kind == "error" and case.says in told["error"], told
        return
    assert kind == "complete", told
    files, report = told
    assert case.notice in " ".join(report["notices"]) and report["changed_outside"] == 0
    result = client.get(f"/gradio_api/file={files[0]['path']}")
    with Image.open(io.BytesIO(result.content)) as image:
        assert image.size == case.size and 0x8825 not in image.getexif(), "the place is nobody's business"


def mask(width: int, height: int) -> bytes:
    """The middle is painted; of a single pixel, that one."""
    painted: Pixels = (
        block(height, width, height // 3, width // 3, height * 2 // 3, width * 2 // 3) if width > 1 else np.full((1, 1), 255, np.uint8)
    )
    return encoded(Image.fromarray(painted), "PNG")


def test_an_upload_over_the_limit_is_refused_before_it_is_read(client: httpx.Client, abused: Served) -> None:
    answer = spoken(
        abused, "POST /gradio_api/upload HTTP/1.1", "Content-Length: 150000000", "Content-Type: multipart/form-data; boundary=x"
    )
    assert answer.startswith("HTTP/1.1 413 ") and "bytes that this address takes" in answer


def test_500_uploads_at_once_hold_up_nobody(client: httpx.Client, abused: Served) -> None:
    """An edit of somebody else is done while they come."""

    def send(number: int) -> int:
        with visitor(abused) as one:
            return one.post("/gradio_api/upload", files={"files": (f"{number}.png", PLAIN_PNG)}).status_code

    with ThreadPoolExecutor(32) as pool:
        uploads = [pool.submit(send, number) for number in range(500)]
        kind, _told = erased(client, sent(client, ("photo.png", PLAIN_PNG), ("mask.png", mask(60, 40))))
        assert kind == "complete" and {upload.result() for upload in uploads} == {200}


NAMES = [
    "../../a.png",
    "..\\..\\a.png",
    "a" * 400 + ".png",
    "gpj.\u202eexe.png",
    "\U0001f469\u200d\U0001f680.png",
    "CON",
    "-rf.png",
    "<img src=x>.png",
    "a\0b.png",
    ".",
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_the_name_of_a_file_leads_nowhere(name: str, client: httpx.Client, abused: Served) -> None:
    """The upload and the result lie where all do, whatever the file is called."""
    answer = client.post("/gradio_api/upload", files=[("files", (name, PLAIN_PNG))])
    assert answer.status_code == 200, answer.text
    (place,) = answer.json()
    assert place.startswith(f"{abused.data}/cache/") and "/../" not in place
    kind, told = erased(client, [place, *sent(client, ("mask.png", mask(60, 40)))])
    assert kind == "complete", told
    (file,), report = told
    assert file["path"].startswith(f"{abused.data}/results/") and "/" not in report["outputs"][0] and "\u202e" not in report["outputs"][0]


def test_a_file_without_a_name_is_no_upload(client: httpx.Client) -> None:
    answer = client.post("/gradio_api/upload", files=[("files", ("", PLAIN_PNG))])
    assert answer.status_code == 422 and answer.json() == {"error": "An upload holds files, each with a name."}


def test_the_same_picture_twice_is_two_results(client: httpx.Client) -> None:
    """Both uploads have one place; what becomes of one result does not touch the other."""
    first, second = ([*sent(client, ("photo.png", PLAIN_PNG)), *sent(client, ("mask.png", mask(60, 40)))] for _ in range(2))
    assert first == second
    places = [erased(client, files)[1][0][0]["path"] for files in (first, second)]
    assert places[0] != places[1] and all(client.get(f"/gradio_api/file={place}").status_code == 200 for place in places)


def test_a_call_leaves_nothing_but_its_uploads_and_its_result(client: httpx.Client, abused: Served) -> None:
    places = sent(client, ("photo.png", PLAIN_PNG), ("mask.png", mask(60, 40)))
    before = kept(abused)
    kind, told = erased(client, places)
    assert kind == "complete" and kept(abused) - before == {Path(told[0][0]["path"])}


def kept(served: Served) -> set[Path]:
    return {path for name in ("cache", "results") for path in (served.data / name).rglob("*") if path.is_file()}


def test_settings_in_a_picture_are_not_read(client: httpx.Client) -> None:
    """Forged, nested deeply, with numbers that nobody can hold."""
    texts = ['{"seed": -1, "steps": NaN}', "[" * 20_000, '{"seed": ' + "9" * 5000 + "}", '{"version": 99}', "Steps: 5, Seed: -1"]
    chunks = [(b"tEXt", f"{key}\0{text}".encode()) for key in ("parameters", "inpaint", "recipe") for text in texts]
    rows = (b"\0" + b"\x10" * 180) * 40
    data = png(header(60, 40), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    kind, told = erased(client, sent(client, ("photo.png", data), ("mask.png", mask(60, 40))), seed=3)
    assert kind == "complete" and told[1]["seed"] == 3, told
