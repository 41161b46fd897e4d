"""Environment variables that libraries read at their own import: which of them are heeded, which are set, which have no effect.

A person's machine carries variables of other programs. One that would send data out, publish the server, serve files of the disk, or end
the app by a value that cannot be read, is not for another program to set.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import MutableMapping

SET = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",  # also spares the hub library's look-up of /api/agent-harnesses
    "HF_HUB_DISABLE_XET": "1",  # plain HTTP: it can be cancelled at any byte, and asks one host only
}
"""Whatever they were before: nothing leaves this machine but the downloads that a person asks for."""

GRADIO_HEEDED = frozenset({"GRADIO_SERVER_NAME", "GRADIO_SERVER_PORT", "GRADIO_NUM_PORTS", "GRADIO_ROOT_PATH", "GRADIO_TEMP_DIR"})
"""Where the server listens and keeps uploads. The others would publish it (GRADIO_SHARE), serve any folder (GRADIO_ALLOWED_PATHS) or
change how it is built."""

WHOLE_NUMBERS = ("GRADIO_NUM_PORTS", "HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT", "DIFFUSERS_TIMEOUT_REMOTE_CODE")
"""Heeded where they are that; the libraries' own import ends with an error where they are not."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")


def set_library_variables(environment: MutableMapping[str, str]) -> None:
    """Set what every part of the app relies on. Called when this package is imported, before any library reads them."""
    environment.update(SET)


def drop_foreign_variables(environment: MutableMapping[str, str]) -> None:
    """Remove what has no effect here: Gradio's variables that are not heeded, numbers that are none, and tqdm's. Called by the programs
    before they read any setting, and before they import Gradio."""
    for name in list(environment):
        is_foreign = name.startswith("GRADIO_") and name not in {*GRADIO_HEEDED, *SET}
        is_no_number = name in WHOLE_NUMBERS and not environment[name].strip().isdecimal()
        if is_foreign or is_no_number or (name.startswith("TQDM_") and name != "TQDM_DISABLE"):
            del environment[name]


def prepare_server_variables(environment: MutableMapping[str, str]) -> None:
    """Set what has to be set before gradio and httpx are imported. Called by the server once its settings are read."""
    # Gradio calls its own address, which no proxy can reach.
    excepted = [part.strip() for name in ("no_proxy", "NO_PROXY") for part in environment.get(name, "").split(",") if part.strip()]
    environment["no_proxy"] = environment["NO_PROXY"] = ",".join(dict.fromkeys([*excepted, *LOOPBACK]))
    # On a ZeroGPU Space `spaces` deletes downloaded weights once they are loaded; they would count as not downloaded from then on.
    environment.setdefault("ZEROGPU_MMAP_AUTOPRUNE_PATTERN", os.devnull)
    # Heeded as settings already; Gradio reads them at its import, too.
    for name in ("GRADIO_SERVER_NAME", "GRADIO_SERVER_PORT"):
        environment.pop(name, None)


def restart_with_docstrings() -> None:
    """Starts this program again where Python was told to drop docstrings (`-OO`, PYTHONOPTIMIZE=2): transformers reads its own at import
    and cannot be imported without them. Called by the programs before anything else; returns where there is nothing to do."""
    if sys.flags.optimize < 2:
        return
    command = [sys.executable, *(word for word in sys.orig_argv[1:] if word != "-OO")]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONOPTIMIZE"}
    if os.name == "nt":  # execve would return to the shell before the program has ended
        sys.exit(subprocess.call(command, env=environment))
    os.execve(sys.executable, command, environment)
