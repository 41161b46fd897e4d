"""A checkpoint that is missing, damaged or foreign is refused in a sentence, with the command that gets it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from inpaint.engines.pipelines.text_to_image import SdxlTextToImage
from inpaint.errors import EditCancelled, ModelUnavailable
from tests.engines.conftest import Repositories, Watcher, edit

PARTS = ["prior/prior", "prior/text_encoder", "decoder/unet", "decoder/movq"]


def weights(root: Path, part: str) -> Path:
    (file,) = (root / part).glob("*.safetensors")
    return file


def without_folder(root: Path, part: str) -> None:
    shutil.rmtree(root / part)


def without_weights(root: Path, part: str) -> None:
    weights(root, part).unlink()


def without_config(root: Path, part: str) -> None:
    (root / part / "config.json").unlink()


def truncated(root: Path, part: str) -> None:
    file = weights(root, part)
    file.write_bytes(file.read_bytes()[:-500])


def empty(root: Path, part: str) -> None:
    weights(root, part).write_bytes(b"")


def a_web_page(root: Path, part: str) -> None:
    weights(root, part).write_text("<html>429 Too Many Requests</html>")


def half_a_config(root: Path, part: str) -> None:
    config = root / part / "config.json"
    config.write_text(config.read_text()[:40])


def without_one_tensor(root: Path, part: str) -> None:
    tensors = load_file(weights(root, part))
    tensors.pop(sorted(tensors)[-1])
    save_file(tensors, weights(root, part), metadata={"format": "pt"})


def another_shape(root: Path, part: str) -> None:
    tensors = load_file(weights(root, part))
    name = max(tensors, key=lambda key: tensors[key].numel())
    tensors[name] = tensors[name][:1].clone()
    save_file(tensors, weights(root, part), metadata={"format": "pt"})


DAMAGES = [without_folder, without_weights, without_config, truncated, empty, a_web_page, half_a_config, without_one_tensor, another_shape]


CASES = [
    *[(part, damage) for part in ("prior/text_encoder", "decoder/unet") for damage in DAMAGES],
    ("prior/prior", truncated),
    ("decoder/movq", truncated),
]
"""All damages for one part of each library, one for the others."""


@pytest.mark.parametrize(("part", "damage"), [pytest.param(*case, id=f"{case[0]}-{case[1].__name__}") for case in CASES])
def test_damage_is_refused_in_a_sentence(load, learned, tmp_path, part, damage) -> None:
    copy = learned.copy(tmp_path)
    damage(tmp_path, part)
    with pytest.raises(ModelUnavailable) as caught:
        edit(load(copy, model="kandinsky-mini"))
    assert "kandinsky-mini" in caught.value.message
    assert caught.value.hint == "Put a whole copy of the model into its folder, which the model's file names."
    assert str(tmp_path) not in str(caught.value), "whoever asks a server learns no place of it; its log has it"


@pytest.mark.parametrize(
    "file",
    [
        "prior/tokenizer/tokenizer.json",
        "prior/scheduler/scheduler_config.json",
        "decoder/scheduler/scheduler_config.json",
        "prior/image_encoder/config.json",
    ],
)
def test_a_missing_small_file_is_refused(load, learned, tmp_path, file) -> None:
    copy = learned.copy(tmp_path)
    (tmp_path / file).unlink()
    with pytest.raises(ModelUnavailable):
        load(copy)


@pytest.mark.parametrize("part", PARTS)
def test_a_pickle_is_never_opened(load, learned, tmp_path, part, monkeypatch) -> None:
    copy = learned.copy(tmp_path)
    file = weights(tmp_path, part)
    torch.save(load_file(file), file.parent / ("pytorch_model.bin" if "text" in part else "diffusion_pytorch_model.bin"))
    file.unlink()
    monkeypatch.setattr(torch, "load", lambda *_args, **_options: pytest.fail("a pickle was opened"))
    with pytest.raises(ModelUnavailable, match="only as a pickle file"):
        edit(load(copy))


def test_a_scheduler_that_the_loop_cannot_use_is_refused(load, learned, tmp_path) -> None:
    copy = learned.copy(tmp_path)
    config = copy.decoder / "scheduler" / "scheduler_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"_class_name": "EulerDiscreteScheduler"}))
    with pytest.raises(ModelUnavailable, match="EulerDiscreteScheduler"):
        load(copy)


@pytest.mark.parametrize("source", ["no/such-repository", "./no/such/folder", "..", "https://example.org/x", "~/none/of/it"])
def test_a_folder_that_is_not_here_is_refused(source) -> None:
    with pytest.raises(ModelUnavailable, match=r"sdxl-turbo"):
        SdxlTextToImage.load(source, device="cpu", dtype="float32", report=Watcher(), model="sdxl-turbo")


def test_a_damaged_download_names_the_command_that_mends_it(load, learned, tmp_path) -> None:
    snapshot = shutil.copytree(learned.prior, tmp_path / "models--someone--prior" / "snapshots" / ("a" * 40))
    truncated(snapshot, "prior")
    with pytest.raises(ModelUnavailable) as caught:
        edit(load(Repositories(snapshot, learned.decoder), how_to_get="Get it with: this"))
    assert caught.value.hint == "Get it with: this"


@pytest.mark.parametrize("step", [1, 2, 4])
def test_loading_can_be_cancelled_and_begun_again(load, step) -> None:
    engine = load()
    with pytest.raises(EditCancelled):
        edit(engine, Watcher(cancel_at=("loading", step)))
    assert np.array_equal(edit(engine), edit(load()))
