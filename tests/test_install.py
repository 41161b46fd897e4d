"""scripts/install.sh: which build of torch a machine gets, with stand-ins for the machine, its Python and its driver."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
needs_no_driver = pytest.mark.skipif(Path("/proc/driver/nvidia/version").exists(), reason="this machine has an NVIDIA driver")
pytestmark = pytest.mark.skipif(os.name == "nt", reason="a shell script")


class Machine:
    """A clone with a Python that only notes what it is asked, beside the system's own tools."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.calls = folder, folder / "calls"
        for name in ("scripts", "requirements.txt", "constraints.txt", "Makefile"):
            (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, folder / name)
        self.tool(
            ".venv/bin/python",
            f'case "$*" in *importlib*) cat torch ;; *-m\\ pip*) echo "$@" >> "{self.calls}" ;; esac\n'
            'case "$*" in *whl/cpu*) [ ! -e unreachable ] ;; esac',
        )
        (folder / "torch").write_text("")
        self.system("Linux", "x86_64")

    def tool(self, name: str, script: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def system(self, name: str, processor: str) -> None:
        self.tool("bin/uname", f'case "$1" in -m) echo {processor} ;; *) echo {name} ;; esac')

    def sh(self, *words: str, torch: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": f"{self.folder / 'bin'}:/usr/bin:/bin", "TORCH": torch},
        )

    def wanted(self, torch: str = "") -> str:
        return self.sh("sh", "scripts/install.sh", "--wanted", torch=torch).stdout.strip()

    def install(self, torch: str = "") -> tuple[list[str], str]:
        """What pip was asked to do, in short, and what the person is told."""
        self.calls.write_text("")
        done = self.sh("sh", "scripts/install.sh", torch=torch)
        assert done.returncode == 0, done.stderr
        kinds = {"whl/cpu": "cpu torch", "uninstall": "no torch", "--requirement": "the rest"}
        return (
            [next(kind for word, kind in kinds.items() if word in call) for call in self.calls.read_text().splitlines()],
            done.stdout + done.stderr,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@needs_no_driver
@pytest.mark.parametrize(
    ("system", "processor", "driver", "torch", "build"),
    [
        pytest.param("Linux", "x86_64", "", "", "cpu", id="no driver"),
        pytest.param("Linux", "x86_64", "echo 'GPU 0: NVIDIA T4 (UUID: GPU-1)'", "", "cuda", id="a driver"),
        pytest.param("Linux", "x86_64", "echo 'NVIDIA-SMI has failed'; exit 9", "", "cpu", id="a driver that does not run"),
        pytest.param("Linux", "x86_64", "", "cuda", "cuda", id="CUDA is asked for"),
        pytest.param("Linux", "x86_64", "echo 'GPU 0: NVIDIA T4'", "cpu", "cpu", id="CPU is asked for"),
        pytest.param("Linux", "aarch64", "", "", "usual", id="arm64"),
        pytest.param("Darwin", "arm64", "", "", "usual", id="macOS"),
        pytest.param("Darwin", "arm64", "", "cpu", "usual", id="macOS has one build"),
    ],
)
def test_the_build_that_fits(machine: Machine, system: str, processor: str, driver: str, torch: str, build: str) -> None:
    machine.system(system, processor)
    if driver:
        machine.tool("bin/nvidia-smi", driver)
    assert machine.wanted(torch) == build


@needs_no_driver
def test_without_a_driver_the_small_build_is_taken_and_said_in_one_line(machine: Machine) -> None:
    calls, said = machine.install()
    assert calls == ["cpu torch", "the rest"]
    assert said.startswith("No NVIDIA driver here: taking torch for CPUs") and len(said.splitlines()) == 1
    assert "torch==2.13.0+cpu" in machine.calls.read_text() and "--no-deps" in machine.calls.read_text()


@needs_no_driver
def test_what_is_here_already_is_not_fetched_again(machine: Machine) -> None:
    (machine.folder / "torch").write_text("2.13.0+cpu\n")
    assert machine.install() == (["the rest"], "")


@needs_no_driver
def test_where_the_small_build_cannot_be_had_the_usual_one_is_taken_and_that_is_said(machine: Machine) -> None:
    (machine.folder / "unreachable").write_text("")
    calls, said = machine.install()
    assert calls == ["cpu torch", "the rest"] and "cannot be had" in said.splitlines()[1]


def test_switching_takes_the_other_build_and_is_remembered(machine: Machine) -> None:
    assert machine.install("cpu")[0] == ["cpu torch", "the rest"]
    (machine.folder / "torch").write_text("2.13.0+cpu\n")
    calls, said = machine.install("cuda")
    assert calls == ["no torch", "the rest"] and "in place of the one for CPUs" in said
    assert machine.wanted() == "cuda" and machine.wanted("cpu") == "cpu"


@pytest.mark.skipif(shutil.which("make", path="/usr/bin:/bin") is None, reason="no make here")
def test_make_installs_anew_only_where_another_build_is_asked_for(machine: Machine) -> None:
    def makes(torch: str = "") -> bool:
        machine.calls.write_text("")
        done = machine.sh("make", ".venv/inpaint-installed", torch=torch)
        assert done.returncode == 0, done.stderr
        return bool(machine.calls.read_text())

    assert [makes("cuda"), makes("cuda"), makes(), makes("cpu"), makes(), makes("cuda")] == [True, False, False, True, False, True]


def test_a_build_that_there_is_not_is_refused(machine: Machine) -> None:
    done = machine.sh("sh", "scripts/install.sh", torch="rocm")
    assert done.returncode == 2 and done.stderr == "TORCH=rocm is neither cpu nor cuda.\n"
    assert not machine.calls.exists()
