"""Runs one command and returns its exit code. It imports nothing that --help does not need."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from inpaint import __version__, serve
from inpaint.cli import models, runs
from inpaint.console import claim_streams, print_message
from inpaint.errors import EditCancelled, InpaintError, OutOfMemory
from inpaint.startup.environment import drop_foreign_variables, restart_with_docstrings
from inpaint.startup.flags import Parser


def program() -> NoReturn:
    """The shell's entry point: runs the command that is given and exits with its code."""
    if sys.argv[1:2] == ["serve"]:
        serve.obey_signals()
    restart_with_docstrings()
    claim_streams()
    drop_foreign_variables(os.environ)
    sys.exit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """Runs one command and returns its exit code."""
    try:
        options = build_parser().parse_args(arguments)
        return options.run(options)
    except InpaintError as error:
        return _failed(error)
    except KeyboardInterrupt:
        return _failed(EditCancelled())
    except MemoryError:
        return _failed(OutOfMemory("The computer's memory is too small for this.", "Close other programs."))


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="inpaint", description="Repaint part of a picture, and only that part.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"inpaint {__version__}")
    commands = parser.add_subparsers(required=True, metavar="serve | edit | generate | reimagine | models", parser_class=Parser)
    _add_serve(commands.add_parser("serve", help="start the web app", allow_abbrev=False))
    runs.add_edit(commands.add_parser("edit", help="repaint the masked part of a photo", allow_abbrev=False))
    runs.add_generate(commands.add_parser("generate", help="make a picture from text", allow_abbrev=False))
    runs.add_reimagine(commands.add_parser("reimagine", help="make a new picture from a picture and a prompt", allow_abbrev=False))
    models.add_models(commands.add_parser("models", help="list, download and verify models", allow_abbrev=False))
    return parser


def _add_serve(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_serve)
    serve.add_flags(parser)


def _serve(options: argparse.Namespace) -> int:
    serve.run(serve.build(serve.settings_from(options)))


def _failed(error: InpaintError) -> int:
    """Prints one line that says what is wrong, and where the log is if it has more to say. Returns the exit code."""
    from inpaint.logs import written_log

    log = written_log()
    print_message(f"inpaint: {error}" + (f" Log: {log}" if log else ""))
    return error.exit_code
