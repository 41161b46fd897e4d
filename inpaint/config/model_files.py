"""Reads models/*.toml into ModelSpec. A wrong file raises an error with its name, line and key.

This module knows no family's code and no settings.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from inpaint.config.toml_file import TomlFile, read_toml
from inpaint.core.request import SAMPLING_FIELDS
from inpaint.core.spec import Limit, ModelSpec, Source, WorkingLimits
from inpaint.errors import BadConfig

BOUNDS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"strength": (0, 1), "guidance_scale": (0, math.inf), "prior_guidance_scale": (0, math.inf)}
)
"""Lowest and highest number of each control that is a share or a scale. Every other control is a count of 1 or more."""


def read_models(folder: Path) -> list[ModelSpec]:
    """Returns the models of a folder in the order of their file names; none if the folder does not exist. Raises BadConfig."""
    models: dict[str, ModelSpec] = {}
    for path in sorted(folder.glob("*.toml")) if folder.is_dir() else []:
        spec = _read(path)
        if spec.name in models:
            raise BadConfig(f"{path}: name: {models[spec.name].file} has a model {spec.name} too.")
        models[spec.name] = spec
    return list(models.values())


def _read(path: Path) -> ModelSpec:
    file = TomlFile(path)
    spec = file.validated(ModelSpec, read_toml(path))
    _check_whole(file, spec)
    for name, limit in spec.limits.items():
        _check_limit(file, f"limits.{name}", name, limit)
    for task, limits in spec.task_limits.items():
        for name, limit in limits.items():
            _check_limit(file, f"task_limits.{task}.{name}", name, limit)
    if spec.working is not None:
        _check_working(file, spec.working)
    for part, source in spec.sources.items():
        _check_source(file, f"sources.{part}", source)
    sources = {part: _located(source, path.parent) for part, source in spec.sources.items()}
    return dataclasses.replace(spec, sources=sources, file=str(path))


def _check_whole(file: TomlFile, spec: ModelSpec) -> None:
    for key in ("name", "title", "family", "tasks"):
        if not getattr(spec, key):
            raise file.wrong(key, "it is empty")
    for key in ("file", "command"):
        if getattr(spec, key):
            raise file.wrong(key, "it is not set by a model's file")
    for part, count in spec.parameters.items():
        if count < 1:
            raise file.wrong(f"parameters.{part}", f"{count} is no count of parameters")
    for task in spec.task_limits:
        if not spec.can(task):
            raise file.wrong(f"task_limits.{task}", "the model does not have this task")


def _check_source(file: TomlFile, key: str, source: Source) -> None:
    for name in ("repo_id", "revision", "variant", "lock"):
        if getattr(source, name) == "":
            raise file.wrong(f"{key}.{name}", "it is empty")
    if source.cache_dir:
        raise file.wrong(f"{key}.cache_dir", "it is not set by a model's file")
    if source.lock is not None and not source.is_local:
        raise file.wrong(f"{key}.lock", "only a local folder's is set by a model's file")
    if not source.is_local and not _is_repository(source.repo_id):
        raise file.wrong(f"{key}.repo_id", f"{source.repo_id!r} is neither a repository, owner/name, nor a folder, ./name")


def _is_repository(name: str) -> bool:
    """Returns whether a repository on the hub can have this name."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def _check_limit(file: TomlFile, key: str, name: str, limit: Limit) -> None:
    if name not in SAMPLING_FIELDS:
        raise file.wrong(key, f"there is no such control; there are {', '.join(SAMPLING_FIELDS)}")
    if not all(map(math.isfinite, (limit.default, limit.minimum, limit.maximum, limit.step))) or limit.step <= 0:
        raise file.wrong(key, "default, minimum, maximum and step must be finite, and step more than 0")
    if not limit.minimum <= limit.default <= limit.maximum:
        raise file.wrong(key, f"the default {limit.default:g} is not between {limit.minimum:g} and {limit.maximum:g}")
    if limit.is_whole and (limit.default - limit.minimum) % limit.step:
        raise file.wrong(key, f"the default {limit.default:g} is not a whole number of steps of {limit.step:g} from {limit.minimum:g}")
    lowest, highest = BOUNDS.get(name, (1, math.inf))
    if limit.minimum < lowest or limit.maximum > highest:
        raise file.wrong(key, f"{name} lies {f'between {lowest} and {highest}' if highest < math.inf else f'at {lowest} or above'}")
    if name not in BOUNDS and not limit.is_whole:
        raise file.wrong(key, f"{name} is a whole number, and so are its minimum and step")


def _check_working(file: TomlFile, working: WorkingLimits) -> None:
    if working.multiple < 1 or working.max_pixels < working.multiple**2:
        raise file.wrong("working", "multiple must be at least 1, and max_pixels at least its square")
    for name, pixels in (("native_pixels", working.native_pixels), ("cpu_pixels", working.cpu_pixels)):
        if pixels is not None and not working.multiple**2 <= pixels <= working.max_pixels:
            raise file.wrong(f"working.{name}", f"{pixels} is not between multiple squared and max_pixels")
    if not (0 <= working.context < math.inf and 0 < working.max_upscale < math.inf):
        raise file.wrong("working", "context must be 0 or more, and max_upscale more than 0")


def _located(source: Source, folder: Path) -> Source:
    """Returns a source with absolute paths. A local folder and its lock are given relative to the model's file."""
    if not source.is_local:
        return source

    def place(name: str) -> str:
        return str((folder / Path(name).expanduser()).resolve())

    return dataclasses.replace(source, repo_id=place(source.repo_id), lock=place(source.lock) if source.lock else None)
