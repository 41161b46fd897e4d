"""Names for weights on disk that change when the weights do, so that computed values can be kept under them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

SAMPLED_BYTES = 1 << 20


def weights_identity(folder: Path) -> str:
    """A name for the weights in folder (all its .safetensors and its config.json) that changes when they do.

    A file in the hub's cache is named by its content's hash, which decides: the same part in two repositories has one name.
    Elsewhere size, modification time, beginning and end are hashed: reading gigabytes at each start would cost more than the
    image encoder that this saves. Raises OSError, ValueError.
    """
    files = [_file_identity(file) for file in sorted(folder.glob("*.safetensors"))]
    return hashlib.sha256("\n".join([*files, _configuration(folder / "config.json")]).encode()).hexdigest()


def _configuration(file: Path) -> str:
    """A configuration without its notes on who saved it and where: keys with an underscore, which decide no number."""
    values = json.loads(file.read_text(encoding="utf-8"))
    return json.dumps({name: value for name, value in values.items() if not name.startswith("_")}, sort_keys=True)


def _file_identity(file: Path) -> str:
    content = file.resolve()
    if content.parent.name == "blobs":
        return f"{file.name} {content.name}"
    facts = content.stat()
    with content.open("rb") as stream:
        digest = hashlib.sha256(stream.read(SAMPLED_BYTES))
        stream.seek(max(facts.st_size - SAMPLED_BYTES, 0))
        digest.update(stream.read(SAMPLED_BYTES))
    return f"{file.name} {facts.st_size} {facts.st_mtime_ns} {digest.hexdigest()}"
