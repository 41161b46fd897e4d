"""Starts the web app. `python app.py`, a Space that imports app.py, and `inpaint serve` share this code.

Nothing heavy is imported at the top, so signals are handled and --help is answered before gradio and torch load. No other
file outside inpaint.ui imports it.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from inpaint.console import claim_streams
from inpaint.startup.environment import drop_foreign_variables, prepare_server_variables, restart_with_docstrings

if TYPE_CHECKING:
    from inpaint.config.settings import AppConfig
    from inpaint.ui.page import Page


def begin() -> None:
    """Does what `python app.py` must do before anything else."""
    obey_signals()
    restart_with_docstrings()
    claim_streams()


def obey_signals() -> None:
    """Makes SIGTERM and Ctrl-C end the process at once from now on. Without a handler the first process of a container ignores them."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(128 + number)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the web app. Their names are those of config.Settings."""
    from inpaint.startup.flags import add_settings

    parser.add_argument("--host", help="address to listen on; 0.0.0.0 = all of this machine's (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (default: 7860, or the next free one)")
    parser.add_argument("--share", action="store_const", const=True, help="make a public Gradio link; needs --auth or --open")
    parser.add_argument("--auth", metavar="USER:PASSWORD", help="ask for a login; required if others can reach the server")
    parser.add_argument("--open", action="store_const", const=True, help="let everybody who reaches the server use it, without a login")
    parser.add_argument("--allowed-hosts", metavar="NAME,...", help="further host names that the server answers to, as inpaint.example")
    parser.add_argument("--trusted-proxies", metavar="ADDRESS,...", help="proxies whose forwarded headers are believed, as 127.0.0.1")
    add_settings(parser)
    parser.add_argument("--log", choices=("text", "json"), help="form of the log on stderr (default: text)")


def settings_from(options: argparse.Namespace) -> AppConfig:
    """Returns the settings: flags override INPAINT_* variables, which override --config DIR, which overrides configs/. Raises
    BadConfig.
    """
    from inpaint.config.load import load_config

    drop_foreign_variables(os.environ)
    flags = {name: value for name, value in vars(options).items() if name not in ("config", "run")}
    return load_config(options.config, flags)


def page_for_app(arguments: Sequence[str]) -> Page:
    """Returns the page for app.py. Exits with one line if something is wrong."""
    from inpaint.errors import InpaintError
    from inpaint.startup.flags import Parser

    try:
        parser = Parser(prog="app.py", description="Starts the Inpaint web app.", allow_abbrev=False)
        add_flags(parser)
        return build(settings_from(parser.parse_args(arguments)))
    except InpaintError as error:
        _exit_with(error)


def build(config: AppConfig) -> Page:
    """Returns the page, ready to be served; nothing listens yet. Raises InpaintError if it could not be served."""
    prepare_server_variables(os.environ)
    from inpaint.logs import set_up_logging
    from inpaint.startup.address import check_address
    from inpaint.storage.folder import check_folders
    from inpaint.storage.results import sweep
    from inpaint.ui.security.hosts import check_open

    set_up_logging(config.settings.log)
    warn_of_unknown_variables()
    warn_of_missing_device(config.settings.device)
    check_address(config.settings.host, config.settings.port)
    check_open(config.settings, os.environ)
    check_folders(config.data_dir, upload_folder(config.data_dir))
    sweep(config.data_dir, time.time())
    from inpaint.ui.page import build_page
    from inpaint.ui.server.zero_gpu import build_service

    page = build_page(build_service(config))
    page.service.housekeeper.sweep_soon()
    return page


def warn_of_missing_device(device: str) -> None:
    """Prints one line if the device that was asked for seems not to be there. A Space lends its GPU only later."""
    from inpaint.console import print_message
    from inpaint.engines.device import missing_device

    if not os.environ.get("SPACES_ZERO_GPU") and (line := missing_device(device)):
        print_message(f"inpaint: WARNING: {line}")


def warn_of_unknown_variables() -> None:
    """Prints one line if environment variables are named like settings but are not."""
    from inpaint.config.unknown_variables import unknown_variables
    from inpaint.console import print_message

    if line := unknown_variables(os.environ):
        print_message(f"inpaint: WARNING: {line}")


def run(page: Page) -> NoReturn:
    """Serves until SIGTERM or Ctrl-C. Exits with one line if the server cannot start."""
    from inpaint.errors import InpaintError
    from inpaint.ui.server.running import launch

    try:
        launch(page)
    except InpaintError as error:
        _exit_with(error)


def upload_folder(data_dir: Path) -> Path:
    """Returns the folder for uploads, from Gradio's own variable or below the data folder, and sets that variable if it was not set."""
    return Path(os.environ.setdefault("GRADIO_TEMP_DIR", str(data_dir / "cache")))


def _exit_with(error: Exception) -> NoReturn:
    print(f"inpaint: {error}", file=sys.stderr)
    sys.exit(getattr(error, "exit_code", 1))
