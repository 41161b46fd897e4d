"""The arrows between the rooms, what must not be loaded, and the size of functions: read from the source with ast."""

from __future__ import annotations

import ast
import graphlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted([*(ROOT / "inpaint").rglob("*.py"), *ROOT.glob("app.py")])
TORCH = {"torch", "diffusers", "transformers", "accelerate", "safetensors"}

# Whom of our own each room may import; the longest name that fits a module counts. Everybody may use errors.
ALLOWED = {
    "inpaint": {"inpaint.startup.environment"},
    "inpaint.errors": set[str](),
    "inpaint.startup": set[str](),
    "inpaint.core": {"inpaint.core"},
    "inpaint.config": {"inpaint.config", "inpaint.core"},
    "inpaint.hub": {"inpaint.hub", "inpaint.config", "inpaint.core", "inpaint.atomic"},
    "inpaint.atomic": set[str](),
    "inpaint.engines": {"inpaint.engines", "inpaint.hub", "inpaint.core", "inpaint.atomic"},
    "inpaint.engines.device": {"inpaint.core"},
    "inpaint.engines.memory": {"inpaint.engines.memory", "inpaint.engines.device", "inpaint.core"},
    "inpaint.engines.memory.rule": set[str](),
    "inpaint.models": {"inpaint.models", "inpaint.engines", "inpaint.hub", "inpaint.config", "inpaint.core"},
    "inpaint.models.default_model": {"inpaint.core"},
    "inpaint.editing": {"inpaint.editing", "inpaint.core", "inpaint.engines.base"},
    "inpaint.jobs": {"inpaint.jobs", "inpaint.core", "inpaint.config"},
    "inpaint.jobs.work": {"inpaint.jobs", "inpaint.core", "inpaint.editing"},
    "inpaint.jobs.executors": {"inpaint.jobs", "inpaint.core", "inpaint.models"},
    "inpaint.storage": {"inpaint.storage", "inpaint.core", "inpaint.config", "inpaint.atomic"},
    "inpaint.saving": {"inpaint.core", "inpaint.storage"},
    "inpaint.metrics": {"inpaint.core", "inpaint.config", "inpaint.jobs", "inpaint.models", "inpaint.engines", "inpaint.saving"},
    "inpaint.console": {"inpaint.core", "inpaint.jobs", "inpaint.hub"},
}
SHELL = {"app", "inpaint.__main__", "inpaint.cli", "inpaint.health", "inpaint.serve", "inpaint.service", "inpaint.ui"}
"""They put the parts together and may import any room (the page only by inpaint.serve)."""

A_NEW_FILE = {"inpaint.core", "inpaint.config", "inpaint.jobs"}
"""What a module that is named nowhere here may import, until somebody thinks about its arrows."""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {module_name(path): ast.parse(path.read_text(encoding="utf-8"), str(path)) for path in SOURCES}


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported anywhere in the file, in functions too. `from a import b` gives a.b as well as a."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_in(name: str, room: str) -> bool:
    return name == room or name.startswith(f"{room}.")


def room_of(name: str) -> str:
    return next((room for room in sorted(ALLOWED, key=len, reverse=True) if is_in(name, room) and room != "inpaint"), name)


@pytest.mark.parametrize("name", TREES)
def test_the_arrows(name: str) -> None:
    ours = {imported for imported in imports(TREES[name]) if is_in(imported, "inpaint")} - {"inpaint", "inpaint.__version__"}
    if not any(is_in(name, room) for room in SHELL):
        allowed = ALLOWED.get(room_of(name), A_NEW_FILE)
        wrong = {i for i in ours if not any(is_in(i, room) for room in {*allowed, "inpaint.errors"})}
        assert not wrong, f"{name} may not import {wrong}"
    if not (name == "inpaint.serve" or is_in(name, "inpaint.ui")):
        assert not {i for i in ours if is_in(i, "inpaint.ui")}, f"{name} may not import the page"


def test_no_imports_go_in_a_circle() -> None:
    """Imports inside functions count too. A package's __init__ holds nothing, so importing it is no arrow."""
    packages = {name for name in TREES if any(is_in(other, name) and other != name for other in TREES)}
    arrows = {
        name: {i for i in imports(tree) if i in TREES and i != name} - packages for name, tree in TREES.items() if name not in packages
    }
    tuple(graphlib.TopologicalSorter(arrows).static_order())


@pytest.mark.parametrize("name", TREES)
def test_heavy_libraries_stay_in_their_rooms(name: str) -> None:
    tops = {imported.partition(".")[0] for imported in imports(TREES[name])}
    assert is_in(name, "inpaint.engines") or not tops & TORCH
    assert is_in(name, "inpaint.ui") or not {t for t in tops if t.startswith("gradio")}


@pytest.mark.parametrize("name", [name for name in TREES if is_in(name, "inpaint.core")])
def test_the_core_is_pure(name: str) -> None:
    tops = {imported.partition(".")[0] for imported in imports(TREES[name])}
    assert tops <= {"numpy", "cv2", "PIL", "regex", "inpaint"} | sys.stdlib_module_names
    assert not tops & {"os", "pathlib", "io", "time", "datetime", "random", "secrets", "threading", "tempfile", "subprocess", "socket"}


def test_the_engine_protocol_has_no_torch() -> None:
    light = {
        "inpaint.engines.base",
        "inpaint.engines.device",
        "inpaint.engines.runtime.lru",
        *(f"inpaint.engines.memory.{name}" for name in ("activations", "budget", "rule", "forecast")),
    }
    for name in light | {name for name in TREES if is_in(name, "inpaint.models") or is_in(name, "inpaint.hub")}:
        assert not {i.partition(".")[0] for i in imports(TREES[name])} & TORCH


@pytest.mark.parametrize(
    "command",
    [
        "import inpaint",
        "import inpaint.cli, inpaint.config.settings, inpaint.service, inpaint.storage.uploads, inpaint.storage.results",
        "import runpy; sys.argv = ['inpaint', '--help']; runpy.run_module('inpaint', run_name='__main__')",
        "import runpy; sys.argv = ['inpaint', 'models', '--json']; runpy.run_module('inpaint', run_name='__main__')",
        "import runpy; sys.argv = ['inpaint', 'serve', '--help']; runpy.run_module('inpaint', run_name='__main__')",
        "import runpy; sys.argv = ['app.py', '--help']; runpy.run_path('app.py', run_name='__main__')",
        "import runpy; sys.argv = ['app.py', '--device', 'toaster']; runpy.run_path('app.py', run_name='__main__')",
    ],
    ids=["import inpaint", "import the service", "--help", "models", "serve --help", "app.py --help", "app.py with a wrong flag"],
)
def test_what_needs_no_model_loads_neither_torch_nor_gradio(command: str) -> None:
    program = "import atexit, json, sys\natexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))\n" + command
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == (2 if "toaster" in command else 0), done.stderr
    loaded = set(json.loads(done.stderr.splitlines()[-1]))
    assert "inpaint" in loaded
    assert not loaded & {*TORCH, "gradio", "gradio_client"}


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield name, node


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the signature and the body, without the docstring."""
    first = function.body[0]
    is_documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    docstring = (first.end_lineno or 0) - first.lineno + 1 if is_documented else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


MOST_LINES, MOST_FILES = 300, 12


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


@pytest.mark.parametrize("folder", sorted({path.parent for path in SOURCES}), ids=lambda path: str(path.relative_to(ROOT)))
def test_rooms_are_small(folder: Path) -> None:
    assert len(list(folder.glob("*.py"))) <= MOST_FILES


def is_layout(name: str) -> bool:
    return name == "app" or is_in(name, "inpaint.ui")


def test_functions_are_short() -> None:
    sizes = sorted(length(function) for _, function in functions())
    assert statistics.median(sizes) <= 8
    assert sizes[int(0.9 * len(sizes))] <= 25
    too_long = {
        f"{name}.{function.name}": length(function) for name, function in functions() if length(function) > (60 if is_layout(name) else 50)
    }
    assert not too_long


@pytest.mark.parametrize("name", TREES)
def test_every_argument_and_result_is_annotated(name: str) -> None:
    for owner, function in functions():
        if owner != name:
            continue
        arguments = function.args
        named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        bare = [a.arg for a in named if a is not None and a.annotation is None and a.arg not in ("self", "cls", "mcs")]
        assert not bare, f"{name}.{function.name}: {bare}"
        assert function.returns is not None, f"{name}.{function.name} says not what it returns"


@pytest.mark.parametrize("name", TREES)
def test_no_bare_except_no_global_no_wildcard(name: str) -> None:
    for node in ast.walk(TREES[name]):
        assert not isinstance(node, ast.Global)
        assert not (isinstance(node, ast.ExceptHandler) and node.type is None)
        assert not (isinstance(node, ast.ImportFrom) and node.names[0].name == "*")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_is_for_and_no_drawer_is_called_utils(path: Path) -> None:
    docstring = ast.get_docstring(TREES[module_name(path)])
    assert docstring and len(docstring.splitlines()[0]) > 10
    assert not {"utils", "util", "helpers", "misc", "common"} & {path.stem, *path.relative_to(ROOT).parts}
    text = path.read_text(encoding="utf-8")
    assert "# noqa" not in text and "TODO" not in text and "FIXME" not in text
