"""Image embeddings: what decides them, and the constant one of an empty picture on disk.

Knows no model: keys and tensors.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

SAMPLED_BYTES = 1 << 20


@dataclass(frozen=True)
class PriorRequest:
    """All that decides what one prior makes: the key of its embeddings. negative_prompt is never an empty string."""

    prompt: str
    negative_prompt: str | None
    steps: int
    guidance_scale: float
    seed: int


@dataclass(frozen=True, eq=False)
class PriorEmbeddings:
    """positive, negative: [1, d], on the model's device, in its dtype. negative is None without a negative prompt."""

    positive: torch.Tensor
    negative: torch.Tensor | None


class EmbeddingFile:
    """One embedding on disk, that can be made again at any time: a damaged or missing file is simply None.

    folder: for things that can be made again. identity: all that decides the numbers; another identity is another file.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        self._path = folder / f"zero-embedding-{hashlib.sha256(identity.encode()).hexdigest()[:32]}.safetensors"

    def read(self) -> torch.Tensor | None:
        """[1, d] on the CPU, or None."""
        try:
            return load_file(self._path)["embedding"]
        except (OSError, SafetensorError, KeyError):
            return None

    def write(self, embedding: torch.Tensor) -> None:
        """Write it whole or not at all. A full disk only means that it is computed again next time."""
        with suppress(OSError, SafetensorError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._path.parent, prefix=".zero-") as folder:
                whole = Path(folder) / self._path.name
                save_file({"embedding": embedding.cpu().contiguous()}, whole)
                os.replace(whole, self._path)


def weights_identity(folder: Path) -> str:
    """A name for the weights in folder (all its .safetensors and its config.json) that changes when they do.

    A file in the hub's cache is named by its content's hash, which decides: the same part in two repositories has one name.
    Elsewhere size, modification time, beginning and end are hashed: reading gigabytes at each start would cost more than the
    image encoder that this saves. Raises OSError, ValueError.
    """
    files = [_file_identity(file) for file in sorted(folder.glob("*.safetensors"))]
    return hashlib.sha256("\n".join([*files, _configuration(folder / "config.json")]).encode()).hexdigest()


def _configuration(file: Path) -> str:
    """Without the notes (keys with an underscore) on who saved it and where, which decide no number."""
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
