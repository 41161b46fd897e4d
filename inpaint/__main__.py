"""The entry point of `python -m inpaint` and of the installed command `inpaint`."""

import sys
from typing import NoReturn

from inpaint.startup.intact import check_intact


def run() -> NoReturn:
    """Runs the command that is given, if the package is complete; otherwise exits with one line."""
    if damage := check_intact():
        sys.exit(f"inpaint: {damage}")
    from inpaint.cli import program

    program()


if __name__ == "__main__":
    run()
