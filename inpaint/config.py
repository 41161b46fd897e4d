"""Settings: configs/ under --config DIR under INPAINT_* under flags, as one frozen AppConfig.

A wrong file is refused with its name and key. Knows no models' code and no page.
"""

from __future__ import annotations

import dataclasses
import math
import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal, TypeVar
from urllib.parse import quote

from inpaint.core.spec import STRICT, ModelSpec
from inpaint.errors import BadConfig
from inpaint.model_files import read_models, read_toml

_Valid = TypeVar("_Valid")

MAX_PORT = 65_535
DEFAULT_CONFIGS = Path(__file__).resolve().parent.parent / "configs"


@dataclass(frozen=True)
class PictureLimits:
    """What a picture may be at most; checked before it is decoded. max_file_megabytes also bounds an upload."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    max_megapixels: float = 64
    max_side: int = 16_384
    max_file_megabytes: int = 100


@dataclass(frozen=True)
class QueueLimits:
    """How much may wait, and how long a job may take. per_person counts the running job too.

    away_seconds: how long a person who left keeps place and running job, until both are given up. stall_seconds: a running job
    that says nothing for so long counts as hung, and the server as not ready.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    per_person: int = 3
    overall: int = 30
    away_seconds: float = 60.0
    job_seconds: float = 3600.0
    stall_seconds: float = 900.0


@dataclass(frozen=True)
class StorageLimits:
    """What a server keeps on its disk; more, or older, leaves, the oldest first. Gigabytes are 10**9 bytes."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    results_gigabytes: float = 20.0
    results_days: float = 365.0
    uploads_gigabytes: float = 5.0
    uploads_days: float = 1.0


@dataclass(frozen=True)
class MemoryLimits:
    """budget_gb: what models may take on their device, in 10**9 bytes; "auto" = what it has, less a reserve."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    budget_gb: float | Literal["auto"] = "auto"


@dataclass(frozen=True)
class SpeedSettings:
    """compile: whether the UNet of Kandinsky 2.2 goes through torch.compile, which takes minutes at the first run."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    compile: bool = False


@dataclass(frozen=True)
class Settings:
    """app.toml. device, dtype: "auto" or a name torch knows. host None = Gradio's own default and variables.
    cache_dir: where downloaded weights lie; None = the hub library's own place (HF_HOME, HF_HUB_CACHE).
    log: the form of the server's log. page_downloads: whether whoever opens the page may have models downloaded; auto = only on a
    server that nobody but this machine reaches.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    device: str = "auto"
    dtype: Literal["auto", "float16", "bfloat16", "float32"] = "auto"
    host: str | None = None
    port: int | None = None
    share: bool = False
    auth: str | None = field(default=None, repr=False)
    data_dir: str | None = None
    cache_dir: str | None = None
    log: Literal["text", "json"] = "text"
    page_downloads: Literal["auto", "on", "off"] = "auto"
    pictures: PictureLimits = PictureLimits()
    queue: QueueLimits = QueueLimits()
    storage: StorageLimits = StorageLimits()
    memory: MemoryLimits = MemoryLimits()
    speed: SpeedSettings = SpeedSettings()


SECTIONS: Mapping[str, type[Any]] = MappingProxyType(
    {"pictures": PictureLimits, "queue": QueueLimits, "storage": StorageLimits, "memory": MemoryLimits, "speed": SpeedSettings})
"""The tables of app.toml; their numbers are positive."""

ENVIRONMENT_NAMES: Mapping[str, str] = MappingProxyType({"budget_gb": "INPAINT_MEMORY_GB"})
"""Where INPAINT_ and the setting's own name would not say what it is."""


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
    layers = [*(read_toml(folder / "app.toml") for folder in folders), _from_environment(environment),
              {name: value for name, value in (flags or {}).items() if value is not None}]
    settings = _validated(Settings, _merged(layers), "settings")
    _check_settings(settings)
    place = _Place(_data_dir(settings, environment), _folder("cache_dir", settings.cache_dir), _repeated(config_dir, flags or {}),
                   has_shell=not environment.get("SPACE_ID"))
    models = {spec.name: place.of(spec) for folder in folders for spec in read_models(folder / "models")}
    return AppConfig(settings, models, place.data_dir)


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


@dataclass(frozen=True)
class _Place:
    """Where downloads lie and are locked. flags: what a command has to repeat to find the same models there.

    has_shell: whether somebody can give commands.
    """

    data_dir: Path
    cache_dir: Path | None
    flags: Sequence[str]
    has_shell: bool

    def of(self, spec: ModelSpec) -> ModelSpec:
        """The same model, knowing its place, and the command that gets it."""
        lock = str(self.data_dir / "locks" / f"{quote(spec.name, safe=' ')}.json")
        place = {"cache_dir": str(self.cache_dir) if self.cache_dir else None, "lock": lock}
        command = _shell_line(["python", "-m", "inpaint", "models", "--download", spec.name, *self.flags]) if self.has_shell else ""
        return dataclasses.replace(spec, command=command, sources={
            part: source if source.is_local else dataclasses.replace(source, **place) for part, source in spec.sources.items()})


def _repeated(config_dir: Path | None, flags: Mapping[str, object]) -> list[str]:
    given = {"--config": config_dir, "--data-dir": flags.get("data_dir"), "--cache-dir": flags.get("cache_dir")}
    return [part for flag, value in given.items() if value is not None for part in (flag, str(value))]


def _shell_line(words: Sequence[str]) -> str:
    """As it is typed, with quotes where they are needed."""
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def _check_settings(settings: Settings) -> None:
    if settings.port is not None and not 0 <= settings.port <= MAX_PORT:
        raise BadConfig(f"settings: port: {settings.port} is not between 0 and {MAX_PORT}.")
    for section in SECTIONS:
        for name, value in vars(getattr(settings, section)).items():
            if value != "auto" and not isinstance(value, bool) and not 0 < value < math.inf:
                raise BadConfig(f"settings: {section}.{name}: {value:g} is not a positive number.")


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """INPAINT_DEVICE, INPAINT_DATA_DIR, ...; the numbers of a section by their own name: INPAINT_MAX_SIDE, ..."""
    def given(kind: type[Any]) -> dict[str, Any]:
        names = (field.name for field in dataclasses.fields(kind) if field.name not in SECTIONS)
        return {name: value for name in names if (value := environment.get(ENVIRONMENT_NAMES.get(name, f"INPAINT_{name.upper()}")))}

    sections = {section: given(kind) for section, kind in SECTIONS.items()}
    return given(Settings) | {section: values for section, values in sections.items() if values}


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
    if chosen := _folder("data_dir", settings.data_dir):
        return chosen
    space_disk = Path("/data")
    if environment.get("SPACE_ID") and os.access(space_disk, os.W_OK):
        return space_disk / "inpaint"
    from platformdirs import user_data_path

    return user_data_path("inpaint", appauthor=False)


def _folder(name: str, chosen: str | None) -> Path | None:
    try:
        return Path(chosen).expanduser().resolve() if chosen else None
    except (RuntimeError, ValueError, OSError) as error:
        raise BadConfig(f"settings: {name}: {chosen} cannot be used: {error}.") from None
