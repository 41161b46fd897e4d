"""A server that others reach asks for a login, or somebody has said that it need not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from inpaint.config.load import load_config
from inpaint.config.settings import Settings
from inpaint.errors import BadConfig
from inpaint.service import Service
from inpaint.ui.page import build_page
from inpaint.ui.security.hosts import check_open, exposure
from tests.serving import BARE, PATIENCE_SECONDS, ROOT, Serve, free_port

WHAT_TO_DO = "Ask for one with --auth USER:PASSWORD, or say with --open that everybody may use it."


@pytest.mark.parametrize("program", [["app.py"], ["-m", "inpaint", "serve"]], ids=["app.py", "inpaint serve"])
@pytest.mark.parametrize(
    ("flags", "variables", "way"),
    [
        pytest.param(["--host", "0.0.0.0"], {}, "the address 0.0.0.0", id="--host"),
        pytest.param(["--host", "::"], {}, "the address ::", id="--host, IPv6"),
        pytest.param([], {"INPAINT_HOST": "0.0.0.0"}, "the address 0.0.0.0", id="INPAINT_HOST"),
        pytest.param([], {"GRADIO_SERVER_NAME": "0.0.0.0"}, "the address 0.0.0.0", id="GRADIO_SERVER_NAME"),
        pytest.param(["--share"], {}, "a shared link", id="--share"),
        pytest.param([], {"INPAINT_SHARE": "1"}, "a shared link", id="INPAINT_SHARE"),
        pytest.param(["--host", "0.0.0.0"], {"INPAINT_OPEN": "0"}, "the address 0.0.0.0", id="not open"),
    ],
)
def test_without_a_login_it_does_not_start(
    program: list[str], flags: list[str], variables: dict[str, str], way: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, *program, "--port", str(free_port()), "--data-dir", str(tmp_path / "data"), *flags],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
        env=BARE | {"HOME": str(tmp_path)} | variables,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"inpaint: Others would reach this server by {way}, and it asks for no login. {WHAT_TO_DO}\n"
    assert not (tmp_path / "data").exists(), "nothing was written"


@pytest.mark.parametrize(
    ("flags", "variables", "is_told"),
    [
        pytest.param(["--host", "0.0.0.0", "--open"], {}, True, id="--open"),
        pytest.param([], {"GRADIO_SERVER_NAME": "0.0.0.0", "INPAINT_OPEN": "1"}, True, id="the image's variables"),
        pytest.param(["--host", "0.0.0.0", "--auth", "ann:secret"], {"INPAINT_OPEN": "1"}, False, id="a login"),
        pytest.param([], {}, False, id="this machine alone"),
    ],
)
def test_it_starts_and_says_who_may_use_it(flags: list[str], variables: dict[str, str], is_told: bool, serve: Serve, log: Path) -> None:
    serve(*flags, **variables)
    told = [line for line in log.read_text().splitlines() if "EVERYBODY" in line]
    assert told == (
        [
            "inpaint: WARNING: EVERYBODY who reaches this server by the address 0.0.0.0 can use this machine, without a login. "
            "--auth USER:PASSWORD asks for one."
        ]
        if is_told
        else []
    )


@pytest.mark.parametrize(
    ("settings", "options", "is_refused"),
    [
        pytest.param({}, {"share": True}, True, id="a shared link"),
        pytest.param({}, {"server_name": "0.0.0.0"}, True, id="an address"),
        pytest.param({"auth": "ann:secret"}, {"share": True, "auth": None}, True, id="the login taken away"),
        pytest.param({"share": True}, {}, True, id="a setting"),
        pytest.param({}, {}, False, id="this machine alone"),
        pytest.param({"auth": "ann:secret"}, {"share": True}, False, id="a login of the settings"),
        pytest.param({}, {"share": True, "auth": ("ann", "secret")}, False, id="a login of the call's own"),
        pytest.param({"open": True}, {"share": True}, False, id="open"),
    ],
)
def test_a_program_that_launches_the_page_is_refused_too(
    settings: dict[str, Any], options: dict[str, Any], is_refused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched: list[object] = []
    monkeypatch.setattr(gr.Blocks, "launch", lambda self, *given, **options: launched.append(options))
    page = build_page(Service.build(load_config(environment={}, flags={"device": "cpu", "data_dir": str(tmp_path)} | settings)))
    with pytest.raises(BadConfig, match="asks for no login") if is_refused else nullcontext():
        page.launch(**options)
    assert bool(launched) != is_refused


@pytest.mark.parametrize(
    ("settings", "environment", "way"),
    [
        pytest.param({}, {}, "", id="nothing said"),
        pytest.param({"host": "127.0.0.2"}, {}, "", id="another loopback address"),
        pytest.param({"host": "localhost"}, {}, "", id="localhost"),
        pytest.param({"host": "[::1]"}, {}, "", id="loopback, IPv6"),
        pytest.param({"host": "192.168.1.7"}, {}, "the address 192.168.1.7", id="an address of the network"),
        pytest.param({"host": "0"}, {}, "the address 0", id="all addresses, in an old spelling"),
        pytest.param({"host": "box.lan"}, {}, "the address box.lan", id="a name"),
        pytest.param({"host": "0.0.0.0"}, {"SPACE_ID": "me/inpaint"}, "", id="a Space"),
        pytest.param({"share": True, "auth": "ann:secret"}, {}, "", id="a login"),
        pytest.param({"share": True, "host": "127.0.0.1"}, {}, "a shared link", id="a shared link"),
    ],
)
def test_who_is_reached_by_others(settings: Mapping[str, Any], environment: Mapping[str, str], way: str) -> None:
    assert exposure(Settings(**settings), environment) == way
    check_open(Settings(**settings, open=True), environment)
    if way:
        with pytest.raises(BadConfig, match="asks for no login"):
            check_open(Settings(**settings), environment)
