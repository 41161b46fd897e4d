"""The pages in docs/ agree with the code that they list: flags, HTTP parameters, report fields, settings, quoted messages, links."""

from __future__ import annotations

import argparse
import ast
import dataclasses
import inspect
import json
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from inpaint.cli.entry import build_parser
from inpaint.config.load import load_config, variable_of
from inpaint.config.settings import SECTIONS, Settings
from inpaint.core.geometry import Bounds, Extent
from inpaint.core.region import Region
from inpaint.core.report import PromiseCheck, RunReport
from inpaint.core.request import SamplingParams
from inpaint.core.result import StoppedAt
from inpaint.core.spec import Limit
from inpaint.models.catalog import Models
from inpaint.startup.environment import GRADIO_HEEDED

ROOT = Path(__file__).resolve().parent.parent
STAGE = (ROOT / "inpaint" / "ui" / "stage", ROOT / "inpaint" / "ui" / "edit")
"""Where CONTRIBUTING names a file alone, after it has named the folder."""

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
LINK = re.compile(r"\[[^]]*\]\((?P<target>[^)\s]+)\)")


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def sections(text: str) -> dict[str, str]:
    """Returns the text below each heading, up to the next heading of any level. Code blocks are left out."""
    bare = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    parts = re.split(r"^#+ (.+)$", bare, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(text: str) -> list[list[str]]:
    """Returns the cells of all tables, row by row, without the heads and the lines below them."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [row for k, row in enumerate(cells) if not _is_rule(row) and not (k + 1 < len(cells) and _is_rule(cells[k + 1]))]


def _is_rule(row: list[str]) -> bool:
    return all(re.fullmatch(r":?-+:?", cell) for cell in row)


def codes(cell: str) -> list[str]:
    """Returns what stands between backticks."""
    return re.findall(r"`([^`]+)`", cell)


@cache
def commands() -> dict[str, argparse.ArgumentParser]:
    (subparsers,) = [action for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(subparsers.choices)


def flags(parser: argparse.ArgumentParser) -> set[str]:
    return {flag for action in parser._actions for flag in action.option_strings if flag.startswith("--")} - {"--help"}


def flags_by_heading() -> dict[str, set[str]]:
    return {
        heading: {flag for row in rows(text) for flag in FLAG.findall(row[0])} for heading, text in sections(page("docs/cli.md")).items()
    }


@pytest.mark.parametrize(
    ("command", "shared"),
    [
        ("edit", ["Sampling", "From a picture", "Common flags"]),
        ("generate", ["Sampling", "Common flags"]),
        ("reimagine", ["Sampling", "From a picture", "Common flags"]),
        ("models", ["Common flags"]),
        ("serve", ["Common flags"]),
    ],
)
def test_the_command_line_page_lists_the_flags_of_each_command(command: str, shared: list[str]) -> None:
    listed = flags_by_heading()
    named = listed[command].union(*(listed[heading] for heading in shared))
    named |= {"--output"} if command == "reimagine" else set()  # documented in a sentence there, not in a table
    assert named - ({"--json"} if command == "serve" else set()) == flags(commands()[command])


def test_the_command_line_page_knows_every_command_and_no_other_flag() -> None:
    text = page("docs/cli.md")
    assert {codes(row[0])[0] for row in rows(sections(text)["Command line"])} == set(commands())
    assert set(FLAG.findall(text)) <= {"--help", "--version"}.union(*map(flags, commands().values()))


def test_the_ranges_on_the_command_line_page_are_those_of_the_models() -> None:
    heads = ("num_inference_steps", "guidance_scale", "strength", "prior_num_inference_steps", "prior_guidance_scale", "width", "height")
    documented = {codes(name)[0]: dict(zip(heads, cells, strict=True)) for name, *cells in rows(sections(page("docs/cli.md"))["Ranges"])}

    def shown(limit: Limit | None) -> str:
        return f"{limit.default:g} ({limit.minimum:g}-{limit.maximum:g})" if limit else "-"

    models = load_config(environment={}).models
    limits = {
        name: {**spec.limits, **{key: limit for own in spec.task_limits.values() for key, limit in own.items()}}
        for name, spec in models.items()
    }
    assert documented == {name: {head: shown(own.get(head)) for head in heads} for name, own in limits.items()}


@pytest.mark.parametrize("name", ["edit", "generate", "reimagine", "models"])
def test_the_api_page_lists_every_value_of_a_call_in_its_order(name: str) -> None:
    from inpaint.ui.server.api import Endpoints

    call = inspect.signature(getattr(Endpoints, name))
    values = {key: value.default is inspect.Parameter.empty for key, value in call.parameters.items() if key not in ("self", "request")}
    documented = {codes(row[0])[0]: "required" in row[1] for row in rows(sections(page("docs/api.md"))[f"/{name}"])}
    assert name == "models" or list(documented.items()) == list(values.items())
    assert name != "models" or not values


def test_the_api_page_lists_the_fields_of_a_report() -> None:
    check = PromiseCheck(0, 6, Region(Bounds(0, 0, 8, 8), Extent(8, 8)))
    report = RunReport(("out.png",), "erase", SamplingParams(), (1,), stopped_at=StoppedAt(1, 2, 3), check=check, downloads=("kept/1",))
    documented = [codes(row[0])[0] for row in rows(sections(page("docs/api.md"))["The report"])]
    assert sorted(documented) == sorted(report.to_json())


def test_the_api_page_lists_what_is_told_of_a_model() -> None:
    documented = [field for row in rows(sections(page("docs/api.md"))["/models"]) for field in codes(row[0])]
    assert sorted(documented) == sorted(Models(load_config(environment={})).describe()[0])


def settings() -> Iterator[tuple[str, str, str, object]]:
    """Yields key, variable, flag and default of every setting."""
    known = {action.dest: flag for parser in commands().values() for action in parser._actions for flag in action.option_strings}
    sectioned = {section: [(f"{section}.{field.name}", field) for field in dataclasses.fields(kind)] for section, kind in SECTIONS.items()}
    plain = [(field.name, field) for field in dataclasses.fields(Settings) if field.name not in SECTIONS]
    for key, field in [*plain, *(each for fields in sectioned.values() for each in fields)]:
        yield key, variable_of(key), known.get(key, "-"), field.default


def test_the_settings_page_lists_every_setting_with_its_names_and_default() -> None:
    text = sections(page("docs/settings.md"))
    listed = [row for heading in ("Server", "Device and folders", "Limits") for row in rows(text[heading])]
    documented = {
        codes(key)[0]: (codes(variable)[0], codes(flag)[0] if codes(flag) else "-", default) for key, variable, flag, default, _ in listed
    }

    def shown(key: str, default: Any) -> str:
        if default in (None, ()):  # what happens then is documented in words
            return documented.get(key, ("", "", ""))[2]
        return (
            {True: "on", False: "off"}[default]
            if isinstance(default, bool)
            else f"{default:g}"
            if isinstance(default, float)
            else str(default)
        )

    assert documented == {key: (variable, flag, shown(key, default)) for key, variable, flag, default in settings()}
    assert all(default and default != "None" for _, _, default in documented.values())
    assert {name for row in rows(text["Other variables"]) for name in codes(row[0])} >= GRADIO_HEEDED


def messages() -> Iterator[str]:
    """Yields every text of the code that could be a message. NUL stands where a value is put in."""
    for path in (ROOT / "inpaint").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                yield "".join(_literal(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield _literal(node.value)
    for path in (ROOT / "inpaint").rglob("*.toml"):
        yield from (_literal(text) for text in _texts(tomllib.loads(path.read_text(encoding="utf-8"))))
    for path in (ROOT / "scripts").glob("*.sh"):
        yield from map(_literal, re.findall(r'"([^"]{20,})"', path.read_text(encoding="utf-8")))


def _literal(text: object) -> str:
    return re.sub(r"\{[^{}]*\}", "\0", str(text))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for below in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(below)


@cache
def known_messages() -> list[re.Pattern[str]]:
    """Returns whole messages and their single sentences as patterns, without those that hold hardly more than values."""
    sentences = {part for text in messages() for part in (text, *re.split(r"(?<=[.?!]) ", text))}
    return [re.compile(".+?".join(map(re.escape, part.split("\0")))) for part in sentences if len(part.replace("\0", "")) >= 9]


def quoted() -> list[str]:
    """Returns the messages that docs/troubleshooting.md quotes: the code in the first column, and the sentence in the last section."""
    return [code for row in rows(page("docs/troubleshooting.md")) for code in codes(row[0])] + [
        code for code in codes(sections(page("docs/troubleshooting.md"))["Something else"]) if code.endswith(".")
    ]


@pytest.mark.parametrize("sentence", quoted())
def test_a_message_that_the_troubleshooting_page_quotes_is_one_of_the_code(sentence: str) -> None:
    found = [known for known in known_messages() if known.fullmatch(sentence)]
    assert any(len(re.sub(r"\\(.)", r"\1", known.pattern.replace(".+?", ""))) >= len(sentence) / 3 for known in found)


def test_a_message_that_is_not_in_the_code_is_found_out() -> None:
    assert not [known for known in known_messages() if known.fullmatch("The port 7860 is occupied by somebody else, alas.")]


def anchor(heading: str) -> str:
    """Returns the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file_and_to_a_heading_in_it(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in (match["target"] for match in LINK.finditer(text)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, place = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        assert file.exists(), f"{path.name} links to {target}"
        assert not place or place in map(anchor, sections(file.read_text(encoding="utf-8"))), f"{path.name} links to {target}"


def test_every_page_in_docs_is_linked_from_the_readme_or_contributing() -> None:
    linked = {match["target"].partition("#")[0] for name in ("README.md", "CONTRIBUTING.md") for match in LINK.finditer(page(name))}
    assert {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} <= linked


@pytest.mark.parametrize("name", [str(path.relative_to(ROOT)) for path in PAGES])
def test_python_and_json_examples_can_be_read(name: str) -> None:
    for kind, code in re.findall(r"```(python|json|toml)\n(.*?)```", page(name), flags=re.DOTALL):
        {"python": ast.parse, "json": json.loads, "toml": tomllib.loads}[kind](code)


def test_contributing_names_files_and_folders_that_are_there() -> None:
    named = {
        code
        for code in codes(re.sub(r"```.*?```", "", page("CONTRIBUTING.md"), flags=re.DOTALL))
        if re.fullmatch(r"[\w.-]+(/[\w.-]+)*/?", code) and ("/" in code or code.endswith((".py", ".js")))
    }
    data_folder = {"image-to-image", "running/SERVER/", "locks/NAME.json", "refs/REVISION"}
    lost = {name for name in named - data_folder if not any((root / name).exists() for root in (ROOT, ROOT / "inpaint", *STAGE))}
    assert not lost


def test_contributing_has_a_line_for_every_room() -> None:
    listed = {code for row in rows(sections(page("CONTRIBUTING.md"))["Source layout"]) for code in codes(row[0])}
    rooms = {f"{path.parent.relative_to(ROOT)}/" for path in (ROOT / "inpaint").rglob("__init__.py")} - {"inpaint/"}
    assert rooms <= listed
