"""The command line: python -m inpaint serve | edit | generate | reimagine | models. A stable contract that other programs call.

Exit codes: 0 success, 1 this machine cannot do it, 2 invalid request, 130 cancelled. Knows no page; loads torch only to run a
model.
"""

from inpaint.cli.entry import main, program

__all__ = ["main", "program"]
