"""Where a model's weights lie on disk, and fetching them when a person asks. Imports no torch; loads nothing.

Nothing is fetched unasked: everything but `download` works from the disk alone.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from inpaint.core.spec import ModelSpec, Source
from inpaint.errors import ModelUnavailable

INDEX = "model_index.json"
SHARD = re.compile(r"-\d+-of-\d+")
PLAIN_FILES = (INDEX, "*/*.json", "*/*.txt", "*/*.model")
"""Configurations and tokenizers; with the safetensors of one variant, all that from_pretrained reads."""


def find(source: Source) -> Path | None:
    """The complete folder of a source on this disk, or None."""
    folder = Path(source.repo_id) if source.is_local else _cached(source)
    return folder if folder is not None and _is_complete(folder, source) else None


def is_on_disk(spec: ModelSpec) -> bool:
    """Whether everything that its file names is here."""
    return are_on_disk(spec, spec.sources)


def are_on_disk(spec: ModelSpec, parts: Iterable[str]) -> bool:
    return all(find(spec.sources[part]) is not None for part in parts)


def locate(spec: ModelSpec, parts: Iterable[str]) -> dict[str, Path]:
    """Part -> complete local folder. Raises ModelUnavailable, naming the command that gets the weights."""
    found: dict[str, Path] = {}
    for part in parts:
        folder = find(spec.sources[part])
        if folder is None:
            raise missing(spec)
        found[part] = folder
    return found


def missing(spec: ModelSpec) -> ModelUnavailable:
    if any(source.is_local for source in spec.sources.values()):
        places = ", ".join(source.repo_id for source in spec.sources.values())
        return ModelUnavailable(f"The weights of {spec.title} are not complete in {places}.")
    return ModelUnavailable(f"The weights of {spec.title} are not on this machine.",
                            f"Get them with: python -m inpaint models --download {spec.name}")


def download(spec: ModelSpec, say: Callable[[str], None]) -> None:
    """Fetch what the pipelines need: safetensors of one variant, configurations, tokenizers; no pickles, no code.

    Raises ModelUnavailable with what to do.
    """
    for part, source in spec.sources.items():
        if find(source) is None:
            say(f"{spec.title}: fetching {part} from {source.repo_id} at {source.revision[:12]}")
            _fetch(spec, source)
    if not is_on_disk(spec):
        raise ModelUnavailable(f"{spec.title} came without safetensors for every part.",
                               "Pickled weights are never loaded.")


def _fetch(spec: ModelSpec, source: Source) -> None:
    if source.is_local:
        raise missing(spec)
    from huggingface_hub import errors, snapshot_download

    try:
        snapshot_download(source.repo_id, revision=source.revision, allow_patterns=[*PLAIN_FILES, _weights(source)],
                          ignore_patterns=None if source.variant else ["*.fp16.*", "*.bf16.*"])
    except errors.GatedRepoError:
        raise ModelUnavailable(f"{source.repo_id} asks for its licence to be accepted first.",
                               f"Accept it on {spec.licence_url}, then log in with: hf auth login") from None
    except errors.RevisionNotFoundError:
        raise ModelUnavailable(f"{source.repo_id} has no revision {source.revision}.",
                               f'Set revision = "main" in a {spec.name}.toml of your own (--config DIR).') from None
    except (errors.RepositoryNotFoundError, errors.HFValidationError):
        raise ModelUnavailable(f"There is no repository {source.repo_id} on the hub.",
                               "It may have moved: set repo_id in a file of your own (--config DIR).") from None
    except (errors.OfflineModeIsEnabled, errors.HfHubHTTPError, errors.LocalEntryNotFoundError, OSError) as error:
        logging.getLogger(__name__).info("download of %s failed", source.repo_id, exc_info=error)
        raise ModelUnavailable(f"{source.repo_id} could not be fetched ({type(error).__name__}).",
                               "Check the network and the free disk space, then run the same command again.") from None


def _weights(source: Source) -> str:
    return f"*/*.{source.variant}*.safetensors*" if source.variant else "*/*.safetensors*"


def _cached(source: Source) -> Path | None:
    from huggingface_hub import errors, try_to_load_from_cache

    try:
        index = try_to_load_from_cache(source.repo_id, INDEX, revision=source.revision)
    except (errors.HFValidationError, OSError):
        return None
    return Path(index).parent if isinstance(index, str) else None


def _is_complete(folder: Path, source: Source) -> bool:
    """Every component the index names is there, with safetensors wherever it has a config.json."""
    index = _read_json(folder / INDEX)
    components = [name for name, made_by in index.items() if isinstance(made_by, list) and any(made_by)]
    return bool(components) and all(_is_component_complete(folder / name, source) for name in components)


def _is_component_complete(folder: Path, source: Source) -> bool:
    if not folder.is_dir():
        return False
    if not (folder / "config.json").exists():
        return True
    wanted = f".{source.variant}" if source.variant else ""
    weights = [file for file in folder.glob("*.safetensors") if _has_bytes(file)]
    if any(_variant(file) == wanted and not SHARD.search(file.name) for file in weights):
        return True
    shards = {name for index in folder.glob(f"*.safetensors.index{wanted}.json") for name in _shards(index)}
    return bool(shards) and shards <= {file.name for file in weights}


def _has_bytes(file: Path) -> bool:
    """False too for a link whose target is gone, as an interrupted download leaves it."""
    return file.is_file() and file.stat().st_size > 0


def _variant(file: Path) -> str:
    """".fp16" of model.fp16.safetensors, "" of model.safetensors: stock loaders take no other variant than was asked."""
    return Path(file.stem).suffix


def _shards(index: Path) -> set[str]:
    names = _read_json(index).get("weight_map")
    return {str(name) for name in names.values()} if isinstance(names, dict) else set()


def _read_json(path: Path) -> dict[str, Any]:
    """{} where it is missing, damaged or no object."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
