"""Weights that ship with the app are still what was shipped, or the app says so: a flipped bit paints garbage otherwise."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from inpaint.cli import main
from inpaint.config.load import load_config
from inpaint.config.places import DEFAULT_CONFIGS
from inpaint.errors import BadConfig, ModelUnavailable
from inpaint.hub.lockfile import lock_of, lock_of_folder
from inpaint.models.catalog import Models
from tests.fakes import block, noise, save

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "models" / "kandinsky-mini"
UNET = "decoder/unet/diffusion_pytorch_model-00002-of-00003.safetensors"
SENTENCE = "The weights of Kandinsky Mini are damaged."
WHAT_TO_DO = "Restore the files of Kandinsky Mini: with git checkout where the app came by git, else by installing it again"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the weights that may be damaged, and settings that name it, beside each other as in the repository."""
    (tmp_path / "configs" / "models").mkdir(parents=True)
    shutil.copy(DEFAULT_CONFIGS / "models" / "kandinsky-mini.toml", tmp_path / "configs" / "models")
    return shutil.copytree(SHIPPED, tmp_path / "models" / "kandinsky-mini")


def flip(path: Path) -> None:
    """One bit in the middle, size and date as they were."""
    content, state = bytearray(path.read_bytes()), path.stat()
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def flags(folder: Path) -> list[str]:
    return ["--config", str(folder.parents[1] / "configs"), "--data-dir", str(folder.parents[1] / "data"), "--device", "cpu"]


def opened(folder: Path) -> None:
    config = load_config(folder.parents[1] / "configs", {"device": "cpu", "data_dir": str(folder.parents[1] / "data")}, {})
    models = Models(config)
    models.engine(models.specs["kandinsky-mini"], "inpaint", lambda progress: None)


DAMAGES = [
    pytest.param(lambda folder: flip(folder / UNET), f"{UNET.removeprefix('decoder/')} of decoder is damaged", id="a bit of the UNet"),
    pytest.param(
        lambda folder: flip(folder / "prior/prior/diffusion_pytorch_model.safetensors"),
        "prior/diffusion_pytorch_model.safetensors of prior is damaged",
        id="a bit of the prior",
    ),
    pytest.param(
        lambda folder: flip(folder / "prior/tokenizer/tokenizer.json"),
        "tokenizer/tokenizer.json of prior is damaged",
        id="a bit of the vocabulary",
    ),
    pytest.param(
        lambda folder: (folder / UNET).write_bytes((folder / UNET).read_bytes()[:-1]), "of decoder is damaged", id="cut by a byte"
    ),
    pytest.param(
        lambda folder: (folder / "prior/tokenizer/tokenizer_config.json").unlink(),
        "tokenizer/tokenizer_config.json of prior is missing",
        id="a file gone",
    ),
    pytest.param(lambda folder: (folder / "lock.json").unlink(), "its lock is missing or damaged", id="no lock"),
    pytest.param(lambda folder: (folder / "lock.json").write_text("{"), "its lock is missing or damaged", id="a broken lock"),
]


@pytest.mark.parametrize(("damage", "found"), DAMAGES)
def test_what_is_damaged_is_not_opened(
    damage: Callable[[Path], object], found: str, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    opened(folder)
    damage(folder)
    with pytest.raises(ModelUnavailable) as refused:
        opened(folder)
    assert str(refused.value) == f"{SENTENCE} {WHAT_TO_DO}."
    assert found in caplog.text, "which file it is stands in the log"


@pytest.mark.parametrize(("damage", "found"), DAMAGES)
def test_verify_names_what_is_damaged(
    damage: Callable[[Path], object], found: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", *flags(folder), "--verify", "kandinsky-mini"]) == 0
    assert "ok: 20 files as they were locked" in capsys.readouterr().out
    damage(folder)
    assert main(["models", *flags(folder), "--verify", "kandinsky-mini"]) == 1
    out, told = capsys.readouterr()
    assert found in out and told.splitlines()[-1] == f"inpaint: Damaged or missing files: kandinsky-mini. {WHAT_TO_DO}"


def test_an_edit_with_damaged_weights_is_one_sentence_and_no_picture(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flip(folder / UNET)
    photo, mask = save(noise(64, 64), tmp_path / "a.png"), save(block(64, 64, 10, 10, 40, 40), tmp_path / "m.png")
    words = [
        "edit",
        str(photo),
        "--mask",
        str(mask),
        "--output",
        str(tmp_path / "out.png"),
        "--prompt",
        "a dog",
        "--model",
        "kandinsky-mini",
    ]
    assert main([*words, *flags(folder)]) == 1
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith(f"inpaint: {SENTENCE} {WHAT_TO_DO}.")]
    assert len(said) == 1 and not (tmp_path / "out.png").exists()


def test_a_folder_of_ones_own_needs_no_lock(folder: Path) -> None:
    file = folder.parents[1] / "configs" / "models" / "kandinsky-mini.toml"
    file.write_text(
        "\n".join(line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("lock =")), encoding="utf-8"
    )
    flip(folder / UNET)
    opened(folder)


def test_a_folder_that_is_removed_is_told_at_the_next_load_and_holds_again_when_it_is_back(folder: Path) -> None:
    """While the model's engine is open: what is in memory goes on, what has to be read again is refused in a sentence."""
    config = load_config(folder.parents[1] / "configs", {"device": "cpu", "data_dir": str(folder.parents[1] / "data")}, {})
    models = Models(config)
    spec = models.specs["kandinsky-mini"]
    models.bring(spec, "inpaint", lambda progress: None)
    folder.rename(folder.with_name("aside"))
    assert not models.is_available(spec, "inpaint")
    models.residency.evict_all_except()
    with pytest.raises(ModelUnavailable) as refused:
        models.bring(spec, "inpaint", lambda progress: None)
    assert str(folder) not in str(refused.value)
    folder.with_name("aside").rename(folder)
    models.bring(spec, "inpaint", lambda progress: None)


def test_a_lock_is_named_for_a_local_folder_alone(folder: Path) -> None:
    file = folder.parents[1] / "configs" / "models" / "kandinsky-mini.toml"
    file.write_text(file.read_text(encoding="utf-8").replace('"../../models/kandinsky-mini/prior"', '"somebody/prior"'), encoding="utf-8")
    with pytest.raises(BadConfig, match="sources.prior.lock: only a local folder's"):
        opened(folder)


def test_the_committed_lock_is_of_the_committed_weights() -> None:
    """As training/export.py writes it: `python -m training.export --lock-only` after a change by hand."""
    sources = load_config(None, {}, {}).models["kandinsky-mini"].sources
    assert {part: lock_of(source) for part, source in sources.items()} == {
        part: lock_of_folder(SHIPPED / part, SHIPPED) for part in sources
    }
    assert {file.name for file in SHIPPED.iterdir()} == {"README.md", "grid.png", "lock.json", *sources}
    assert all(json.loads((SHIPPED / "lock.json").read_text())["sources"][part]["files"] for part in sources)
