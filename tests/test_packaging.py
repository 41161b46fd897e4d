"""The files round the code agree with each other and with it, and the project leans on nothing outside its folder."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import inpaint

ROOT = Path(__file__).resolve().parent.parent
PIN = re.compile(r"^(?P<name>[A-Za-z0-9_.-]+)(\[[a-z,]+\])?==(?P<version>[0-9][0-9A-Za-z.]*)( ;.*)?$")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def lines(name: str) -> list[str]:
    """Without comments, blank lines and options."""
    bare = (re.sub(r"(^|\s)#.*", "", line).strip() for line in read(name).splitlines())
    return [line for line in bare if line and not line.startswith("-")]


def pins(name: str) -> dict[str, str]:
    found = [PIN.match(line) for line in lines(name)]
    return {re.sub(r"[-_.]+", "-", match["name"]).lower(): match["version"] for match in found if match}


def front_matter() -> dict[str, str]:
    """Plain `key: value` lines are all that is asked of it here."""
    assert read("README.md").startswith("---\n"), "a Space reads its settings from the first lines of README.md"
    block = read("README.md").split("\n---\n", 1)[0]
    pairs = (line.split(":", 1) for line in block.splitlines()[1:] if ":" in line and not line.startswith((" ", "-")))
    return {key: value.strip().strip("\"'") for key, value in pairs}


def docker(instruction: str) -> list[str]:
    whole = read("Dockerfile").replace("\\\n", " ")
    return [line.split(maxsplit=1)[1] for line in whole.splitlines() if line.startswith(f"{instruction} ")]


def project_files() -> list[Path]:
    """What a clone holds, and what is about to be committed."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt", "constraints.txt"])
def test_every_requirement_is_pinned(name: str) -> None:
    assert [line for line in lines(name) if not PIN.match(line)] == []


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_direct_requirement_says_why(name: str) -> None:
    listed = [line for line in read(name).splitlines() if "==" in line and not line.startswith("#")]
    assert [line for line in listed if not re.search(r"\s#\s*\w+", line)] == []


def test_constraints_hold_every_direct_pin() -> None:
    constraints = pins("constraints.txt")
    direct = pins("requirements.txt") | pins("requirements-dev.txt")
    assert {name: constraints.get(name) for name in direct} == direct


def test_requirements_install_alone() -> None:
    """A Space copies requirements.txt by itself: a file named in it would be missing."""
    assert not re.search(r"^\s*(-c|-r|--constraint|--requirement|-e|\.)", read("requirements.txt"), re.MULTILINE)


def test_pydantic_is_one_that_a_space_can_have() -> None:
    """A Space adds gradio[mcp], which admits 2.11.10 to 2.12.5."""
    assert (2, 11, 10) <= tuple(map(int, pins("requirements.txt")["pydantic"].split("."))) <= (2, 12, 5)


def test_space_runs_the_pinned_gradio_and_a_tested_python() -> None:
    space = front_matter()
    assert space["sdk"] == "gradio"
    assert space["sdk_version"] == pins("requirements.txt")["gradio"]
    assert (ROOT / space["app_file"]).is_file()
    assert space["license"] == "apache-2.0"
    assert len(space["short_description"]) <= 60, "the hub refuses a longer one"
    assert tuple(map(int, space["python_version"].split("."))) >= (3, 11), "the hub's default is 3.10"


def test_image_and_space_have_the_same_python() -> None:
    (base,) = docker("FROM")
    assert re.fullmatch(rf"python:{re.escape(front_matter()['python_version'])}\.\d+-slim-bookworm(@sha256:\w+)?", base)


def test_image_serves_the_port_of_the_app_takes_flags_and_checks_its_health() -> None:
    (port,) = docker("EXPOSE")
    environment = " ".join(docker("ENV"))
    (check,) = docker("HEALTHCHECK")
    assert port == "7860", "Gradio's own default, which app.py leaves alone"
    assert {"GRADIO_SERVER_NAME=0.0.0.0", f"GRADIO_SERVER_PORT={port}", "INPAINT_OPEN=1"} <= set(environment.split())
    assert check.endswith('CMD ["python", "-m", "inpaint.health"]') and (ROOT / "inpaint" / "health.py").is_file()
    assert docker("ENTRYPOINT") == ['["python", "app.py"]'] and docker("CMD") == [], "what follows the image's name are flags"
    assert f"127.0.0.1:{port}:{port}" in read("README.md") and f" -p {port}" not in read("README.md") + read("Dockerfile")


def test_image_keeps_what_is_written_in_one_place_and_runs_as_anybody() -> None:
    settings = dict(pair.split("=", 1) for line in docker("ENV") for pair in line.split())
    assert settings["HF_HOME"].startswith("/data/") and settings["INPAINT_DATA_DIR"].startswith("/data/") and settings["HOME"] == "/data"
    assert docker("USER") == ["1000"] and any("--mode=1777 /data" in line for line in docker("RUN"))
    assert docker("VOLUME") == [], "an anonymous volume would stay behind"


def test_image_is_built_for_either_kind_of_machine_and_keeps_downloads_between_builds() -> None:
    install = next(line for line in docker("RUN") if "pip install" in line)
    assert docker("ARG") == ["TORCH=cuda"] and "download.pytorch.org/whl/cpu" in install and install.startswith("--mount=type=cache,")
    assert "--build-arg TORCH=cpu" in read("README.md")


def test_image_has_labels() -> None:
    labels = " ".join(docker("LABEL"))
    assert f'image.version="{inpaint.__version__}"' in labels and 'image.licenses="Apache-2.0"' in labels


def test_image_holds_all_that_the_app_reads() -> None:
    kept = {line[1:] for line in lines(".dockerignore") if line.startswith("!")}
    assert {"app.py", "inpaint", "configs", "models", "requirements.txt", "constraints.txt"} <= kept
    assert [name for name in kept - {"models"} if not (ROOT / name).exists()] == [], "models/ is there once weights are"


def test_one_version() -> None:
    assert tomllib.loads(read("pyproject.toml"))["project"]["version"] == inpaint.__version__


def test_checks_aim_at_the_oldest_admitted_python() -> None:
    project = tomllib.loads(read("pyproject.toml"))
    oldest = project["tool"]["pyright"]["pythonVersion"]
    assert project["project"]["requires-python"] == f">={oldest}"
    assert project["tool"]["ruff"]["target-version"] == f"py{oldest.replace('.', '')}"


def test_nothing_names_a_place_outside_the_project() -> None:
    """No folder beside the clone, and not where it was written."""
    outside = re.compile("|".join([r"\.\./" + "shared", r"(?<![\w.$}-])/" + "work/"]))
    named = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in project_files()
        if path.stat().st_size < 1_000_000 and b"\0" not in (raw := path.read_bytes())
        for match in outside.finditer(raw.decode("utf-8", "replace"))
    ]
    assert named == []


@pytest.mark.parametrize(
    "name", [".ci/run", "scripts/make-venv.sh", "scripts/find-browser.sh", "scripts/install.sh", "scripts/scrubbed.sh"]
)
def test_scripts_parse(name: str) -> None:
    shell = "bash" if "bash" in read(name).splitlines()[0] else "sh"
    parsed = subprocess.run([shell, "-n", ROOT / name], capture_output=True, text=True, check=False)
    assert parsed.returncode == 0, parsed.stderr


@pytest.mark.parametrize(
    ("flags", "kept"),
    [
        ([], {"PATH", "HOME", "LANG"}),
        (["--install"], {"PATH", "HOME", "LANG", "PIP_INDEX_URL", "HTTPS_PROXY"}),
        (["INPAINT_CHROMIUM=/usr/bin/a browser"], {"PATH", "HOME", "LANG", "INPAINT_CHROMIUM"}),
    ],
    ids=["plain", "for packages", "a variable given"],
)
def test_the_scrubbed_environment_holds_what_is_named_and_nothing_else(flags: list[str], kept: set[str]) -> None:
    """Else a variable of the machine that tests could hide a fault which every other machine shows."""
    machine = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": "/root",
        "LANG": "de_DE",
        "PYTHONUNBUFFERED": "1",
        "INPAINT_PORT": "1",
        "LD_PRELOAD": "",
        "PIP_INDEX_URL": "http://127.0.0.1/a b'\"",
        "HTTPS_PROXY": "http://127.0.0.1:1",
    }
    done = subprocess.run(
        ["sh", "scripts/scrubbed.sh", *flags, "env", "-0"], cwd=ROOT, env=machine, capture_output=True, text=True, check=True
    )
    seen = dict(line.split("=", 1) for line in done.stdout.split("\0") if line)
    assert (
        set(seen) == kept and seen["LANG"] == "C.UTF-8" and seen.get("PIP_INDEX_URL", machine["PIP_INDEX_URL"]) == machine["PIP_INDEX_URL"]
    )


@pytest.mark.parametrize(
    ("file", "line"),
    [
        (".ci/run", "exec sh scripts/scrubbed.sh --install make test"),
        ("Makefile", '$(scrubbed) INPAINT_CHROMIUM="$$browser" $(python) -m pytest -m browser $(ARGS)'),
        ("Makefile", '$(scrubbed) $(python) -m pytest -n auto --dist loadfile -m "not browser" $(ARGS)'),
    ],
)
def test_the_tests_run_in_it(file: str, line: str) -> None:
    assert line in read(file)


def test_readme_names_the_test_command() -> None:
    assert "make test" in read("README.md")
