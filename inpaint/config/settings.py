"""Settings: configs/ under --config DIR under INPAINT_* under flags, as one frozen AppConfig.

What is wrong is refused with its place: file, line and key, the variable, or the flag. Knows no models' code and no page.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import math
import os
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from inpaint.config.layers import FileLayer, Layer, NamedLayer, merged
from inpaint.config.model_files import read_models
from inpaint.core.spec import STRICT, ModelSpec
from inpaint.errors import BadConfig

MAX_PORT = 65_535
DEVICE = re.compile(r"auto|(cpu|cuda|mps)(:\d{1,3})?")
HOST_NAME = re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*(:\d{1,5})?", re.IGNORECASE)
PACKAGE = Path(__file__).resolve().parents[1]
SHIPPED = PACKAGE / "shipped" / "configs"
DEFAULT_CONFIGS = SHIPPED if SHIPPED.is_dir() else PACKAGE.parent / "configs"
"""Within the package where it was installed from a wheel, beside it in the repository."""


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
    """What a server keeps on its disk; more, or older, leaves, the oldest first. Gigabytes are 10**9 bytes. free_megabytes: what the
    disk must have free before an upload is taken or a run begins.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    results_gigabytes: float = 20.0
    results_days: float = 365.0
    uploads_gigabytes: float = 5.0
    uploads_days: float = 1.0
    free_megabytes: float = 500.0


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
    """app.toml. device, dtype: "auto" or a name torch knows. host None = 127.0.0.1. port None = 7860 or the next that is free.
    cache_dir: where downloaded weights lie; None = the hub library's own place (HF_HOME, HF_HUB_CACHE).
    log: the form of the server's log. page_downloads: whether whoever opens the page may have models downloaded; auto = only on a
    server that nobody but this machine reaches. allowed_hosts: names that the server answers to besides its own, as
    ("inpaint.example", "*.example.org"). trusted_proxies: addresses and networks whose forwarded headers are believed. open: whether a
    server without a login may be reached by others.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    device: str = "auto"
    dtype: Literal["auto", "float16", "bfloat16", "float32"] = "auto"
    host: str | None = None
    port: int | None = None
    share: bool = False
    auth: str | None = field(default=None, repr=False)
    open: bool = False
    allowed_hosts: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
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

ENVIRONMENT_NAMES: Mapping[str, str] = MappingProxyType({"budget_gb": "INPAINT_MEMORY_GB", "trusted_proxies": "FORWARDED_ALLOW_IPS"})
"""Where INPAINT_ and the setting's own name would not say what it is, or web servers have a name for it already."""

GRADIO_NAMES: Mapping[str, str] = MappingProxyType({"host": "GRADIO_SERVER_NAME", "port": "GRADIO_SERVER_PORT"})
"""Gradio's own variables, which a Space and other people's images set: the lowest layer."""

LISTS = frozenset({"allowed_hosts", "trusted_proxies"})
"""Settings of several values; a variable or a flag parts them by commas."""


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
    layers: list[Layer] = [_gradio_layer(environment), *(FileLayer(folder / "app.toml") for folder in folders),
                           _environment_layer(environment), _flags_layer(flags or {})]
    for layer in layers:
        _check_settings(layer)
    settings = NamedLayer(merged(layers), lambda key: f"settings: {key}").validated(Settings)
    place = _Place(_data_dir(settings, environment), _folder(settings.cache_dir), _repeated(config_dir, flags or {}),
                   has_shell=not environment.get("SPACE_ID"))
    models = {spec.name: place.of(spec) for folder in folders for spec in read_models(folder / "models")}
    return AppConfig(settings, models, place.data_dir)


def parse_auth(auth: str | None) -> tuple[str, str] | None:
    """"user:password" -> (user, password). Raises BadConfig; the message never holds the password."""
    if auth is None:
        return None
    if not _is_login(auth):
        raise BadConfig("--auth must be user:password.")
    user, _, password = auth.partition(":")
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


def _check_settings(layer: Layer) -> None:
    """Raises BadConfig for the first value of this layer that cannot be used."""
    settings = layer.validated(Settings)
    if settings.port is not None and not 0 <= settings.port <= MAX_PORT:
        raise layer.wrong("port", f"{settings.port} is not between 0 and {MAX_PORT}")
    if not DEVICE.fullmatch(settings.device):
        raise layer.wrong("device", f"There is no device {settings.device!r}; choose auto, cuda, mps or cpu")
    for name in ("data_dir", "cache_dir"):
        _check_folder(layer, name, getattr(settings, name))
    _check_reach(layer, settings)
    for section in SECTIONS:
        for name, value in vars(getattr(settings, section)).items():
            if value != "auto" and not isinstance(value, bool) and not 0 < value < math.inf:
                raise layer.wrong(f"{section}.{name}", f"{value:g} is not a positive number")


def _check_reach(layer: Layer, settings: Settings) -> None:
    """Who reaches the server, and under which name. Raises BadConfig."""
    if settings.auth is not None and not _is_login(settings.auth):
        raise layer.wrong("auth", "must be user:password")
    for name in settings.allowed_hosts:
        if not HOST_NAME.fullmatch(name):
            raise layer.wrong("allowed_hosts", f"{name!a} is not a host's name", "Give the name alone, as inpaint.example.")
    for proxy in settings.trusted_proxies:
        if proxy != "*" and not _is_network(proxy):
            raise layer.wrong("trusted_proxies", f"{proxy!a} is neither an address nor a network", "Give 127.0.0.1, 10.0.0.0/8 or *.")


def _is_login(auth: str) -> bool:
    user, _, password = auth.partition(":")
    return bool(user and password)


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _gradio_layer(environment: Mapping[str, str]) -> NamedLayer:
    values = {name: environment[variable] for name, variable in GRADIO_NAMES.items() if environment.get(variable)}
    return NamedLayer(values, lambda key: GRADIO_NAMES[key])


def _environment_layer(environment: Mapping[str, str]) -> NamedLayer:
    """INPAINT_DEVICE, INPAINT_DATA_DIR, ...; the numbers of a section by their own name: INPAINT_MAX_SIDE, ..."""
    def given(kind: type[Any]) -> dict[str, Any]:
        names = (field.name for field in dataclasses.fields(kind) if field.name not in SECTIONS)
        return {name: _listed(name, value) for name in names if (value := environment.get(variable_of(name)))}

    sections = {section: given(kind) for section, kind in SECTIONS.items()}
    return NamedLayer(given(Settings) | {section: values for section, values in sections.items() if values}, variable_of)


def _flags_layer(flags: Mapping[str, object]) -> NamedLayer:
    values = {name: _listed(name, value) for name, value in flags.items() if value is not None}
    return NamedLayer(values, lambda key: f"--{key.replace('_', '-')}")


def _listed(name: str, value: object) -> object:
    """The value of a variable or flag, parted where the setting is a list."""
    if name not in LISTS or not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def variable_of(key: str) -> str:
    """The environment's name of a setting: "pictures.max_side" -> INPAINT_MAX_SIDE. What stands behind the setting is left out."""
    section, _, below = key.partition(".")
    name = below.partition(".")[0] if section in SECTIONS else section
    return ENVIRONMENT_NAMES.get(name, f"INPAINT_{name.upper()}")


def _data_dir(settings: Settings, environment: Mapping[str, str]) -> Path:
    """--data-dir, else /data on a Space that has it, else the platform's user data folder. Raises BadConfig where this user has no home."""
    if chosen := _folder(settings.data_dir):
        return chosen
    space_disk = Path("/data")
    if environment.get("SPACE_ID") and os.access(space_disk, os.W_OK):
        return space_disk / "inpaint"
    from platformdirs import user_data_path

    try:
        return user_data_path("inpaint", appauthor=False)
    except RuntimeError as error:  # neither HOME nor an entry among the system's users
        raise BadConfig("This user has no home folder to keep data in.", "Name a folder with --data-dir DIR or INPAINT_DATA_DIR.") from error


def _folder(chosen: str | None) -> Path | None:
    return Path(chosen).expanduser().resolve() if chosen else None


def _check_folder(layer: Layer, name: str, chosen: str | None) -> None:
    """Raises BadConfig for a name that no folder can have, and for the home of nobody."""
    try:
        _folder(chosen)
    except (RuntimeError, ValueError, OSError) as error:
        raise layer.wrong(name, f"{chosen} cannot be used: {error}") from None
