"""A container's health check: asks the server in the same container whether it can serve. Usage: python -m inpaint.health [PROCESS]

Port and login come from where the server has them: the environment variables, and the flags of the container's first process.
The request never goes through a proxy. Exits 0 if the server is ready, 1 with one line if it is not.
"""

from __future__ import annotations

import base64
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from inpaint import serve
from inpaint.config.settings import Settings
from inpaint.errors import InpaintError
from inpaint.startup.address import LOOPBACK, bare_host, in_url
from inpaint.startup.flags import Parser

FIRST_PROCESS = "1"
USUAL_PORT = 7860
PATIENCE_SECONDS = 4.0
PROGRAMS = ("app.py", "serve")
"""Words of a command line that are followed by the web app's flags."""


def main(arguments: Sequence[str]) -> int:
    process = arguments[0] if arguments else FIRST_PROCESS
    try:
        return _explain(_asked(_settings(_flags_of(process))))
    except (OSError, InpaintError) as error:
        return _explain(str(error))


def _flags_of(process: str) -> list[str]:
    words = Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="surrogateescape").split("\0")[:-1]
    place = next((at for at, word in enumerate(words) if Path(word).name in PROGRAMS), len(words))
    return words[place + 1 :]


def _settings(flags: Sequence[str]) -> Settings:
    """Parses the server's flags into its settings. Raises BadConfig."""
    parser = Parser(prog="inpaint.health", allow_abbrev=False)
    serve.add_flags(parser)
    return serve.settings_from(parser.parse_args(flags)).settings


def _asked(settings: Settings) -> str:
    """Asks the server's /readyz and returns why it is not ready, or "" if it is. Raises OSError if nothing answers."""
    request = urllib.request.Request(f"http://{_address(settings.host)}:{settings.port or USUAL_PORT}/readyz")
    if settings.auth is not None:
        request.add_header("Authorization", f"Basic {base64.b64encode(settings.auth.encode()).decode()}")
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=PATIENCE_SECONDS):
            return ""
    except urllib.error.HTTPError as error:
        return _reason(error)


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read())["reason"])
    except (ValueError, KeyError, TypeError):
        return f"The server answers {error.code}."


def _address(host: str | None) -> str:
    """Returns the address at which a server that listens at `host` is reached from the same machine."""
    bare = bare_host(host or LOOPBACK)
    if bare in ("0.0.0.0", "::"):
        return LOOPBACK if bare == "0.0.0.0" else "[::1]"
    return in_url(bare)


def _explain(reason: str) -> int:
    if reason:
        print(f"inpaint: {reason}", file=sys.stderr)
    return 1 if reason else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
