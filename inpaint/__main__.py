"""python -m inpaint"""

import io
import sys

from inpaint.cli import main

if isinstance(sys.stdout, io.TextIOWrapper):
    sys.stdout.reconfigure(errors="surrogateescape")  # an output's name may be any bytes, and is printed as these bytes
sys.exit(main(sys.argv[1:]))
