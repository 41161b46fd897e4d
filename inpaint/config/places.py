"""Finds paths on this machine: the shipped settings, the data folder, and the cache and lock of each model."""

from __future__ import annotations

import dataclasses
import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from inpaint.config.settings import Settings
from inpaint.core.spec import ModelSpec
from inpaint.errors import BadConfig

PACKAGE = Path(__file__).resolve().parents[1]
SHIPPED = PACKAGE / "shipped" / "configs"
DEFAULT_CONFIGS = SHIPPED if SHIPPED.is_dir() else PACKAGE.parent / "configs"
"""The settings that the app ships with: inside the package if it was installed from a wheel, beside the package in the repository."""


@dataclass(frozen=True)
class ModelPlace:
    """Where downloaded models and their locks are stored.

    flags: those that a command must repeat to find the same models. has_shell: whether somebody can run commands; nobody can
    on a Space.
    """

    data_dir: Path
    cache_dir: Path | None
    flags: Sequence[str]
    has_shell: bool

    def of(self, spec: ModelSpec) -> ModelSpec:
        """Returns the spec with its paths on this machine, and with the command that downloads it."""
        lock = str(self.data_dir / "locks" / f"{quote(spec.name, safe=' ')}.json")
        place = {"cache_dir": str(self.cache_dir) if self.cache_dir else None, "lock": lock}
        command = _shell_line(["python", "-m", "inpaint", "models", "--download", spec.name, *self.flags]) if self.has_shell else ""
        return dataclasses.replace(
            spec,
            command=command,
            sources={part: source if source.is_local else dataclasses.replace(source, **place) for part, source in spec.sources.items()},
        )


def repeated_flags(config_dir: Path | None, flags: Mapping[str, object]) -> list[str]:
    given = {"--config": config_dir, "--data-dir": flags.get("data_dir"), "--cache-dir": flags.get("cache_dir")}
    return [part for flag, value in given.items() if value is not None for part in (flag, str(value))]


def _shell_line(words: Sequence[str]) -> str:
    """Returns words as one line for this system's shell, quoted if needed."""
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def data_dir_of(settings: Settings, environment: Mapping[str, str]) -> Path:
    """Returns the data folder: the setting, else /data on a Space that has it, else the platform's folder for a user's data.

    Raises BadConfig if this user has no home folder.
    """
    if chosen := folder_of(settings.data_dir):
        return chosen
    space_disk = Path("/data")
    if environment.get("SPACE_ID") and os.access(space_disk, os.W_OK):
        return space_disk / "inpaint"
    from platformdirs import user_data_path

    try:
        return user_data_path("inpaint", appauthor=False)
    except RuntimeError as error:  # HOME is not set, and the user is not in the system's list
        raise BadConfig(
            "This user has no home folder to keep data in.", "Name a folder with --data-dir DIR or INPAINT_DATA_DIR."
        ) from error


def folder_of(chosen: str | None) -> Path | None:
    return Path(chosen).expanduser().resolve() if chosen else None
