"""The command line as other programs call it: what works, and that everything else is one line on stderr and no file."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inpaint.cli import main
from inpaint.core.masks.mask import Mask
from tests.fakes import block, noise, save
from tests.storage.pictures import TOO_LARGE, UNREADABLE, encoded, exif, smooth

ROOT = Path(__file__).resolve().parent.parent
H, W = 48, 64


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with photo.png, mask.png and some that do not fit, from which commands are run."""
    monkeypatch.chdir(tmp_path)
    save(noise(H, W), tmp_path / "photo.png")
    save(block(H, W, 16, 20, 30, 40), tmp_path / "mask.png")
    save(np.zeros((H, W), np.uint8), tmp_path / "empty.png")
    save(np.full((W, H), 255, np.uint8), tmp_path / "sideways.png")
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    return tmp_path


def edit(*more: str, photo: str = "photo.png", mask: str = "mask.png", output: str = "out.png") -> int:
    return main(["edit", photo, "--mask", mask, "--output", output, "--data-dir", "data", *more])


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def assert_one_line(text: str) -> None:
    assert re.fullmatch(r"inpaint: [^\n]{10,400}\n", text), text


def test_a_mask_that_is_probably_a_mistake_is_done_and_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(block(H, W, 16, 20, 30, 40) // 255, folder / "labels.png")
    save(block(H, W, 16, 20, 30, 40) // 255 * np.uint8(2), folder / "faint.png")
    (folder / "mask.jpg").write_bytes(encoded(Image.open("mask.png").convert("RGB"), "JPEG"))
    assert edit("--model", "erase", mask="labels.png") == 0
    assert "inpaint: The mask holds only 0 and 1, as labels do: 1 was read as white" in capsys.readouterr().err
    assert edit("--model", "erase", mask="faint.png") == 0
    told = capsys.readouterr().err
    assert "inpaint: The mask's brightest value is 2 of 255" in told and "inpaint: Nothing visible changed inside the mask" in told
    assert edit("--model", "erase", mask="mask.jpg") == 0
    assert "inpaint: The mask was saved as JPEG, which leaves faint traces" in capsys.readouterr().err
    assert edit("--model", "kandinsky-mini", "--prompt", "a violin", "--steps", "1", "--prior-steps", "2") == 0
    assert "inpaint: Kandinsky Mini knows none of these words" in capsys.readouterr().err


def test_an_edit_with_its_report(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert edit("--seed", "7", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["outputs"] == ["out.png"] and report["model"] == "erase" and report["seed"] == 7
    assert report["changed_outside"] == 0 and report["blend_band_px"] == 6
    before, after = noise(H, W), np.asarray(Image.open("out.png"))
    changed = (before != after).any(axis=2)
    mask = Mask(block(H, W, 16, 20, 30, 40))
    assert not (changed & ~mask.within(6)).any()
    assert changed[mask.painted].mean() > 0.9


def test_an_edit_for_people(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert edit("--feather", "0", "--grow", "3") == 0
    shown = capsys.readouterr()
    assert shown.out == "out.png\n"
    assert "0 px changed beyond the 3 px blend band. Seed " in shown.err


def test_candidates_are_numbered_and_an_old_output_is_replaced(folder: Path) -> None:
    (folder / "out-2.png").write_bytes(b"old")
    assert edit("--count", "3", "--seed", "4294967293") == 0
    assert {"out-1.png", "out-2.png", "out-3.png"} <= files(folder) and "out.png" not in files(folder)
    assert np.asarray(Image.open("out-2.png")).shape == (H, W, 3)
    assert edit("--seed", "4294967294", "--output", "single.png") == 0
    assert Path("single.png").read_bytes() == Path("out-2.png").read_bytes()


@pytest.mark.parametrize("name", ["caf\u00e9 \U0001f60e.png", "two\nlines.png", "\udcff.png", "out.TIFF", "out.jpg"], ids=ascii)
def test_any_name_is_an_output(name: str, folder: Path) -> None:
    assert edit("--json", output=name) == 0
    assert name in files(folder)


def test_photos_are_turned_upright_and_the_mask_fits_what_is_seen(folder: Path) -> None:
    (folder / "turned.jpg").write_bytes(encoded(Image.fromarray(smooth(H, W)), "JPEG", exif=exif(6), quality=95))
    save(block(W, H, 10, 10, 20, 20), folder / "tall.png")
    assert edit(photo="turned.jpg", mask="tall.png") == 0
    assert Image.open("out.png").size == (H, W)


def test_an_inverted_mask(folder: Path) -> None:
    save(255 - block(H, W, 16, 20, 30, 40), folder / "inverse.png")
    assert edit("--seed", "1") == 0 and edit("--seed", "1", "--invert-mask", mask="inverse.png", output="other.png") == 0
    assert Path("out.png").read_bytes() == Path("other.png").read_bytes()


WRONG_FLAGS: list[list[str]] = [
    ["--seed", "nan"],
    ["--seed", "inf"],
    ["--seed", "-1"],
    ["--seed", "1.5"],
    ["--seed", "4294967296"],
    ["--seed", "9" * 5000],
    ["--seed", "seven"],
    ["--seed", "4294967295", "--count", "2"],
    ["--count", "0"],
    ["--count", "1000"],
    ["--count", "nan"],
    ["--grow", "-600"],
    ["--grow", "1e9"],
    ["--grow", "-40"],
    ["--feather", "-1"],
    ["--feather", "inf"],
    ["--feather", "0.5"],
    ["--model", "magic"],
    ["--model", "sdxl-turbo"],
    ["--model", "", "--steps", "5"],
    ["--guidance-scale", "1"],
    ["--strength", "0.5"],
    ["--scheduler", "ddpm"],
    ["--prior-steps", "5"],
    ["--prior-guidance-scale", "4"],
    ["--negative-prompt", "ugly"],
    ["--model", "erase", "--prompt", "hat"],
    ["--prompt", "\udcff"],
    ["--prompt", "x" * 2001],
    ["--tone-match", "on"],
    ["--tone-match", "maybe"],
    ["--work-area", "0,0,9,9"],
    ["--work-area", "0,0,9999,9"],
    ["--work-area", "half"],
    ["--work-area", "1,2,3"],
    ["--device", "gpu"],
    ["--dtype", "int8"],
    ["--config", "nowhere"],
    ["--config", "photo.png"],
    ["--unknown"],
    ["--seed"],
    ["extra.png"],
    ["--model", "kandinsky-2.2", "--prompt", "hat", "--steps", "nan"],
    ["--model", "kandinsky-2.2", "--guidance-scale", "inf"],
    ["--data-dir", "~nobody-of-this-name"],
]


@pytest.mark.parametrize("flags", WRONG_FLAGS, ids=lambda flags: " ".join(ascii(flag)[1:16] for flag in flags))
def test_wrong_flags(flags: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(folder)
    assert edit(*flags) == 2
    shown = capsys.readouterr()
    assert_one_line(shown.err)
    assert shown.out == "" and files(folder) == before


@pytest.mark.parametrize(
    ("named", "value"),
    [
        *[
            ("photo", name)
            for name in ("missing.png", "folder.png", "pipe.png", ".", "", "a" * 300, "two\nlines.png", "\udcff.png", "/dev/zero")
        ],
        *[("mask", name) for name in ("missing.png", "folder.png", "pipe.png", "empty.png", "sideways.png", "/dev/null")],
        *[
            ("output", name)
            for name in (
                "nowhere/out.png",
                "folder.png",
                "pipe.png",
                "out",
                "out.xyz",
                "",
                ".png",
                "/proc/out.png",
                "photo.png",
                "mask.png",
                "./photo.png",
                "a" * 300 + ".png",
                "out.heic",
            )
        ],
    ],
    ids=ascii,
)
def test_wrong_files(named: str, value: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, photo = files(folder), Path("photo.png").read_bytes()
    assert edit(**{named: value}) == 2
    assert_one_line(capsys.readouterr().err)
    assert files(folder) == before and Path("photo.png").read_bytes() == photo


@pytest.mark.parametrize("data", [*UNREADABLE.values(), *TOO_LARGE.values()], ids=[*UNREADABLE, *TOO_LARGE])
@pytest.mark.parametrize("named", ["photo", "mask"])
def test_damaged_pictures(named: str, data: bytes, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "damaged.png").write_bytes(data)
    before = files(folder)
    assert edit(**{named: "damaged.png"}) == 2
    assert_one_line(capsys.readouterr().err)
    assert files(folder) == before


def test_a_format_too_small_for_the_picture_is_refused_first(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(noise(2, 16_384), folder / "long.png")
    save(block(2, 16_384, 0, 0, 1, 1), folder / "dot.png")
    assert edit(photo="long.png", mask="dot.png", output="out.webp") == 2
    assert "16,383" in capsys.readouterr().err and "out.webp" not in files(folder)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["edit"],
        ["edit", "photo.png"],
        ["edit", "photo.png", "--mask", "mask.png"],
        ["--unknown"],
        ["generate"],
        ["generate", "--output", "o.png"],
        ["generate", "--prompt", " ", "--output", "o.png"],
        ["generate", "--prompt", "dog", "--output", "o.png", "--width", "300"],
        ["generate", "--prompt", "dog", "--output", "o.png", "--steps", "nan"],
        ["generate", "--prompt", "dog", "--output", "o.png", "--guidance-scale", "2"],
        ["generate", "--prompt", "dog", "--output", "nowhere/o.png"],
        ["generate", "--prompt", "\udcff", "--output", "o.png"],
        ["models", "--download", "magic"],
        ["models", "--verify", "magic"],
        ["models", "--task", "inpaint"],
        ["models", "--config", "nowhere"],
        ["edit", "photo.png", "--mas", "mask.png", "--output", "o.png"],
    ],
    ids=lambda arguments: ascii(" ".join(arguments)),
)
def test_wrong_commands(arguments: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(folder)
    assert main(arguments) == 2
    assert_one_line(capsys.readouterr().err)
    assert files(folder) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["generate", "--prompt", "dog", "--output", "o.png"],
        ["edit", "photo.png", "--mask", "mask.png", "--output", "o.png", "--model", "kandinsky-2.2", "--prompt", "hat"],
        ["models", "--download", "kandinsky-2.2"],
    ],
    ids=" ".join,
)
def test_missing_weights_are_the_machines_fault(
    arguments: list[str], folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder / "cache"))
    assert main(arguments) == 1
    assert_one_line(capsys.readouterr().err.splitlines(keepends=True)[-1])
    assert "o.png" not in files(folder)


def test_a_full_disk_keeps_the_old_output(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "out.png").write_bytes(b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, before[1]))
    try:
        assert edit() == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert_one_line(capsys.readouterr().err)
    assert Path("out.png").read_bytes() == b"old" and not [name for name in files(folder) if name.startswith(".")]


def test_a_model_from_a_folder_of_settings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "mine" / "models").mkdir(parents=True)
    text = (ROOT / "configs" / "models" / "erase.toml").read_text(encoding="utf-8")
    (folder / "mine" / "models" / "small.toml").write_text(text.replace('name = "erase"', 'name = "small"'), encoding="utf-8")
    assert main(["models", "--config", "mine", "--json"]) == 0
    assert "small" in [model["name"] for model in json.loads(capsys.readouterr().out)["models"]]
    assert edit("--config", "mine", "--model", "small", "--json") == 0
    assert json.loads(capsys.readouterr().out)["model"] == "small"


def test_a_wrong_settings_file_is_named_with_its_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "app.toml").write_text("share = true\nport = \nhost = 1\n", encoding="utf-8")
    assert edit("--config", ".") == 2
    shown = capsys.readouterr().err
    assert_one_line(shown)
    assert "app.toml" in shown and "line 2" in shown


def test_too_little_memory_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("inpaint.storage.masks.read_mask", no_room)
    assert edit() == 1
    assert_one_line(capsys.readouterr().err)


class TestAsAProcess:
    """What only a process of its own can show: bytes, signals, streams."""

    @staticmethod
    def run(*arguments: str | bytes, shell_suffix: str = "", **environment: str) -> subprocess.CompletedProcess[bytes]:
        command: Sequence[str | bytes] = [sys.executable, "-m", "inpaint", *arguments]
        if shell_suffix:
            command = ["sh", "-c", f'"$@" {shell_suffix}', "sh", *command]
        return subprocess.run(
            command, capture_output=True, timeout=120, check=False, env=os.environ | {"PYTHONPATH": str(ROOT)} | environment
        )

    def test_bytes_that_are_no_utf8(self, folder: Path) -> None:
        name = b"\xff\xfe.png"
        Path(os.fsdecode(name)).write_bytes(Path("photo.png").read_bytes())
        done = self.run("edit", name, "--mask", "mask.png", "--output", b"out\xff.png")
        assert (done.returncode, done.stdout) == (0, b"out\xff.png\n")
        refused = self.run("edit", "photo.png", "--mask", "mask.png", "--output", "o.png", "--prompt", b"\xff")
        assert refused.returncode == 2
        assert_one_line(refused.stderr.decode())

    def test_a_plain_locale_and_no_home(self, folder: Path) -> None:
        done = self.run("edit", "photo.png", "--mask", "mask.png", "--output", "out.png", LC_ALL="C", HOME="", PYTHONUTF8="0")
        assert (done.returncode, done.stdout) == (0, b"out.png\n")

    def test_libraries_do_not_write_between_the_lines(self, folder: Path) -> None:
        """libtiff tells its own troubles to the process's stderr."""
        data = encoded(Image.fromarray(noise(40, 40)), "TIFF", compression="tiff_lzw")
        Path("damaged.tif").write_bytes(data[:200] + b"\xff" * 50 + data[250:])
        done = self.run("edit", "damaged.tif", "--mask", "mask.png", "--output", "out.png")
        assert done.returncode == 2
        assert_one_line(done.stderr.decode())

    @pytest.mark.parametrize(
        ("suffix", "code", "kept"), [(">/dev/full", 1, True), ("| true", 0, True), (">&-", 0, True), ("2>&-", 0, True)]
    )
    def test_outputs_that_nobody_reads(self, suffix: str, code: int, kept: bool, folder: Path) -> None:
        done = self.run("edit", "photo.png", "--mask", "mask.png", "--output", "out.png", "--json", shell_suffix=suffix)
        assert done.returncode == code
        assert b"Traceback" not in done.stderr and b"Exception ignored" not in done.stderr
        assert ("out.png" in files(folder)) == kept

    def test_ctrl_c_during_a_run(self, folder: Path) -> None:
        """The signal comes while the first of eight candidates is being filled."""
        save(noise(300, 400), folder / "photo.png")
        save(block(300, 400, 50, 50, 250, 300), folder / "mask.png")
        (folder / "out-1.png").write_bytes(b"old")
        before = files(folder)
        program = (
            "import sys, inpaint.engines.erase.patchmatch as p\nfill = p._patchmatch\n"
            "def told(*a):\n    print('filling', flush=True)\n    return fill(*a)\n"
            "p._patchmatch = told\nfrom inpaint.cli import main\nsys.exit(main(sys.argv[1:]))"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", program, "edit", "photo.png", "--mask", "mask.png", "--output", "out.png", "--count", "8"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        assert process.stdout is not None and process.stdout.readline() == "filling\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 130
        assert_one_line(errors)
        assert files(folder) == before and Path("out-1.png").read_bytes() == b"old"

    def test_help_is_not_an_error(self) -> None:
        for arguments in (["--help"], ["edit", "--help"], ["--version"]):
            done = self.run(*arguments)
            assert done.returncode == 0 and done.stdout and not done.stderr
