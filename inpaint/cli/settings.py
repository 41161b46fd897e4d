"""What the commands that run or list models share: the flags for settings, and the service that is built from them."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from inpaint import serve
from inpaint.startup.flags import add_settings

if TYPE_CHECKING:
    from inpaint.service import Service


def add_all_settings(parser: argparse.ArgumentParser) -> None:
    add_settings(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def build_service(options: argparse.Namespace) -> Service:
    from inpaint.config.load import load_config
    from inpaint.logs import log_errors_to
    from inpaint.service import Service

    flags = {"device": options.device, "dtype": options.dtype, "data_dir": options.data_dir, "cache_dir": options.cache_dir}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GRADIO_")}  # Gradio's are for a server
    config = load_config(options.config, flags, environment)
    serve.warn_of_unknown_variables()
    log_errors_to(config.data_dir / "log" / "command-line.log")
    return Service.build(config)
