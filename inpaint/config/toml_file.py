"""Reads a TOML file of settings and validates it strictly. An error names file, line and key.

This module knows neither settings nor models: the caller passes the type to validate against.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from inpaint.errors import BadConfig

TABLE = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]")
KEY = re.compile(r"\s*([\w.\s\"'-]+?)\s*=")
ALIKE = 0.7
"""Least similarity of two keys, from 0 to 1, at which one is suggested in place of the other."""

_Valid = TypeVar("_Valid")


def read_toml(path: Path) -> dict[str, Any]:
    """Returns the values of a file; {} if there is no such file. Raises BadConfig."""
    if not path.exists():
        return {}
    try:
        return tomllib.loads(_text(path))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError, RecursionError) as error:
        raise BadConfig(f"{path} cannot be read: {error}.") from None


@dataclass(frozen=True)
class TomlFile:
    """A settings file, for errors that say what is wrong and on which line."""

    path: Path

    def wrong(self, key: str, message: str, hint: str = "", because: str = "") -> BadConfig:
        """Returns an error about a key. because: the key that requires this one; its line is named if this key is not in the file."""
        line = self._line(key) or self._line(because)
        return BadConfig(f"{self.path}{f', line {line}' if line else ''}: {key}: {message}.", hint)

    def validated(self, kind: type[_Valid], values: Mapping[str, Any]) -> _Valid:
        """Returns the values as the type `kind`, strictly: text is no number, and a fraction is no count. Raises BadConfig."""
        from pydantic import TypeAdapter, ValidationError

        try:
            return TypeAdapter(kind).validate_json(json.dumps(values, default=str), strict=True)
        except ValidationError as error:
            raise self.wrong(*first_fault(kind, error.errors())) from None

    def _line(self, key: str) -> int | None:
        """Returns the line of a key, else of the first key below it, else of the table above it; None if none of them is in the file."""
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
        """Returns the lines of the file; none if it has been removed since it was read."""
        try:
            return _text(self.path).splitlines()
        except (OSError, UnicodeDecodeError):
            return []


def first_fault(kind: type[Any], faults: Sequence[Mapping[str, Any]]) -> tuple[str, str, str]:
    """Returns key, message and hint of the most useful fault.

    An unknown key comes first, together with a key that is missing beside it, since the unknown one is probably a misspelling
    of it.
    """
    missing = {fault["loc"] for fault in faults if fault["type"] == "missing"}
    for fault in faults:
        if fault["type"] == "unexpected_keyword_argument":
            beside = [str(loc[-1]) for loc in sorted(missing) if loc[:-1] == fault["loc"][:-1]]
            lacking = f", and {', '.join(beside)} {'is' if len(beside) == 1 else 'are'} missing" if beside else ""
            return _dotted(fault["loc"]), f"there is no such key{lacking}", "" if beside else _suggestion(kind, fault["loc"])
    return _dotted(faults[0]["loc"]), "it is missing" if faults[0]["type"] == "missing" else faults[0]["msg"], ""


def _suggestion(kind: type[Any], loc: Sequence[Any]) -> str:
    """Returns a question that names the key which was probably meant; "" if no key is similar."""
    alike = difflib.get_close_matches(str(loc[-1]), _keys_at(kind, loc[:-1]), n=1, cutoff=ALIKE)
    return f"Did you mean {alike[0]}?" if alike else ""


def _keys_at(kind: Any, loc: Sequence[Any]) -> list[str]:
    """Returns the keys that a table may have. loc: path of the table below `kind`; mappings and optional tables are followed to
    their values.
    """
    for key in loc:
        below = get_type_hints(kind).get(key) if dataclasses.is_dataclass(kind) else None
        kind = kind if below is None else below
        kind = next((part for part in reversed(get_args(kind)) if part is not type(None)), kind)
    return [field.name for field in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else []


def _text(path: Path) -> str:
    """Returns the text of a file, without the byte order mark that editors on Windows write."""
    return path.read_text(encoding="utf-8-sig")


def _dotted(loc: Sequence[Any]) -> str:
    return ".".join(str(key) for key in loc if key != "[key]")


def _parts(dotted: str) -> list[str]:
    return [part.strip(" \t\"'") for part in dotted.split(".")]
