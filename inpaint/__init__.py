"""Inpaint: repaint part of a picture, and only that part.

Importing this package loads nothing heavy, neither torch nor gradio.
"""

import os

from inpaint.startup.environment import set_library_variables

set_library_variables(os.environ)

__version__ = "0.1.0"
