"""Which variables of other programs count, and which do not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from inpaint.startup.environment import SET, drop_foreign_variables, set_library_variables

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            {"GRADIO_SHARE": "True", "GRADIO_ALLOWED_PATHS": "/", "PATH": "/bin"}, {"PATH": "/bin"}, id="what would open the server"
        ),
        pytest.param(
            {"GRADIO_SERVER_PORT": "7000", "GRADIO_SERVER_NAME": "x", "GRADIO_TEMP_DIR": "/t", "GRADIO_ROOT_PATH": "/i"},
            {"GRADIO_SERVER_PORT": "7000", "GRADIO_SERVER_NAME": "x", "GRADIO_TEMP_DIR": "/t", "GRADIO_ROOT_PATH": "/i"},
            id="where it listens",
        ),
        pytest.param(
            {"GRADIO_NUM_PORTS": "many", "HF_HUB_ETAG_TIMEOUT": "", "HF_HUB_DOWNLOAD_TIMEOUT": "30"},
            {"HF_HUB_DOWNLOAD_TIMEOUT": "30"},
            id="numbers that are none",
        ),
        pytest.param({"TQDM_POSITION": "first", "TQDM_DISABLE": "1"}, {"TQDM_DISABLE": "1"}, id="tqdm"),
        pytest.param(
            {"HF_HOME": "/h", "HF_TOKEN": "t", "INPAINT_PORT": "1"}, {"HF_HOME": "/h", "HF_TOKEN": "t", "INPAINT_PORT": "1"}, id="kept"
        ),
    ],
)
def test_what_is_dropped(before: dict[str, str], after: dict[str, str]) -> None:
    environment = dict(before)
    drop_foreign_variables(environment)
    assert environment == after


def test_no_other_program_turns_telemetry_on() -> None:
    environment = {"GRADIO_ANALYTICS_ENABLED": "True", "HF_HUB_DISABLE_TELEMETRY": "0", "HF_HUB_DISABLE_XET": "0"}
    set_library_variables(environment)
    assert environment == SET
    drop_foreign_variables(environment)
    assert environment == SET


@pytest.mark.parametrize("switch", [["-OO"], ["-O"], []], ids=["-OO", "-O", "neither"])
def test_docstrings_are_there_in_the_end(switch: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, *switch, "-m", "inpaint", "--version"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONOPTIMIZE": "2" if switch else ""},
    )
    assert done.stdout.startswith("inpaint ")
