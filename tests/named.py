"""Whether a test that a table names exists: a table that names a test which was renamed would claim what nothing shows."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parent


def exists(test: str) -> bool:
    """test: "FILE::NAME" or "FILE::CLASS::NAME", the file below tests/."""
    file, *names = test.split("::")
    return "::".join(names) in _tests_of(TESTS / file)


@cache
def _tests_of(file: Path) -> frozenset[str]:
    if not file.is_file():
        return frozenset()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    methods = {
        f"{node.name}::{inner.name}"
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        for inner in node.body
        if isinstance(inner, ast.FunctionDef)
    }
    return frozenset(methods | {node.name for node in tree.body if isinstance(node, ast.FunctionDef)})
