"""python -m inpaint, and the command that an installation brings."""

import sys
from typing import NoReturn

from inpaint.startup.intact import check_intact


def run() -> NoReturn:
    """Run the command that is given, if the package is whole."""
    if damage := check_intact():
        sys.exit(f"inpaint: {damage}")
    from inpaint.cli import program

    program()


if __name__ == "__main__":
    run()
