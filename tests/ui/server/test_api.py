"""The HTTP contract against the real app: gradio_client, plain requests, and requests that no honest client sends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from tests.fakes import block, noise, save
from tests.faults.calling import EDIT_FIELDS
from tests.serving import ROOT, Served

REPORT_FIELDS = {"outputs", "model", "seed", "seconds", "region", "changed_outside", "blend_band_px", "notices"}
GENERATE_FIELDS = ["prompt", "negative_prompt", "model", "seed", "num_inference_steps", "guidance_scale", "width", "height", "count"]
REIMAGINE_FIELDS = [
    "prompt",
    "negative_prompt",
    "model",
    "seed",
    "num_inference_steps",
    "guidance_scale",
    "strength",
    "scheduler",
    "prior_num_inference_steps",
    "prior_guidance_scale",
    "count",
]
PATIENCE = httpx.Timeout(180)


@pytest.fixture(scope="module")
def client(served_app: Served, tmp_path_factory: pytest.TempPathFactory) -> Client:
    return Client(
        served_app.url,
        verbose=False,
        analytics_enabled=False,
        download_files=tmp_path_factory.mktemp("got"),
        httpx_kwargs={"timeout": PATIENCE},
    )


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(noise(90, 130), tmp_path_factory.mktemp("picture") / "photo.png")


@pytest.fixture(scope="module")
def mask(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(block(90, 130, 20, 30, 60, 70), tmp_path_factory.mktemp("mask") / "mask.png")


def edit(client: Client, picture: Path, mask: Path, **values: Any) -> tuple[list[Path], dict[str, Any]]:
    files, report = client.predict(image=handle_file(picture), mask=handle_file(mask), api_name="/edit", **values)
    return [Path(file) for file in files], report


def command_line(served: Served, folder: Path, *arguments: str | Path) -> bytes:
    output = folder / "command-line.png"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "inpaint",
            *map(str, arguments),
            "--output",
            str(output),
            "--device",
            "cpu",
            "--config",
            str(served.config),
            "--data-dir",
            str(folder),
        ],
        cwd=ROOT,
        check=True,
        timeout=300,
    )
    return output.read_bytes()


# What an honest client gets


def test_the_contract_is_listed_and_nothing_else_is(client: Client) -> None:
    endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(endpoints) == {"/edit", "/generate", "/reimagine", "/models"}
    names = {name: [parameter["parameter_name"] for parameter in told["parameters"]] for name, told in endpoints.items()}
    assert names == {
        "/edit": ["image", "mask", *EDIT_FIELDS],
        "/generate": GENERATE_FIELDS,
        "/reimagine": ["image", *REIMAGINE_FIELDS],
        "/models": [],
    }
    needed = {
        name: {parameter["parameter_name"] for parameter in told["parameters"] if not parameter["parameter_has_default"]}
        for name, told in endpoints.items()
    }
    assert needed["/edit"] <= {"image", "mask", "prompt"} and needed["/generate"] <= {"prompt"}


def test_an_edit_with_defaults_erases(client: Client, picture: Path, mask: Path) -> None:
    files, report = edit(client, picture, mask)
    before, after = np.asarray(Image.open(picture)), np.asarray(Image.open(files[0]))
    differs = (before != after).any(axis=2)
    assert differs[20:60, 30:70].mean() > 0.5 and not differs[:14].any() and not differs[66:].any()
    assert set(report) >= REPORT_FIELDS and report["model"] == "erase" and report["outputs"] == [files[0].name]
    assert report["changed_outside"] == 0 and report["blend_band_px"] == 6 and report["region"]["crop"]


def test_null_is_not_given(client: Client, picture: Path, mask: Path) -> None:
    _, report = edit(client, picture, mask, **dict.fromkeys(EDIT_FIELDS))
    assert report["model"] == "erase" and report["blend_band_px"] == 6


def test_erase_gives_the_bytes_of_the_command_line(client: Client, served_app: Served, picture: Path, mask: Path, tmp_path: Path) -> None:
    files, report = edit(client, picture, mask, seed=5, feather=3, grow=2)
    assert (report["seed"], report["blend_band_px"]) == (5, 5)
    assert files[0].read_bytes() == command_line(
        served_app, tmp_path, "edit", picture, "--mask", mask, "--seed", "5", "--feather", "3", "--grow", "2"
    )


def test_kandinsky_gives_the_bytes_of_the_command_line(
    client: Client, served_app: Served, picture: Path, mask: Path, tmp_path: Path
) -> None:
    files, report = edit(
        client,
        picture,
        mask,
        model="tiny-kandinsky",
        prompt="a red hat",
        negative_prompt="a dog",
        seed=5,
        count=2,
        num_inference_steps=2,
        prior_num_inference_steps=2,
        scheduler="ddim",
    )
    assert report["seeds"] == [5, 6] and files[0].read_bytes() != files[1].read_bytes()
    alone = command_line(
        served_app,
        tmp_path,
        "edit",
        picture,
        "--mask",
        mask,
        "--model",
        "tiny-kandinsky",
        "--prompt",
        "a red hat",
        "--negative-prompt",
        "a dog",
        "--seed",
        "6",
        "--steps",
        "2",
        "--prior-steps",
        "2",
        "--scheduler",
        "ddim",
    )
    assert files[1].read_bytes() == alone


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        pytest.param("\u0939\u093f\u0928\u094d\u0926\u0940", "\u0939\u093f\u0928\u094d\u0926\u0940", id="Hindi"),
        pytest.param("cafe\u0301", "caf\u00e9", id="a decomposed accent"),
        pytest.param("\u0e17\u0e35\u0e48", "\u0e17\u0e35\u0e48", id="Thai"),
        pytest.param("\U0001f469\u200d\U0001f680", "\U0001f469\u200d\U0001f680", id="emoji"),
        pytest.param("a\u202egpj", "agpj", id="bidi override"),
    ],
)
def test_a_result_keeps_the_name_of_its_photo(client: Client, picture: Path, mask: Path, name: str, stem: str, tmp_path: Path) -> None:
    (tmp_path / f"{name}.png").write_bytes(picture.read_bytes())
    files, report = edit(client, tmp_path / f"{name}.png", mask, seed=5)
    assert report["outputs"] == [files[0].name] == [f"{stem}-5.png"]


def test_a_result_is_stored_once(client: Client, served_app: Served, picture: Path, mask: Path) -> None:
    """Gradio would copy each file that it serves into its cache."""
    files, _ = edit(client, picture, mask, seed=6)
    whole = files[0].read_bytes()
    stored = [path for path in served_app.data.rglob("*") if path.is_file() and path.read_bytes() == whole]
    assert [path.parent.parent for path in stored] == [served_app.data / "results"]


def test_what_looks_like_a_mistake_is_in_the_report(client: Client, picture: Path, mask: Path, tmp_path: Path) -> None:
    faint = save(np.asarray(Image.open(mask)) // 255 * np.uint8(2), tmp_path / "faint.png")
    notices = " ".join(edit(client, picture, faint, model="erase")[1]["notices"])
    assert "The mask's brightest value is 2 of 255" in notices and "Nothing visible changed inside the mask" in notices
    prompted = edit(client, picture, mask, model="tiny-kandinsky", prompt="a violin", num_inference_steps=1, prior_num_inference_steps=2)[1]
    assert "Tiny Kandinsky knows none of these words" in " ".join(prompted["notices"])


def test_a_first_picture_from_text(client: Client) -> None:
    files, report = client.predict("a dog", model="tiny-sdxl", seed=3, width=64, height=128, api_name="/generate")
    assert Image.open(files[0]).size == (64, 128)
    assert report["model"] == "tiny-sdxl" and report["seed"] == 3 and report["outputs"] == [Path(files[0]).name]


def test_a_picture_from_a_picture(client: Client, picture: Path) -> None:
    asked = {"model": "tiny-kandinsky", "strength": 0.5, "num_inference_steps": 4, "seed": 3, "count": 2}
    files, report = client.predict(image=handle_file(picture), prompt="a dog", negative_prompt="a hat", api_name="/reimagine", **asked)
    assert report["model"] == "tiny-kandinsky" and report["seeds"] == [3, 4] and report["settings"]["strength"] == 0.5
    assert report["outputs"] == [Path(file).name for file in files] and Path(files[0]).read_bytes() != Path(files[1]).read_bytes()
    assert all(side % 64 == 0 for side in Image.open(files[0]).size)
    with pytest.raises(AppError, match="Strength must be between"):
        client.predict(image=handle_file(picture), api_name="/reimagine", **asked | {"strength": 7})


def test_models_are_described(client: Client) -> None:
    found = {model["name"]: model for model in client.predict(api_name="/models")}
    assert found["erase"]["on_disk"] and found["tiny-kandinsky"]["on_disk"] and not found["sdxl-turbo"]["on_disk"]
    assert "guidance_scale" not in found["sdxl-turbo"]["controls"] and found["kandinsky-2.2"]["licence"] == "Apache-2.0"


def test_health(served_app: Served) -> None:
    assert httpx.get(f"{served_app.url}/healthz", timeout=PATIENCE).json() == {"status": "ok"}
    ready = httpx.get(f"{served_app.url}/readyz", timeout=PATIENCE)
    assert ready.status_code == 200 and "erase" in ready.json()["models"]


def test_no_tab_holds_a_connection_while_nothing_runs(served_app: Served) -> None:
    assert httpx.get(f"{served_app.url}/config", timeout=PATIENCE).json()["connect_heartbeat"] is False


# What is refused, each with its sentence


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"model": "nothing"}, "There is no model 'nothing'."),
        ({"model": "tiny-sdxl"}, "Tiny SDXL cannot inpaint."),
        ({"model": "kandinsky-2.2", "prompt": "a hat"}, "The weights of Kandinsky 2.2 are not on this machine."),
        ({"model": "erase", "prompt": "a hat"}, "takes no prompt"),
        ({"model": "erase", "guidance_scale": 3}, "Erase has no guidance."),
        ({"seed": -1}, "Seed must be between 0 and"),
        ({"seed": 1.5}, "Seed must be a whole number"),
        ({"count": 1e30}, "Count must be between"),
        ({"feather": "x"}, "Feather must be a number, not 'x'."),
        ({"grow": [3]}, "Grow must be a number"),
        ({"prompt": {"a": 1}}, "The prompt must be text"),
        ({"prompt": "\ud800"}, "lone surrogate"),
        ({"work_area": "somewhere"}, "The work area must be"),
        ({"invert_mask": "yes"}, "Invert mask must be true or false."),
        ({"tone_match": True}, "Tone match is not built yet."),
        ({"model": "tiny-kandinsky", "num_inference_steps": 0}, "Steps must be between 1 and"),
    ],
)
def test_a_wrong_value_gets_its_sentence(served_app: Served, picture: Path, mask: Path, values: dict[str, Any], sentence: str) -> None:
    assert sentence in refused(served_app, uploaded(served_app, picture), uploaded(served_app, mask), **values)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_none_is_refused(served_app: Served, picture: Path, mask: Path, number: str) -> None:
    marker = "number-here"
    body = json.dumps({"data": edit_data(uploaded(served_app, picture), uploaded(served_app, mask), feather=marker)})
    answer = httpx.post(
        f"{served_app.url}/gradio_api/call/edit",
        content=body.replace(f'"{marker}"', number),
        headers={"content-type": "application/json"},
        timeout=PATIENCE,
    )
    if answer.status_code == 200:
        assert "must be a finite number" in outcome(served_app, "edit", answer.json()["event_id"])[1]
    else:
        assert answer.status_code == 422


def test_pictures_that_are_none(client: Client, picture: Path, mask: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.png"
    text.write_text("hello")
    for image, painted, sentence in (
        (text, mask, "text.png"),
        (picture, text, "text.png"),
        (picture, save(block(80, 130, 1, 1, 9, 9), tmp_path / "other.png"), "A mask must have the size of its picture."),
        (picture, save(block(90, 130, 0, 0, 0, 0), tmp_path / "empty.png"), "The mask is empty"),
    ):
        with pytest.raises(AppError) as error:
            edit(client, image, painted)
        assert sentence in str(error.value)


def test_a_missing_picture_is_named(served_app: Served, picture: Path) -> None:
    assert "The image is missing." in refused(served_app, None, None)
    assert "The mask is missing." in refused(served_app, uploaded(served_app, picture), None)


def test_an_empty_prompt_generates_nothing(client: Client) -> None:
    with pytest.raises(AppError, match="The prompt is empty"):
        client.predict("  ", model="tiny-sdxl", api_name="/generate")


# Requests that no honest client sends


NOT_HERE = "A file of this call was not uploaded here."
NO_FILE = "must be an uploaded file. With gradio_client wrap its path in handle_file(...)"
ADDRESS = "A file of this call is named by a web address."
META = {"_type": "gradio.FileData"}
NO_UPLOADS: list[tuple[Any, str]] = [
    ({"path": "/etc/passwd", "meta": META}, NOT_HERE),
    ({"path": "../../../../etc/passwd", "meta": META}, NOT_HERE),
    ({"path": "https://example.org/photo.png", "meta": META}, ADDRESS),
    ({"path": "http://127.0.0.1:1/x.png", "meta": META}, ADDRESS),
    ({"url": "http://127.0.0.1:1/x.png", "path": "x.png", "meta": META}, NOT_HERE),
    ({"path": "\ud800", "meta": META}, NOT_HERE),
    ({"path": "x\0.png", "meta": META}, NOT_HERE),
    ({"path": "x" * 5_000, "meta": META}, NOT_HERE),
    ({"path": "/etc/passwd", "is_stream": True, "meta": META}, NOT_HERE),
    ({"path": "/etc/passwd"}, NO_FILE),
    ({"path": "/etc/passwd", "meta": 7}, NO_FILE),
    ({"path": None, "meta": META}, NO_FILE),
    ({"path": "/etc/passwd", "meta": {"_type": "other"}}, NO_FILE),
    *((value, NO_FILE) for value in ("photo.jpg", "/etc/passwd", 7, [], {}, [[[]]], {"path": None}, True, "\ud800", "x" * 5_000)),
]
NO_REQUESTS = [b"", b"[]", b"{}", b'{"data": null}', b'{"data": "x"}', b'{"data": []}', b"\xff\xfe", b'{"data": [1, 2']


def test_what_is_no_upload_is_refused_and_the_next_request_is_answered(served_app: Served, picture: Path, mask: Path) -> None:
    good, good_mask = uploaded(served_app, picture), uploaded(served_app, mask)
    for value, sentence in NO_UPLOADS:
        for name, data in (("edit", edit_data(value, good_mask)), ("edit", edit_data(good, value)), ("reimagine", [value] + [None] * 11)):
            kind, told = call(served_app, name, data)
            assert kind in ("error", "refused") and "root:" not in told and "/tmp" not in told, value
            assert kind == "refused" or sentence in told, value
    assert "The image must be" in call(served_app, "edit", edit_data("photo.jpg", good_mask))[1]
    assert "The mask must be" in call(served_app, "edit", edit_data(good, "mask.png"))[1]
    kind, told = call(served_app, "edit", edit_data(good, good_mask))
    assert kind == "complete" and '"changed_outside": 0' in told


def test_a_forgotten_handle_file_is_told(client: Client, picture: Path, mask: Path) -> None:
    with pytest.raises(AppError, match=r"The image must be an uploaded file.*handle_file"):
        client.predict(image=str(picture), mask=handle_file(mask), api_name="/edit")


def test_a_file_that_is_no_upload_is_nowhere_in_a_prompt(served_app: Served, picture: Path, mask: Path) -> None:
    values = {"prompt": {"path": "/etc/passwd", "meta": META}}
    assert NOT_HERE in refused(served_app, uploaded(served_app, picture), uploaded(served_app, mask), **values)


def test_a_body_that_is_no_request_is_refused(served_app: Served) -> None:
    for body in NO_REQUESTS:
        answer = httpx.post(
            f"{served_app.url}/gradio_api/call/edit", content=body, timeout=PATIENCE, headers={"content-type": "application/json"}
        )
        if answer.status_code == 200:
            kind, told = outcome(served_app, "edit", answer.json()["event_id"])
            assert kind == "error" and "This call takes 18 values, not " in told, body
        else:
            assert 400 <= answer.status_code <= 500, body
    assert httpx.get(f"{served_app.url}/healthz", timeout=PATIENCE).status_code == 200


def uploaded(served: Served, path: Path) -> dict[str, Any]:
    answer = httpx.post(f"{served.url}/gradio_api/upload", files={"files": (path.name, path.read_bytes())}, timeout=PATIENCE)
    return {"path": answer.json()[0], "orig_name": path.name, "meta": {"_type": "gradio.FileData"}}


def edit_data(image: Any, mask: Any, **values: Any) -> list[Any]:
    return [image, mask, *(values.get(name) for name in EDIT_FIELDS)]


def call(served: Served, name: str, data: Any) -> tuple[str, str]:
    """(complete, error or refused, what came with it)."""
    answer = httpx.post(
        f"{served.url}/gradio_api/call/{name}",
        content=json.dumps({"data": data}),
        timeout=PATIENCE,
        headers={"content-type": "application/json"},
    )
    return outcome(served, name, answer.json()["event_id"]) if answer.status_code == 200 else ("refused", answer.text)


def outcome(served: Served, name: str, event: str) -> tuple[str, str]:
    with httpx.stream("GET", f"{served.url}/gradio_api/call/{name}/{event}", timeout=PATIENCE) as answer:
        kind = ""
        for line in answer.iter_lines():
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            if line.startswith("data: ") and kind in ("complete", "error"):
                return kind, line.removeprefix("data: ")
    return "ended", ""


def refused(served: Served, image: Any, mask: Any, **values: Any) -> str:
    kind, told = call(served, "edit", edit_data(image, mask, **values))
    assert kind == "error"
    return told
