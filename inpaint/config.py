"""Settings: configs/ under --config DIR under INPAINT_* under flags, as one frozen AppConfig.

A wrong file is refused with its name and key. Knows no models' code and no page.
"""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from inpaint.core.spec import STRICT, ModelSpec, Source
from inpaint.errors import BadConfig

_Valid = TypeVar("_Valid")

DEFAULT_CONFIGS = Path(__file__).resolve().parent.parent / "configs"


@dataclass(frozen=True)
class PictureLimits:
    """What a picture may be at most; checked before it is decoded. max_file_megabytes also bounds an upload."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    max_megapixels: float = 64
    max_side: int = 16_384
    max_file_megabytes: int = 100


@dataclass(frozen=True)
class Settings:
    """app.toml. device, dtype: "auto" or a name torch knows. host None = Gradio's own default and variables."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    device: str = "auto"
    dtype: str = "auto"
    host: str | None = None
    port: int | None = None
    share: bool = False
    auth: str | None = field(default=None, repr=False)
    data_dir: str | None = None
    pictures: PictureLimits = PictureLimits()


@dataclass(frozen=True)
class AppConfig:
    """Everything that is set before the start; passed in, never looked up."""

    settings: Settings
    models: Mapping[str, ModelSpec]
    data_dir: Path


def load_config(config_dir: Path | None = None, flags: Mapping[str, object] | None = None,
                environment: Mapping[str, str] | None = None) -> AppConfig:
    """Read all layers. flags: names of Settings' fields, None = not given. Raises BadConfig."""
    environment = os.environ if environment is None else environment
    chosen = config_dir or (Path(environment["INPAINT_CONFIG"]) if environment.get("INPAINT_CONFIG") else None)
    folders = [DEFAULT_CONFIGS, *([_existing(chosen)] if chosen else [])]
    layers = [*(_read_toml(folder / "app.toml") for folder in folders), _from_environment(environment),
              {name: value for name, value in (flags or {}).items() if value is not None}]
    settings = _validated(Settings, _merged(layers), "settings")
    models = {spec.name: spec for folder in folders for spec in _read_models(folder / "models")}
    return AppConfig(settings, models, _data_dir(settings, environment))


def parse_auth(auth: str | None) -> tuple[str, str] | None:
    """"user:password" -> (user, password). Raises BadConfig; the message never holds the password."""
    if auth is None:
        return None
    user, colon, password = auth.partition(":")
    if not (user and colon and password):
        raise BadConfig("--auth must be user:password.")
    return user, password


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise BadConfig(f"The settings folder {folder} does not exist.")
    return folder


def _read_toml(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise BadConfig(f"{path} cannot be read: {error}.") from None


def _read_models(folder: Path) -> list[ModelSpec]:
    return [_read_model(path) for path in sorted(folder.glob("*.toml"))] if folder.is_dir() else []


def _read_model(path: Path) -> ModelSpec:
    spec = _validated(ModelSpec, _read_toml(path), str(path))
    for name, limit in spec.limits.items():
        if not limit.minimum <= limit.default <= limit.maximum:
            raise BadConfig(f"{path}: limits.{name}: the default {limit.default:g} is not between "
                            f"{limit.minimum:g} and {limit.maximum:g}.")
    sources = {part: _located(source, path.parent) for part, source in spec.sources.items()}
    return dataclasses.replace(spec, sources=sources)


def _located(source: Source, folder: Path) -> Source:
    """A repo_id that starts like a path is a local folder, relative to the file that names it."""
    if not source.is_local:
        return source
    return dataclasses.replace(source, repo_id=str((folder / Path(source.repo_id).expanduser()).resolve()))


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """INPAINT_DEVICE, INPAINT_DATA_DIR, ... and the picture limits as INPAINT_MAX_SIDE, ..."""
    def given(names: list[str]) -> dict[str, Any]:
        return {name: environment[f"INPAINT_{name.upper()}"] for name in names if environment.get(f"INPAINT_{name.upper()}")}

    top = given([f.name for f in dataclasses.fields(Settings) if f.name != "pictures"])
    pictures = given([f.name for f in dataclasses.fields(PictureLimits)])
    return {**top, **({"pictures": pictures} if pictures else {})}


def _merged(layers: list[dict[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for layer in layers:
        for name, value in layer.items():
            below = merged.get(name)
            merged[name] = {**below, **value} if isinstance(value, dict) and isinstance(below, dict) else value
    return merged


def _validated(kind: type[_Valid], values: dict[str, Any], where: str) -> _Valid:
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise BadConfig(f"{where}: {key}: {first['msg']}.") from None


def _data_dir(settings: Settings, environment: Mapping[str, str]) -> Path:
    """--data-dir, else /data on a Space that has it, else the platform's user data folder."""
    if settings.data_dir:
        return Path(settings.data_dir).expanduser().resolve()
    space_disk = Path("/data")
    if environment.get("SPACE_ID") and os.access(space_disk, os.W_OK):
        return space_disk / "inpaint"
    from platformdirs import user_data_path

    return user_data_path("inpaint", appauthor=False)
