"""What `pip install` gives: a program with its settings, its page and Kandinsky Mini's weights, which runs from anywhere."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.fakes import block, noise, save
from tests.serving import Servers
from tests.test_packaging import ROOT, project_files

PATIENCE_SECONDS = 240
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the wheel of this project's files was installed into."""
    folder = tmp_path_factory.mktemp("wheel")
    for path in project_files():
        copy = folder / "source" / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder, folder / "source"], check=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--target", folder / "site", wheel], check=True)
    return folder / "site"


@pytest.fixture
def run(installed: Path, tmp_path: Path) -> Run:
    """The console command, in another folder and with nothing in its environment."""

    def command(*words: str | Path, site: Path = installed) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, site / "bin" / "inpaint", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env=environment(site, tmp_path),
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    return command


def environment(site: Path, home: Path) -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "HOME": str(home), "LANG": "C.UTF-8", "PYTHONPATH": str(site), "HF_HUB_OFFLINE": "1"}


def test_every_package_of_the_repository_is_named() -> None:
    named = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    there = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "inpaint").rglob("__init__.py")}
    assert set(named) == there | {"inpaint.shipped.configs", "inpaint.shipped.models"}


def test_every_file_that_the_program_reads_is_there(installed: Path) -> None:
    wanted = {path.relative_to(ROOT) for path in project_files() if path.relative_to(ROOT).parts[0] in ("inpaint", "configs", "models")}
    places = {path if path.parts[0] == "inpaint" else Path("inpaint", "shipped") / path for path in wanted}
    assert [str(path) for path in sorted(places) if not (installed / path).is_file()] == []


def test_the_command_lists_every_model_and_finds_the_small_ones(run: Run) -> None:
    done = run("models", "--json")
    models = {model["name"]: model for model in json.loads(done.stdout)["models"]}
    assert done.returncode == 0 and {"erase", "kandinsky-mini", "kandinsky-2.2", "sdxl-turbo"} <= set(models)
    assert "kandinsky-mini" in run("models").stdout and "not downloaded" not in next(
        line for line in run("models").stdout.splitlines() if line.startswith("kandinsky-mini")
    )


@pytest.mark.parametrize(
    "words", [[], ["--model", "kandinsky-mini", "--prompt", "a strawberry", "--steps", "2"]], ids=["erase", "kandinsky-mini"]
)
def test_the_command_edits(run: Run, tmp_path: Path, words: list[str]) -> None:
    photo, mask = save(noise(96, 128), tmp_path / "photo.png"), save(block(96, 128, 30, 30, 40, 40), tmp_path / "mask.png")
    done = run("edit", photo, "--mask", mask, "--output", "out.png", "--seed", "1", "--json", *words)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["changed_outside"] == 0
    assert np.asarray(Image.open(tmp_path / "out.png")).shape == (96, 128, 3)


def test_the_command_serves_the_page(installed: Path, tmp_path: Path) -> None:
    servers = Servers(tmp_path)
    try:
        served = servers.start(
            program=(installed / "bin" / "inpaint", "serve"), folder=tmp_path, environment=environment(installed, tmp_path)
        )
        assert "Clear the spoon away" in httpx.get(f"{served.url}/config", trust_env=False).text
        served.process.terminate()
        assert served.process.wait(PATIENCE_SECONDS) == 0
    finally:
        servers.close()


@pytest.mark.parametrize("last", ["ours", "theirs"])
def test_the_package_of_the_same_import_name_is_told_in_one_line(installed: Path, run: Run, tmp_path: Path, last: str) -> None:
    site = shutil.copytree(installed, tmp_path / "site", ignore=shutil.ignore_patterns("*.safetensors"))
    (site / "inpaint-0.1.7.dist-info").mkdir()
    (site / "inpaint-0.1.7.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: inpaint\nVersion: 0.1.7\n")
    (site / "inpaint-0.1.7.dist-info" / "RECORD").write_text("inpaint/__init__.py,,\ninpaint-0.1.7.dist-info/RECORD,,\n")
    if last == "theirs":
        (site / "inpaint" / "__init__.py").write_text('"""Another program."""\n')
    done = run("models", site=site)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("inpaint: The package inpaint 0.1.7 is another program") and len(done.stderr.splitlines()) == 1
