"""Inpaint: repaint part of a picture, and only that part.

Importing this package loads nothing heavy: neither torch nor gradio.
"""

import os

# huggingface_hub reads these at its own import, which gradio and diffusers make too: so they are set before anything else.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # also spares its look-up of /api/agent-harnesses
os.environ.setdefault("HF_HUB_DISABLE_XET", "1")  # plain HTTP: it can be cancelled at any byte, and asks one host only

__version__ = "0.1.0"
