"""Inpaint: repaint part of a picture, and only that part.

Importing this package loads nothing heavy: neither torch nor gradio.
"""

__version__ = "0.1.0"
