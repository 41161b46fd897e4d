"""The layers that settings come from: files, environment variables and flags. An error names the place of a wrong value as a
person wrote it.

This module knows no setting by name: the caller passes the type to validate against.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from inpaint.config.toml_file import TomlFile, first_fault, read_toml
from inpaint.errors import BadConfig

_Valid = TypeVar("_Valid")


@dataclass(frozen=True)
class FileLayer:
    """The layer of an app.toml. It is empty if there is no such file."""

    path: Path

    @property
    def values(self) -> dict[str, Any]:
        """The values that the file sets. Raises BadConfig."""
        return read_toml(self.path)

    def wrong(self, key: str, message: str, hint: str = "") -> BadConfig:
        return TomlFile(self.path).wrong(key, message, hint)

    def validated(self, kind: type[_Valid]) -> _Valid:
        """Returns the values as the type `kind`. Raises BadConfig with file, line and key."""
        return TomlFile(self.path).validated(kind, self.values)


@dataclass(frozen=True)
class NamedLayer:
    """A layer of environment variables or flags. name: returns what a setting is called in this layer, as INPAINT_PORT or --port."""

    values: Mapping[str, Any]
    name: Callable[[str], str]

    def wrong(self, key: str, message: str, hint: str = "") -> BadConfig:
        return BadConfig(f"{self.name(key)}{' ' if message.startswith('must ') else ': '}{message}.", hint)

    def validated(self, kind: type[_Valid]) -> _Valid:
        """Returns the values as the type `kind`; numbers and truth values are read from text. Raises BadConfig with the name."""
        from pydantic import TypeAdapter, ValidationError

        try:
            return TypeAdapter(kind).validate_python(dict(self.values))
        except ValidationError as error:
            raise self.wrong(*first_fault(kind, error.errors())) from None


Layer = FileLayer | NamedLayer


def merged(layers: list[Layer]) -> dict[str, Any]:
    """Returns the values of all layers. A later layer wins; tables are merged key by key."""
    whole: dict[str, Any] = {}
    for layer in layers:
        for name, value in layer.values.items():
            below = whole.get(name)
            whole[name] = {**below, **value} if isinstance(value, dict) and isinstance(below, dict) else value
    return whole
