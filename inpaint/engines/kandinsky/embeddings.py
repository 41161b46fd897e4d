"""Image embeddings: what decides them, and the file that keeps the constant one of an empty picture. Knows no model."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from inpaint.atomic import replace_file


@dataclass(frozen=True)
class PriorRequest:
    """All that decides the embeddings of one prior, which are kept under it. negative_prompt: never an empty string."""

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
    """One embedding on disk. It can be computed again at any time, so a damaged file counts as a missing one.

    folder: for files that can be computed again. identity: all that decides the numbers; another identity is another file.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        self._path = folder / f"zero-embedding-{hashlib.sha256(identity.encode()).hexdigest()[:32]}.safetensors"

    def read(self) -> torch.Tensor | None:
        """The embedding, [1, d] on the CPU; None where there is none."""
        try:
            return load_file(self._path)["embedding"]
        except (OSError, SafetensorError, KeyError):
            return None

    def write(self, embedding: torch.Tensor) -> None:
        """Writes the embedding, whole or not at all. On a full disk nothing is written, and it is computed again next time."""
        with suppress(OSError, SafetensorError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self._path, lambda whole: save_file({"embedding": embedding.cpu().contiguous()}, whole))
