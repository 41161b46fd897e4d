"""What the flags of app.py and of the command line have in common. Knows no command."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NoReturn

from inpaint.errors import InvalidRequest


class Parser(argparse.ArgumentParser):
    """One line instead of argparse's usage dump."""

    def error(self, message: str) -> NoReturn:
        raise InvalidRequest("arguments", f"{message[:1].upper()}{message[1:]}.", f"See {self.prog} --help.")


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Flags for the settings that every command reads; their names are those of config.Settings."""
    parser.add_argument("--device", metavar="D", help="auto, cuda, mps or cpu")
    parser.add_argument("--dtype", metavar="T", help="auto, float16, bfloat16 or float32")
    parser.add_argument("--config", type=Path, metavar="DIR", help="settings of your own: app.toml, models/*.toml")
    parser.add_argument("--data-dir", metavar="DIR", help="where results and uploads are kept, and what was downloaded is noted")
    parser.add_argument("--cache-dir", metavar="DIR", help="where downloaded weights lie (the hub library's own place unless given)")
