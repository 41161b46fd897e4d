"""python -m inpaint"""

from inpaint.cli import program

program()
