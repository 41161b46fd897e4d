"""The command line: python -m inpaint serve | edit | generate | reimagine | models. A stable contract that other programs call.

Exits 0 done, 1 the machine can't, 2 the request is wrong, 130 cancelled. Knows no page; loads torch only to run a model.
"""

from inpaint.cli.entry import main, program

__all__ = ["main", "program"]
