"""From nothing to a picture: a download, then a start without any network that repaints with what came."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from inpaint.cli import main
from tests.hub_stand_in import point_at, running_hub
from tests.test_parity_end_to_end import SPEC
from tests.tiny_models import make_kandinsky


def test_a_downloaded_model_repaints_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    prior, decoder = make_kandinsky(tmp_path / "made", learned_range=True)
    (tmp_path / "config" / "models").mkdir(parents=True)
    (tmp_path / "config" / "models" / "tiny.toml").write_text(SPEC.format(prior="me/prior", decoder="me/decoder"), encoding="utf-8")
    Image.new("RGB", (128, 128), "grey").save(tmp_path / "photo.png")
    Image.new("L", (128, 128), 0).save(tmp_path / "mask.png")
    with Image.open(tmp_path / "mask.png") as mask:
        mask.paste(255, (40, 40, 90, 90))
        mask.save(tmp_path / "mask.png")
    options = ["--config", str(tmp_path / "config"), "--data-dir", str(tmp_path / "data"), "--device", "cpu"]
    edit = [
        "edit",
        str(tmp_path / "photo.png"),
        "--mask",
        str(tmp_path / "mask.png"),
        "--output",
        str(tmp_path / "out.png"),
        "--model",
        "tiny",
        "--prompt",
        "a red hat",
        "--seed",
        "1",
        *options,
    ]
    with running_hub() as hub:
        hub.add_folder("me/prior", prior)
        hub.add_folder("me/decoder", decoder)
        point_at(hub, tmp_path / "home", monkeypatch)
        assert main(edit) == 1 and "models --download tiny" in capsys.readouterr().err
        assert hub.requests == []
        assert main(["models", "--download", "tiny", *options]) == 0
        assert {name.partition(":")[2].rpartition(".")[2] for name in hub.fetched()} <= {"json", "txt", "safetensors"}
        hub.requests.clear()
        assert main(edit) == 0, capsys.readouterr().err
        assert hub.requests == []
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.size == (128, 128) and len(picture.convert("L").getcolors()) > 2
