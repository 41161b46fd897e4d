"""What the flags of app.py and of the command line have in common. Knows no command."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NoReturn

from inpaint.errors import InvalidRequest


class Parser(argparse.ArgumentParser):
    """An argument parser that raises InvalidRequest with one line instead of printing its usage and exiting."""

    def error(self, message: str) -> NoReturn:
        raise InvalidRequest("arguments", f"{message[:1].upper()}{message[1:]}.", f"See {self.prog} --help.")


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Adds the flags for settings that every command reads. Their names are those of config.Settings."""
    parser.add_argument("--device", metavar="D", help="auto, cuda, cuda:1, mps or cpu (default: auto)")
    parser.add_argument("--dtype", metavar="T", help="auto, float16, bfloat16 or float32 (default: auto)")
    parser.add_argument("--config", type=Path, metavar="DIR", help="folder with your own app.toml and models/*.toml")
    parser.add_argument(
        "--data-dir", metavar="DIR", help="folder for results, uploads, logs and lockfiles (default: the system's folder for user data)"
    )
    parser.add_argument("--cache-dir", metavar="DIR", help="folder for downloaded weights (default: the Hugging Face cache)")
