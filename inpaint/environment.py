"""Environment variables that libraries read at their own import: which of them are heeded, which are set, which have no effect.

A person's machine carries variables of other programs. One that would send data out, publish the server, serve files of the disk, or end
the app by a value that cannot be read, is not for another program to set.
"""

from __future__ import annotations

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

WHOLE_NUMBERS = ("GRADIO_SERVER_PORT", "GRADIO_NUM_PORTS")


def set_library_variables(environment: MutableMapping[str, str]) -> None:
    """Set what every part of the app relies on. Called when this package is imported, before any library reads them."""
    environment.update(SET)


def drop_foreign_variables(environment: MutableMapping[str, str]) -> list[str]:
    """Remove what has no effect here: Gradio's variables that are not heeded or cannot be read, and tqdm's. Called by the programs, before
    they import either. Returns the names of the heeded ones that cannot be read, to be told."""
    unreadable = [name for name in WHOLE_NUMBERS if not environment.get(name, "0").isdecimal()]
    for name in list(environment):
        is_foreign = name.startswith("GRADIO_") and name not in {*GRADIO_HEEDED, *SET}
        if is_foreign or name in unreadable or (name.startswith("TQDM_") and name != "TQDM_DISABLE"):
            del environment[name]
    return unreadable
