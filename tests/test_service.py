"""Plain values, as a page or a program sends them, become a request or one sentence; the report tells what was saved."""

from __future__ import annotations

import gc
import math
import time
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inpaint.config.settings import AppConfig
from inpaint.core.masks.mask import Mask
from inpaint.core.picture import Picture
from inpaint.core.request import MAX_SEED, EditRequest
from inpaint.core.result import EditResult
from inpaint.errors import BadMask, BadOutput, EmptyMask, InpaintError, InvalidRequest, ModelUnavailable
from inpaint.jobs.work import EditWork, cost_of
from inpaint.models.catalog import Models
from inpaint.saving import NamedFiles, Saved
from inpaint.service import Service
from inpaint.storage.journal import Journal
from tests.fakes import block, noise
from tests.programmed import Programmed, raises

PATIENCE = 60
PICTURE, MASK = Picture(noise(40, 50)), Mask(block(40, 50, 10, 10, 20, 20))


@pytest.fixture
def service(config: AppConfig) -> Service:
    return Service.build(config)


def test_nothing_given_is_erase_with_the_defaults_and_a_drawn_seed(service: Service) -> None:
    request = service.edit_request(PICTURE, MASK, {})
    assert (request.model, request.count, request.grow, request.feather, request.work_area) == ("erase", 1, 0, 6, "auto")
    assert request.blend_band_px == 6
    assert service.edit_request(PICTURE, MASK, {}).sampling.seed != request.sampling.seed


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"seed": -1}, "seed"),
        ({"seed": 2**32}, "seed"),
        ({"seed": math.nan}, "seed"),
        ({"seed": "7"}, "seed"),
        ({"seed": True}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"seed": MAX_SEED, "count": 2}, "seed"),
        ({"count": 0}, "count"),
        ({"count": 9}, "count"),
        ({"count": 10**400}, "count"),
        ({"grow": 513}, "grow"),
        ({"grow": -513}, "grow"),
        ({"grow": 1.5}, "grow"),
        ({"feather": -1}, "feather"),
        ({"feather": math.inf}, "feather"),
        ({"invert_mask": "yes"}, "invert_mask"),
        ({"invert_mask": 1}, "invert_mask"),
        ({"tone_match": True}, "tone_match"),
        ({"tone_match": "on"}, "tone_match"),
        ({"work_area": "half"}, "work_area"),
        ({"model": "magic"}, "model"),
        ({"model": ["erase"]}, "model"),
        ({"model": "sdxl-turbo"}, "model"),
        ({"prompt": "\ud800"}, "prompt"),
        ({"prompt": 5}, "prompt"),
        ({"model": "erase", "prompt": "hat"}, "prompt"),
        ({"strength": 0.5}, "strength"),
        ({"num_inference_steps": 5}, "num_inference_steps"),
        ({"scheduler": "ddpm"}, "scheduler"),
        ({"negative_prompt": "x"}, "negative_prompt"),
    ],
    ids=str,
)
def test_wrong_values_name_their_field(values: dict[str, Any], field: str, service: Service) -> None:
    with pytest.raises(InvalidRequest) as caught:
        service.edit_request(PICTURE, MASK, values)
    assert caught.value.field == field


def test_the_highest_seed_is_taken_where_one_candidate_needs_it(service: Service) -> None:
    assert service.edit_request(PICTURE, MASK, {"seed": MAX_SEED}).sampling.seed == MAX_SEED
    assert service.edit_request(PICTURE, MASK, {"seed": MAX_SEED - 7, "count": 8}).count == 8


@pytest.mark.parametrize(
    ("mask", "values", "error"),
    [
        (np.zeros((40, 50)), {}, EmptyMask),
        (np.full((40, 50), 255), {"invert_mask": True}, EmptyMask),
        (np.full((50, 40), 255), {}, BadMask),
    ],
    ids=["empty", "inverted", "another size"],
)
def test_masks_that_are_refused(mask: Any, values: dict[str, Any], error: type[InpaintError], service: Service) -> None:
    with pytest.raises(error):
        service.edit_request(PICTURE, Mask(mask.astype(np.uint8)), values)


def test_a_mask_is_inverted_where_asked(service: Service) -> None:
    assert np.array_equal(service.edit_request(PICTURE, MASK, {"invert_mask": True}).mask.pixels, 255 - MASK.pixels)


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"model": "kandinsky-2.2", "prompt": "hat"}, ModelUnavailable),
        ({"model": "kandinsky-2.2", "guidance_scale": math.nan}, InvalidRequest),
        ({"model": "kandinsky-2.2", "width": 512}, InvalidRequest),
        ({"prompt": "hat", "seed": "x"}, InpaintError),
    ],
    ids=str,
)
def test_a_wrong_request_is_told_before_missing_weights(values: dict[str, Any], error: type[InpaintError], service: Service) -> None:
    with pytest.raises(error):
        service.edit_request(PICTURE, MASK, values)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({}, "prompt"),
        ({"prompt": " "}, "prompt"),
        ({"prompt": "dog", "width": 300}, "width"),
        ({"prompt": "dog", "guidance_scale": 1}, "guidance_scale"),
        ({"prompt": "dog", "negative_prompt": "cat"}, "negative_prompt"),
        ({"prompt": "dog", "model": "erase"}, "model"),
        ({"prompt": "dog", "num_inference_steps": 5}, "num_inference_steps"),
        ({"prompt": "dog", "count": math.nan}, "count"),
    ],
    ids=str,
)
def test_wrong_generations(values: dict[str, Any], field: str, service: Service) -> None:
    with pytest.raises(InvalidRequest) as caught:
        service.generate_request(values)
    assert caught.value.field == field


def test_generating_without_weights_names_the_command(service: Service) -> None:
    with pytest.raises(ModelUnavailable, match="models --download sdxl-turbo"):
        service.generate_request({"prompt": "dog"})


@pytest.mark.parametrize(
    ("values", "message"),
    [({"work_area": "0,0,12,12"}, "must hold the whole mask"), ({"work_area": "0,0,99,9"}, "leaves"), ({"grow": -9}, "leaves nothing")],
    ids=str,
)
def test_a_plan_that_cannot_be_is_refused_before_a_model_is_loaded(
    values: dict[str, Any], message: str, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(service.models), "engine", lambda *_: pytest.fail("loaded"))
    request = service.edit_request(PICTURE, MASK, values)
    with pytest.raises(InpaintError, match=message) as caught:
        service.start_edit(request, "ann")
    assert caught.value.exit_code == 2


def test_no_pixels_stay_in_memory_after_the_job(service: Service) -> None:
    picture = Picture(noise(40, 50))
    request = service.edit_request(picture, MASK, {"seed": 3, "count": 3})
    expected, kept = cost_of(EditWork(request, service.plan(request))), [weakref.ref(picture)]

    def remember(result: EditResult, request: EditRequest | None) -> Saved:
        kept.extend(weakref.ref(candidate.picture) for candidate in result.candidates)
        return service.results_folder("photo")(result, request)

    job = service.start_edit(request, "ann", destination=remember)
    del picture, request
    assert job.wait(PATIENCE) and job.state == "done" and job.cost == expected and len(kept) == 4
    last = time.monotonic() + PATIENCE
    while any(pixels() is not None for pixels in kept):
        gc.collect()
        assert time.monotonic() < last, "the worker lets go of a job a moment after it ended"
        time.sleep(0.01)
    saved = job.outcome()
    assert [path.is_file() for path in saved.paths] == [True] * 3 and len(saved.previews) == 3


def test_a_result_is_on_disk_although_nobody_asks_for_it(service: Service) -> None:
    assert service.start_edit(service.edit_request(PICTURE, MASK, {"count": 2}), "ann").wait(PATIENCE)
    assert len(list((service.config.data_dir / "results").glob("*/*.png"))) == 2


def test_the_command_line_s_own_job_is_never_taken_for_one_that_was_left(config: AppConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    hasty = replace(config, settings=replace(config.settings, queue=replace(config.settings.queue, away_seconds=0.05, job_seconds=0.05)))
    slow = Programmed({("denoising", 1): lambda: time.sleep(0.3)})
    monkeypatch.setattr(Models, "engine", lambda models, spec, task, report: slow)
    service = Service.build(hasty)
    job = service.start_edit(service.edit_request(PICTURE, MASK, {}), "command line")
    assert job.wait(PATIENCE) and job.state == "done"


def test_figures_tell_jobs_and_seconds_by_model_and_stage(config: AppConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service.build(config, Journal(tmp_path / "running"))
    assert service.start_edit(service.edit_request(PICTURE, MASK, {}), "ann").wait(PATIENCE)
    broken = Programmed({("denoising", 1): raises(BadOutput("NaN."))})
    monkeypatch.setattr(Models, "engine", lambda models, spec, task, report: broken)
    assert service.start_edit(service.edit_request(PICTURE, MASK, {}), "ann").wait(PATIENCE)
    last = time.monotonic() + PATIENCE
    while 'state="failed"' not in (figures := service.metrics.text().decode()) or any((tmp_path / "running").glob("*/*.json")):
        assert time.monotonic() < last, "the worker tells of a job's end after those who wait for it"
        time.sleep(0.01)
    for state in ("done", "failed"):
        assert f'inpaint_jobs_total{{model="erase",state="{state}"}} 1.0' in figures
    assert 'inpaint_stage_seconds_count{model="erase",stage="filling"}' in figures
    assert 'inpaint_jobs_unfinished{state="waiting"} 0.0' in figures and 'inpaint_jobs_unfinished{state="running"}' in figures
    assert "inpaint_queue_length 0.0" in figures and "inpaint_weights_bytes 0.0" in figures


def edited(service: Service, folder: Path, values: dict[str, Any], picture: Picture = PICTURE, ending: str = ".png") -> dict[str, object]:
    request = service.edit_request(picture, MASK, {"seed": 3, **values})
    job = service.start_edit(request, "ann", destination=NamedFiles([folder / f"out{k}{ending}" for k in range(request.count)]))
    assert job.wait(60)
    return job.outcome().report.to_json()


def test_the_report(service: Service, tmp_path: Path) -> None:
    report = edited(service, tmp_path, {"count": 2, "feather": 4, "grow": 3})
    assert report["outputs"] == [str(tmp_path / "out0.png"), str(tmp_path / "out1.png")]
    assert report["seeds"] == [3, 4] and report["seed"] == 3 and report["model"] == "erase"
    assert report["changed_outside"] == 0 and report["blend_band_px"] == 7
    assert report["region"] == {"crop": [0, 0, 50, 40], "working": [50, 40]}
    assert {"filling", "compositing"} <= set(report["seconds"])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        pytest.param(
            {"mask": block(40, 50, 10, 10, 20, 20) // 255},
            ["brightest value is 1 of 255", "Nothing visible changed inside the mask: the result looks like the picture."],
            id="0 and 1",
        ),
        pytest.param({"mask": block(40, 50, 10, 10, 20, 20) // 255 * np.uint8(76)}, ["brightest value is 76 of 255"], id="red on black"),
        pytest.param(
            {"mask": noise(40, 50, 1)[..., 0]}, ["as in a photo", "stays as it was", "the result looks like the picture."], id="a photo"
        ),
        pytest.param(
            {"picture": np.full((40, 50, 3), 90, np.uint8)},
            ["Nothing visible changed inside the mask: the result looks like the picture."],
            id="an even picture",
        ),
        pytest.param(
            {"picture": np.full((40, 50, 3), 90, np.uint8), "count": 2},
            ["Nothing visible changed inside the mask: all results look like the picture."],
            id="twice",
        ),
        pytest.param({}, [], id="an ordinary edit"),
    ],
)
def test_a_mask_that_is_nearly_nothing_is_said(values: dict[str, Any], said: list[str], service: Service, tmp_path: Path) -> None:
    picture, mask = Picture(values.pop("picture", noise(40, 50))), Mask(values.pop("mask", MASK.pixels))
    request = service.edit_request(picture, mask, {"model": "erase", "seed": 3, **values})
    job = service.start_edit(request, "somebody", destination=NamedFiles([tmp_path / f"out{k}.png" for k in range(request.count)]))
    assert job.wait(PATIENCE)
    notices = job.outcome().report.notices
    assert len(notices) == len(said) and all(part in notice for part, notice in zip(said, notices, strict=True))


def test_what_was_read_of_the_mask_is_said(service: Service) -> None:
    mask = Mask(MASK.pixels, ("The mask is red.",))
    assert service.edit_request(PICTURE, mask, {"model": "erase", "invert_mask": True}).notices == ("The mask is red.",)


def test_changed_outside_is_counted_on_the_file_that_was_saved(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk, or an encoder, that spoils 5 pixels in a corner far from the mask."""
    from inpaint.storage import results

    whole = results.write_atomically

    def spoil(path: Path, data: bytes) -> None:
        whole(path, data)
        with Image.open(path) as image:
            pixels = np.array(image)
        pixels[-1, -5:] ^= 1
        Image.fromarray(pixels).save(path)

    monkeypatch.setattr(results, "write_atomically", spoil)
    assert edited(service, tmp_path, {})["changed_outside"] == 5


@pytest.mark.parametrize("ending", [".png", ".tif", ".bmp", ".jpg", ".webp", ".avif"])
@pytest.mark.parametrize("channels", [3, 4])
def test_zero_px_changed_in_every_format(ending: str, channels: int, service: Service, tmp_path: Path) -> None:
    report = edited(service, tmp_path, {}, Picture(noise(40, 50, channels)), ending)
    assert report["changed_outside"] == 0
    is_exact = ending in (".png", ".tif") or (ending == ".bmp" and channels == 3)
    assert any("before encoding" in str(notice) for notice in report["notices"]) != is_exact


def test_the_same_seed_gives_the_same_bytes(service: Service, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        edited(service, tmp_path / name, {})
    assert (tmp_path / "a" / "out0.png").read_bytes() == (tmp_path / "b" / "out0.png").read_bytes()
