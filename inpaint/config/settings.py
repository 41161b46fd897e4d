"""The settings as types, with their defaults: what app.toml, the variables and the flags may set.

Knows neither files nor the environment; config/load.py reads the layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from inpaint.core.spec import STRICT, ModelSpec
from inpaint.errors import BadConfig


@dataclass(frozen=True)
class PictureLimits:
    """The largest picture that is taken; checked before it is decoded. max_file_megabytes also bounds an upload."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    max_megapixels: float = 64
    max_side: int = 16_384
    max_file_megabytes: int = 100


@dataclass(frozen=True)
class QueueLimits:
    """How many jobs may wait, and how long one may take. per_person, overall: running jobs count too.

    away_seconds: how long the jobs of a person who left are kept; then they are cancelled. stall_seconds: how long a running
    job may report nothing before it counts as hung, and the server as not ready.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    per_person: int = 3
    overall: int = 30
    away_seconds: float = 60.0
    job_seconds: float = 3600.0
    stall_seconds: float = 900.0


@dataclass(frozen=True)
class StorageLimits:
    """How much a server keeps on its disk, and for how long; what is beyond is removed, the oldest first.

    Gigabytes are 10**9 bytes. free_megabytes: what the disk must have free before an upload is taken or a run begins.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    results_gigabytes: float = 20.0
    results_days: float = 365.0
    uploads_gigabytes: float = 5.0
    uploads_days: float = 1.0
    free_megabytes: float = 500.0


@dataclass(frozen=True)
class MemoryLimits:
    """The memory for models. budget_gb: what they may take on their device, in 10**9 bytes; "auto" = what it has, less a reserve."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    budget_gb: float | Literal["auto"] = "auto"


@dataclass(frozen=True)
class SpeedSettings:
    """What makes runs faster. compile: whether the UNet of Kandinsky models is compiled, which takes minutes at the first run."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    compile: bool = False


@dataclass(frozen=True)
class Settings:
    """All settings of an app.toml.

    device, dtype: "auto", or a name that torch knows, as "cuda:1". host: None = 127.0.0.1. port: None = 7860 or the next that
    is free. open: whether a server without a login may be reached by others. allowed_hosts: names that the server answers to
    besides its own, as ("inpaint.example", "*.example.org"). trusted_proxies: addresses and networks whose forwarded headers
    are believed. data_dir: None = a folder for this user's data. cache_dir: where downloaded weights lie; None = the hub
    library's own folder (HF_HOME, HF_HUB_CACHE). log: the form of the server's log. page_downloads: whether people may have
    models downloaded from the page; "auto" = only on a server that nobody but this machine reaches.
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
    {"pictures": PictureLimits, "queue": QueueLimits, "storage": StorageLimits, "memory": MemoryLimits, "speed": SpeedSettings}
)
"""The tables of app.toml, by their names. Every number in them is positive."""

ENVIRONMENT_NAMES: Mapping[str, str] = MappingProxyType({"budget_gb": "INPAINT_MEMORY_GB", "trusted_proxies": "FORWARDED_ALLOW_IPS"})
"""The variables whose names are not INPAINT_ and the setting's own name: that would be unclear, or web servers have another."""

GRADIO_NAMES: Mapping[str, str] = MappingProxyType({"host": "GRADIO_SERVER_NAME", "port": "GRADIO_SERVER_PORT"})
"""Gradio's own variables, which a Space and other people's container images set. They are the lowest layer."""

LISTS = frozenset({"allowed_hosts", "trusted_proxies"})
"""The settings of several values, which a variable or a flag separates by commas."""


@dataclass(frozen=True)
class AppConfig:
    """Everything that is decided before the start. It is passed to whoever needs it, and never looked up."""

    settings: Settings
    models: Mapping[str, ModelSpec]
    data_dir: Path


def variable_of(key: str) -> str:
    """The variable of a setting: "pictures.max_side" -> INPAINT_MAX_SIDE. A key within the setting's value is left out."""
    section, _, below = key.partition(".")
    name = below.partition(".")[0] if section in SECTIONS else section
    return ENVIRONMENT_NAMES.get(name, f"INPAINT_{name.upper()}")


def parse_auth(auth: str | None) -> tuple[str, str] | None:
    """ "user:password" -> (user, password). Raises BadConfig; the message never holds the password."""
    if auth is None:
        return None
    if not is_login(auth):
        raise BadConfig("--auth must be user:password.")
    user, _, password = auth.partition(":")
    return user, password


def is_login(auth: str) -> bool:
    """Whether a text is user:password with neither part empty."""
    user, _, password = auth.partition(":")
    return bool(user and password)
