"""Loads the parts of a checkpoint that lies on disk, or raises with a sentence why it cannot.

Knows no hub and no cache (hub/weights.py finds the folder), and no single model.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from diffusers import ModelMixin
from diffusers.utils.logging import disable_progress_bar as disable_shards_bar
from safetensors import SafetensorError
from transformers import CLIPTokenizer
from transformers.utils.logging import disable_progress_bar as disable_weights_bar

from inpaint.engines.memory.out_of_memory import guard_memory, is_out_of_memory, release_memory
from inpaint.engines.memory.residency import Part, Residency
from inpaint.engines.runtime.weights_identity import weights_identity
from inpaint.errors import ModelUnavailable
from inpaint.hub.layouts import PICKLE_ENDINGS
from inpaint.hub.weights import count_parameters

log = logging.getLogger(__name__)

Loaded = TypeVar("Loaded")

LOAD_ERRORS = (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, SafetensorError)
"""What the libraries raise for missing, truncated, foreign or mismatched files."""

BYTE_TOKENS = 512
"""The fewest tokens of a byte-level BPE: one for each byte within a word, and one at its end. A smaller vocabulary was not read."""


@dataclass(frozen=True)
class Checkpoint:
    """A repository in diffusers' layout that lies on disk: one folder for each part. model: its name, for messages.

    how_to_get: what a person does to get it.
    """

    folder: Path
    model: str
    variant: str | None = None
    how_to_get: str = ""

    def load_model(self, kind: Any, part: str, dtype: torch.dtype, device: str) -> Any:
        """A part with weights (kind: its diffusers or transformers class), in evaluation mode on the device.

        Only safetensors are read. Raises ModelUnavailable where files are missing or damaged, or do not hold all weights
        (the libraries would fill those with random numbers); OutOfMemory.
        """
        self._refuse_pickle(part)
        return guard_memory(lambda: self._load_model(kind, part, dtype).to(device), f"loading {self.model}")

    def part(self, residency: Residency, kind: Any, part: str, dtype: torch.dtype) -> Part[Any]:
        """The handle of a part, which load_model loads when it is first brought. The same files in the same dtype share one.

        Raises ModelUnavailable where there is no such part, or only a pickled one.
        """
        self._refuse_pickle(part)
        folder = self.folder / part
        identity = self._explained(part, lambda: weights_identity(folder))
        nbytes = count_parameters(folder, self.variant) * dtype.itemsize
        return residency.part(
            f"{identity} {self.variant} {kind.__name__} {dtype}",
            part.replace("_", " "),
            nbytes,
            lambda device: self.load_model(kind, part, dtype, device),
        )

    def read_config(self, part: str) -> dict[str, Any]:
        """What a part's config.json says. Raises ModelUnavailable."""
        return self._explained(part, lambda: dict(json.loads((self.folder / part / "config.json").read_text(encoding="utf-8"))))

    def load_shape(self, kind: Any, part: str, dtype: torch.dtype) -> Any:
        """A part without weights: its config, sizes and dtype, on torch's meta device. Raises ModelUnavailable."""
        return self._explained(part, lambda: _without_weights(kind, self.folder / part, dtype))

    def load_tokenizer(self, part: str = "tokenizer", kind: Any = CLIPTokenizer) -> Any:
        """kind: its transformers class. Raises ModelUnavailable, also where transformers would make up an empty vocabulary."""
        tokenizer = self._explained(part, lambda: kind.from_pretrained(self.folder / part, local_files_only=True))
        if tokenizer.vocab_size < BYTE_TOKENS:
            raise self.unavailable(f"The vocabulary of {self.model} is missing.")
        return tokenizer

    def load_scheduler(self, kinds: tuple[Any, ...], part: str = "scheduler") -> Any:
        """The scheduler that the checkpoint names, if it is one of the kinds. Raises ModelUnavailable."""
        return self._explained(part, lambda: self._load_scheduler(kinds, part))

    def unavailable(self, reason: str) -> ModelUnavailable:
        """An error for the person, with how to get the model: a download also checks every file that is here.

        It names no folder of this machine, since anybody who reaches a server may read it; the log names it.
        """
        log.warning("%s (%s)", reason, self.folder)
        if self.folder.is_dir() and self.folder.parent.name != "snapshots":
            return ModelUnavailable(reason, "Put a whole copy of the model into its folder, which the model's file names.")
        return ModelUnavailable(reason, self.how_to_get)

    def _load_model(self, kind: Any, part: str, dtype: torch.dtype) -> Any:
        disable_weights_bar()  # stderr is the command line's; progress goes through reports
        disable_shards_bar()
        model, facts = self._explained(
            part,
            lambda: kind.from_pretrained(
                self.folder / part, dtype=dtype, variant=self.variant, use_safetensors=True, local_files_only=True, output_loading_info=True
            ),
        )
        if facts["missing_keys"]:
            raise self.unavailable(f"The part {part} of {self.model} lacks weights ({min(facts['missing_keys'])}).")
        return model.eval()

    def _load_scheduler(self, kinds: tuple[Any, ...], part: str) -> Any:
        config = json.loads((self.folder / part / "scheduler_config.json").read_text(encoding="utf-8"))
        named = {kind.__name__: kind for kind in kinds}.get(config["_class_name"])
        if named is None:
            raise self.unavailable(f"{self.model} names a scheduler that cannot be used here: {config['_class_name']}.")
        return named.from_config(config)

    def _refuse_pickle(self, part: str) -> None:
        names = [file.name for file in (self.folder / part).glob("*")]
        if not any(name.endswith(".safetensors") for name in names) and any(n.endswith(PICKLE_ENDINGS) for n in names):
            raise self.unavailable(
                f"The part {part} of {self.model} is there only as a pickle file, which could run code "
                "when opened; only safetensors are read."
            )

    def _explained(self, part: str, load: Callable[[], Loaded]) -> Loaded:
        """Loads, or logs the libraries' reason and raises ModelUnavailable once the failed frames have released what they held."""
        try:
            return load()
        except LOAD_ERRORS as error:
            if is_out_of_memory(error):
                raise
            log.info("cannot load %s of %s", part, self.folder, exc_info=True)
        release_memory()
        raise self.unavailable(f"The part {part} of {self.model} is missing or damaged.")


def _without_weights(kind: Any, folder: Path, dtype: torch.dtype) -> Any:
    """A part on torch's meta device, made as both libraries make theirs before they fill them."""
    is_diffusers = ModelMixin in kind.__mro__
    config = (kind.load_config if is_diffusers else kind.config_class.from_pretrained)(folder, local_files_only=True)
    with torch.device("meta"):
        shape = kind.from_config(config) if is_diffusers else kind(config)
    return torch.nn.Module.to(shape, dtype)  # diffusers' own warns of modules kept in float32, even where there are none


def open_checkpoint(folder: str, *, model: str, variant: str | None = None, how_to_get: str = "") -> Checkpoint:
    """The checkpoint in a folder. how_to_get: what a person does to get it. Raises ModelUnavailable where there is no such folder."""
    found = Checkpoint(Path(folder), model, variant, how_to_get)
    if not found.folder.is_dir():
        raise found.unavailable(f"{model} is not on this machine.")
    return found
