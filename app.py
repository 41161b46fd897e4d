"""Starts the web app; the file that a Hugging Face Space runs. All that it does lies in inpaint/serve.py."""

from __future__ import annotations

import sys

from inpaint import serve

if __name__ == "__main__":
    serve.begin()

demo = serve.page_for_app(sys.argv[1:] if __name__ == "__main__" else [])

if __name__ == "__main__":
    serve.run(demo)
