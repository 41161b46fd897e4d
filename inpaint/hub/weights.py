"""Where a model's weights lie on disk, and how many they are. Imports no torch, loads nothing and asks no hub."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from inpaint.core.spec import ModelSpec, Source
from inpaint.errors import ModelUnavailable
from inpaint.hub.layouts import INDEX, PART_OF, component_names, variant_of
from inpaint.hub.lockfile import has_size, lock_of

SHARD = re.compile(PART_OF)
MAX_HEADER_BYTES = 100_000_000
"""The longest header that safetensors itself accepts."""


def find(source: Source) -> Path | None:
    """The folder of a source that is complete on this disk, else None. A locked source is found only at its locked commit."""
    folder = Path(source.repo_id) if source.is_local else _cached(source)
    return find_in(folder, source) if folder is not None else None


def find_in(folder: Path, source: Source) -> Path | None:
    """The folder, if it holds all of a source; else None."""
    return folder if _is_complete(folder, source) else None


def are_on_disk(spec: ModelSpec, parts: Iterable[str]) -> bool:
    """Whether the sources of these names are all complete on this disk."""
    return all(find(spec.sources[part]) is not None for part in parts)


def locate(spec: ModelSpec, parts: Iterable[str]) -> dict[str, Path]:
    """The folders of the sources of these names. Raises ModelUnavailable, saying how to get the weights."""
    found: dict[str, Path] = {}
    for part in parts:
        folder = find(spec.sources[part])
        if folder is None:
            raise missing(spec)
        found[part] = folder
    return found


def missing(spec: ModelSpec) -> ModelUnavailable:
    """The error that says that the weights of a model are not here, and how to get them."""
    if any(source.is_local for source in spec.sources.values()):
        return ModelUnavailable(f"The weights of {spec.title} are not complete in their folder, which the model's file names.")
    return ModelUnavailable(f"The weights of {spec.title} are not on this machine.", how_to_get(spec, "them"))


def how_to_get(spec: ModelSpec, what: str = "it") -> str:
    """How to get the files of a model, for people. Ends without a full stop, since a command may be copied."""
    return f"Get {what} with: {spec.command}" if spec.command else f"Its owner can add {what} to this Space (see the README there)"


def count_parameters(folder: Path, variant: str | None) -> int:
    """How many parameters a part's .safetensors files of one variant hold, by their headers. Damaged files count as none."""
    return sum(_parameters_in(file) for file in folder.glob("*.safetensors") if variant_of(file.name) == (variant or ""))


def _parameters_in(file: Path) -> int:
    """The parameters in one file, which begins with eight bytes for the length of a JSON object that lists the tensors."""
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            tensors = json.loads(stream.read(min(length, MAX_HEADER_BYTES)))
        return sum(math.prod(tensor["shape"]) for name, tensor in tensors.items() if name != "__metadata__")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return 0


def _cached(source: Source) -> Path | None:
    from huggingface_hub import errors, try_to_load_from_cache

    lock = lock_of(source)
    try:
        index = try_to_load_from_cache(source.repo_id, INDEX, revision=lock.commit if lock else source.revision, cache_dir=source.cache_dir)
    except (errors.HFValidationError, OSError):
        return None
    if not isinstance(index, str):
        return None
    folder = Path(index).parent
    return folder if lock is None or all(has_size(folder / name, file.size) for name, file in lock.files.items()) else None


def _is_complete(folder: Path, source: Source) -> bool:
    """Whether every component that the index names is there, with safetensors wherever it has a config.json."""
    components = component_names(_read_json(folder / INDEX))
    return bool(components) and all(_is_component_complete(folder / name, source) for name in components)


def _is_component_complete(folder: Path, source: Source) -> bool:
    if not folder.is_dir():
        return False
    if not (folder / "config.json").exists():
        return True
    wanted = source.variant or ""  # stock loaders take no other variant than was asked
    weights = [file for file in folder.glob("*.safetensors") if _has_bytes(file)]
    if any(variant_of(file.name) == wanted and not SHARD.search(file.name) for file in weights):
        return True
    kind = f".{wanted}" if wanted else ""
    shards = {name for index in folder.glob(f"*.safetensors.index{kind}.json") for name in _shards(index)}
    return bool(shards) and shards <= {file.name for file in weights}


def _has_bytes(file: Path) -> bool:
    """Whether a file holds anything. A link whose target is gone, as an interrupted download leaves it, holds nothing."""
    return file.is_file() and file.stat().st_size > 0


def _shards(index: Path) -> set[str]:
    names = _read_json(index).get("weight_map")
    return {str(name) for name in names.values()} if isinstance(names, dict) else set()


def _read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file; {} where the file is missing, damaged or holds something else."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
