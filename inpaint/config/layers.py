"""The layers that settings come from: a file, variables, flags. Each names the place of a wrong value as a person wrote it.

Knows no setting by name: the type to validate against is handed in.
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
    """The layer of an app.toml; empty where there is no such file."""

    path: Path

    @property
    def values(self) -> dict[str, Any]:
        """What the file sets. Raises BadConfig."""
        return read_toml(self.path)

    def wrong(self, key: str, message: str, hint: str = "") -> BadConfig:
        return TomlFile(self.path).wrong(key, message, hint)

    def validated(self, kind: type[_Valid]) -> _Valid:
        """The values as the type `kind`. Raises BadConfig with file, line and key."""
        return TomlFile(self.path).validated(kind, self.values)


@dataclass(frozen=True)
class NamedLayer:
    """A layer of variables or flags. name: returns what the setting of a key is called there, as INPAINT_PORT or --port."""

    values: Mapping[str, Any]
    name: Callable[[str], str]

    def wrong(self, key: str, message: str, hint: str = "") -> BadConfig:
        return BadConfig(f"{self.name(key)}{' ' if message.startswith('must ') else ': '}{message}.", hint)

    def validated(self, kind: type[_Valid]) -> _Valid:
        """The values as the type `kind`; numbers and truth values are read from text. Raises BadConfig with the name."""
        from pydantic import TypeAdapter, ValidationError

        try:
            return TypeAdapter(kind).validate_python(dict(self.values))
        except ValidationError as error:
            raise self.wrong(*first_fault(kind, error.errors())) from None


Layer = FileLayer | NamedLayer


def merged(layers: list[Layer]) -> dict[str, Any]:
    """The values of all layers, tables key by key; a later layer wins."""
    whole: dict[str, Any] = {}
    for layer in layers:
        for name, value in layer.values.items():
            below = whole.get(name)
            whole[name] = {**below, **value} if isinstance(value, dict) and isinstance(below, dict) else value
    return whole
