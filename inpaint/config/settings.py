"""The settings as types, with their defaults: everything that app.toml, environment variables and flags may set.

This module reads neither files nor the environment; config/load.py does.
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
    """The largest picture that is accepted, checked before it is decoded. max_file_megabytes also limits an upload."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    max_megapixels: float = 64
    max_side: int = 16_384
    max_file_megabytes: int = 100


@dataclass(frozen=True)
class QueueLimits:
    """How many jobs may wait, and how long one may take. per_person and overall include running jobs.

    away_seconds: how long the jobs of a person who left are kept before they are cancelled. stall_seconds: how long a running
    job may report nothing before it counts as hung and the server as not ready.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    per_person: int = 3
    overall: int = 30
    away_seconds: float = 60.0
    job_seconds: float = 3600.0
    stall_seconds: float = 900.0


@dataclass(frozen=True)
class StorageLimits:
    """How much a server keeps on its disk, and for how long. Anything beyond is removed, the oldest first.

    Gigabytes are 10**9 bytes. free_megabytes: what the disk must have free before an upload is accepted or a run begins.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    results_gigabytes: float = 20.0
    results_days: float = 365.0
    uploads_gigabytes: float = 5.0
    uploads_days: float = 1.0
    free_megabytes: float = 500.0


@dataclass(frozen=True)
class MemoryLimits:
    """Limits the memory of models. budget_gb: what they may take on their device, in 10**9 bytes; "auto" = the device's memory
    less a reserve.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    budget_gb: float | Literal["auto"] = "auto"


@dataclass(frozen=True)
class SpeedSettings:
    """Settings that make runs faster. compile: whether to compile the UNet of Kandinsky models, which takes minutes at the first run."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    compile: bool = False


@dataclass(frozen=True)
class Settings:
    """All settings of an app.toml.

    device, dtype: "auto", or a name that torch knows, as "cuda:1". host: None = 127.0.0.1. port: None = 7860 or the next free
    one. open: whether others may reach a server that asks for no login. allowed_hosts: names that the server answers to
    besides its own, as ("inpaint.example", "*.example.org"). trusted_proxies: addresses and networks whose forwarded headers
    are believed.

    data_dir: None = a folder for this user's data. cache_dir: where downloaded weights lie; None = the hub library's own
    folder (HF_HOME, HF_HUB_CACHE). log: the form of the server's log. page_downloads: whether people may download models from
    the page; "auto" = only on a server that nobody but this machine reaches.
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
"""The tables of app.toml by name. Every number in them must be positive."""

ENVIRONMENT_NAMES: Mapping[str, str] = MappingProxyType({"budget_gb": "INPAINT_MEMORY_GB", "trusted_proxies": "FORWARDED_ALLOW_IPS"})
"""Environment variables that are not named INPAINT_ and the setting's name, because that would be unclear or web servers use another."""

GRADIO_NAMES: Mapping[str, str] = MappingProxyType({"host": "GRADIO_SERVER_NAME", "port": "GRADIO_SERVER_PORT"})
"""Gradio's own environment variables, which Spaces and some container images set. They are the lowest layer."""

LISTS = frozenset({"allowed_hosts", "trusted_proxies"})
"""Settings that hold several values. A variable or flag separates them by commas."""


@dataclass(frozen=True)
class AppConfig:
    """All configuration, decided before the start. It is passed to whoever needs it; there is no global copy."""

    settings: Settings
    models: Mapping[str, ModelSpec]
    data_dir: Path


def variable_of(key: str) -> str:
    """Returns the environment variable of a setting: "pictures.max_side" -> INPAINT_MAX_SIDE. A key inside the setting's value
    is ignored.
    """
    section, _, below = key.partition(".")
    name = below.partition(".")[0] if section in SECTIONS else section
    return ENVIRONMENT_NAMES.get(name, f"INPAINT_{name.upper()}")


def parse_auth(auth: str | None) -> tuple[str, str] | None:
    """Splits "user:password" into (user, password); None stays None. Raises BadConfig; the message never contains the password."""
    if auth is None:
        return None
    if not is_login(auth):
        raise BadConfig("--auth must be user:password.")
    user, _, password = auth.partition(":")
    return user, password


def is_login(auth: str) -> bool:
    """Returns whether a text is user:password with neither part empty."""
    user, _, password = auth.partition(":")
    return bool(user and password)
