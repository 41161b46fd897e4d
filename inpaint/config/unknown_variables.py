"""Finds environment variables that are named like settings but are not: a misspelt one has no effect, and nobody would notice."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping

from inpaint.config.settings import SECTIONS, Settings, variable_of

PREFIX = "INPAINT_"
OTHERS = frozenset({"INPAINT_CONFIG", "INPAINT_CHROMIUM"})
"""Known variables that are not settings: the folder of settings, and the browser that the project's own tests use."""


def unknown_variables(environment: Mapping[str, str]) -> str:
    """Returns one line that names every unknown variable and the known one with the most similar name; "" if there is none."""
    known = _known()
    unknown = sorted(name for name in environment if name.startswith(PREFIX) and name not in known)
    named = ", ".join(f"{ascii(name)[1:-1]}{_closest(name, known)}" for name in unknown)
    return f"No setting has this name, so it has no effect: {named}." if unknown else ""


def _known() -> frozenset[str]:
    settings = (field.name for field in dataclasses.fields(Settings) if field.name not in SECTIONS)
    numbers = (f"{section}.{field.name}" for section, kind in SECTIONS.items() for field in dataclasses.fields(kind))
    return OTHERS | {variable_of(key) for key in (*settings, *numbers)}


def _closest(name: str, known: frozenset[str]) -> str:
    """Returns a phrase that suggests the known variable most similar to `name`, or "". Prefixes are ignored, since all names
    share them.
    """
    endings = sorted(other.removeprefix(PREFIX) for other in known if other.startswith(PREFIX))
    found = difflib.get_close_matches(name.removeprefix(PREFIX), endings, n=1)
    return f" (did you mean {PREFIX}{found[0]}?)" if found else ""
