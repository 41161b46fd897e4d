"""Models as files: models/*.toml -> ModelSpec, each wrong one refused with its name, line and key.

Knows no family's code and no settings.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from inpaint.core.request import SAMPLING_FIELDS
from inpaint.core.spec import Limit, ModelSpec, Source, WorkingLimits
from inpaint.errors import BadConfig

BOUNDS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"strength": (0, 1), "guidance_scale": (0, math.inf), "prior_guidance_scale": (0, math.inf)})
"""What a control's numbers can mean at all; the others count something, from 1."""

TABLE = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]")
KEY = re.compile(r"\s*([\w.\s\"'-]+?)\s*=")


def read_models(folder: Path) -> list[ModelSpec]:
    """The models of a folder, by file name; none where there is no such folder. Raises BadConfig."""
    models: dict[str, ModelSpec] = {}
    for path in sorted(folder.glob("*.toml")) if folder.is_dir() else []:
        spec = _read(path)
        if spec.name in models:
            raise BadConfig(f"{path}: name: {models[spec.name].file} has a model {spec.name} too.")
        models[spec.name] = spec
    return list(models.values())


def read_toml(path: Path) -> dict[str, Any]:
    """{} where there is no such file. Raises BadConfig."""
    if not path.exists():
        return {}
    try:
        return tomllib.loads(_text(path))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError, RecursionError) as error:
        raise BadConfig(f"{path} cannot be read: {error}.") from None


def _text(path: Path) -> str:
    """Editors on Windows put a byte order mark before it."""
    return path.read_text(encoding="utf-8-sig")


def _read(path: Path) -> ModelSpec:
    file = ModelFile(path)
    spec = file.validated(read_toml(path))
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


@dataclass(frozen=True)
class ModelFile:
    """A model's file, to say what is wrong where."""

    path: Path

    def wrong(self, key: str, message: str, hint: str = "", because: str = "") -> BadConfig:
        """because: the key that asks for this one; its line is told where this one is not there."""
        line = self._line(key) or self._line(because)
        return BadConfig(f"{self.path}{f', line {line}' if line else ''}: {key}: {message}.", hint)

    def validated(self, values: dict[str, Any]) -> ModelSpec:
        """Strictly: no text for a number, no fraction for a count. Raises BadConfig."""
        from pydantic import TypeAdapter, ValidationError

        try:
            return TypeAdapter(ModelSpec).validate_json(json.dumps(values, default=str), strict=True)
        except ValidationError as error:
            raise self.wrong(*_first_fault(error.errors())) from None

    def _line(self, key: str) -> int | None:
        """Where the key stands, or the first of what belongs to it, or what it belongs to; None where nothing of it is there."""
        wanted, table, best, found = key.split("."), list[str](), 0, None
        for number, line in enumerate(self._lines(), start=1):
            if header := TABLE.match(line):
                table = here = _parts(header[1])
            elif named := KEY.match(line):
                here = [*table, *_parts(named[1])]
            else:
                continue
            shared = min(len(here), len(wanted))
            if shared > best and here[:shared] == wanted[:shared]:
                best, found = shared, number
        return found

    def _lines(self) -> list[str]:
        """None of a file that is gone since it was read."""
        try:
            return _text(self.path).splitlines()
        except (OSError, UnicodeDecodeError):
            return []


def _first_fault(faults: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Key and message. An unknown key comes first, with what is missing beside it: that one was mistyped."""
    missing = {fault["loc"] for fault in faults if fault["type"] == "missing"}
    for fault in faults:
        if fault["type"] == "unexpected_keyword_argument":
            beside = [str(loc[-1]) for loc in sorted(missing) if loc[:-1] == fault["loc"][:-1]]
            lacking = f", and {', '.join(beside)} {'is' if len(beside) == 1 else 'are'} missing" if beside else ""
            return _dotted(fault["loc"]), f"there is no such key{lacking}"
    return _dotted(faults[0]["loc"]), "it is missing" if faults[0]["type"] == "missing" else faults[0]["msg"]


def _dotted(loc: Sequence[Any]) -> str:
    return ".".join(str(key) for key in loc if key != "[key]")


def _parts(dotted: str) -> list[str]:
    return [part.strip(" \t\"'") for part in dotted.split(".")]


def _check_whole(file: ModelFile, spec: ModelSpec) -> None:
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


def _check_source(file: ModelFile, key: str, source: Source) -> None:
    for name in ("repo_id", "revision", "variant"):
        if getattr(source, name) == "":
            raise file.wrong(f"{key}.{name}", "it is empty")
    if source.cache_dir or source.lock:
        raise file.wrong(key, "cache_dir and lock are not set by a model's file")
    if not source.is_local and not _is_repository(source.repo_id):
        raise file.wrong(f"{key}.repo_id", f"{source.repo_id!r} is neither a repository, owner/name, nor a folder, ./name")


def _is_repository(name: str) -> bool:
    """Whether the hub could have one of this name."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def _check_limit(file: ModelFile, key: str, name: str, limit: Limit) -> None:
    if name not in SAMPLING_FIELDS:
        raise file.wrong(key, f"there is no such control; there are {', '.join(SAMPLING_FIELDS)}")
    if not all(map(math.isfinite, (limit.default, limit.minimum, limit.maximum, limit.step))) or limit.step <= 0:
        raise file.wrong(key, "default, minimum, maximum and step must be finite, and step more than 0")
    if not limit.minimum <= limit.default <= limit.maximum:
        raise file.wrong(key, f"the default {limit.default:g} is not between {limit.minimum:g} and {limit.maximum:g}")
    if limit.is_whole and (limit.default - limit.minimum) % limit.step:
        raise file.wrong(key, f"the default {limit.default:g} is not a whole number of steps of {limit.step:g} "
                              f"from {limit.minimum:g}")
    lowest, highest = BOUNDS.get(name, (1, math.inf))
    if limit.minimum < lowest or limit.maximum > highest:
        raise file.wrong(key, f"{name} lies {f'between {lowest} and {highest}' if highest < math.inf else f'at {lowest} or above'}")
    if name not in BOUNDS and not limit.is_whole:
        raise file.wrong(key, f"{name} is a whole number, and so are its minimum and step")


def _check_working(file: ModelFile, working: WorkingLimits) -> None:
    if working.multiple < 1 or working.max_pixels < working.multiple**2:
        raise file.wrong("working", "multiple must be at least 1, and max_pixels at least its square")
    for name, pixels in (("native_pixels", working.native_pixels), ("cpu_pixels", working.cpu_pixels)):
        if pixels is not None and not working.multiple**2 <= pixels <= working.max_pixels:
            raise file.wrong(f"working.{name}", f"{pixels} is not between multiple squared and max_pixels")
    if not (0 <= working.context < math.inf and 0 < working.max_upscale < math.inf):
        raise file.wrong("working", "context must be 0 or more, and max_upscale more than 0")


def _located(source: Source, folder: Path) -> Source:
    """A repo_id that starts like a path is a local folder, relative to the file that names it."""
    if not source.is_local:
        return source
    return dataclasses.replace(source, repo_id=str((folder / Path(source.repo_id).expanduser()).resolve()))
