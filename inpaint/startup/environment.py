"""Environment variables that libraries read when they are imported: which ones keep their value, are set by this app, or are removed.

A person's machine has variables of other programs. None of them may make this app send data out, publish the server, serve
arbitrary files, or crash because a value cannot be read.
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
"""Variables that are always set to these values, so that the app contacts nobody except for downloads that a person asks for."""

GRADIO_HEEDED = frozenset({"GRADIO_SERVER_NAME", "GRADIO_SERVER_PORT", "GRADIO_NUM_PORTS", "GRADIO_ROOT_PATH", "GRADIO_TEMP_DIR"})
"""Gradio's variables that keep their value: they say where the server listens and keeps uploads. The others are removed, since they
could publish the server (GRADIO_SHARE), serve any folder (GRADIO_ALLOWED_PATHS) or change how the page is built."""

WHOLE_NUMBERS = ("GRADIO_NUM_PORTS", "HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT", "DIFFUSERS_TIMEOUT_REMOTE_CODE")
"""Variables that are removed unless they are whole numbers: importing the libraries would fail with any other value."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")


def set_library_variables(environment: MutableMapping[str, str]) -> None:
    """Sets what every part of the app relies on. Called when this package is imported, before any library reads the variables."""
    environment.update(SET)


def drop_foreign_variables(environment: MutableMapping[str, str]) -> None:
    """Removes variables that must have no effect: most of Gradio's, numbers that cannot be read, and tqdm's.

    The programs call it before they read any setting and before they import Gradio.
    """
    for name in list(environment):
        is_foreign = name.startswith("GRADIO_") and name not in {*GRADIO_HEEDED, *SET}
        is_no_number = name in WHOLE_NUMBERS and not environment[name].strip().isdecimal()
        if is_foreign or is_no_number or (name.startswith("TQDM_") and name != "TQDM_DISABLE"):
            del environment[name]


def prepare_server_variables(environment: MutableMapping[str, str]) -> None:
    """Sets what has to be set before gradio and httpx are imported. The server calls it once its settings are read."""
    # Gradio sends requests to its own address, which no proxy can reach.
    excepted = [part.strip() for name in ("no_proxy", "NO_PROXY") for part in environment.get(name, "").split(",") if part.strip()]
    environment["no_proxy"] = environment["NO_PROXY"] = ",".join(dict.fromkeys([*excepted, *LOOPBACK]))
    # On a ZeroGPU Space `spaces` deletes downloaded weights once they are loaded; they would count as not downloaded from then on.
    environment.setdefault("ZEROGPU_MMAP_AUTOPRUNE_PATTERN", os.devnull)
    # The settings have read these already; Gradio would read them once more when it is imported.
    for name in ("GRADIO_SERVER_NAME", "GRADIO_SERVER_PORT"):
        environment.pop(name, None)


def restart_with_docstrings() -> None:
    """Restarts this program if Python was told to drop docstrings (`-OO`, PYTHONOPTIMIZE=2); otherwise it returns.

    transformers reads its own docstrings at import and fails without them. The programs call this before anything else.
    """
    if sys.flags.optimize < 2:
        return
    command = [sys.executable, *(word for word in sys.orig_argv[1:] if word != "-OO")]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONOPTIMIZE"}
    if os.name == "nt":  # with execve the shell would not wait for the program to end
        sys.exit(subprocess.call(command, env=environment))
    os.execve(sys.executable, command, environment)
