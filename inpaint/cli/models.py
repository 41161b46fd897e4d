"""The command `models`, which lists, downloads and verifies models."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from inpaint.cli.settings import add_all_settings, build_service
from inpaint.console import PercentLines, byte_bar, print_message, print_output
from inpaint.errors import EditCancelled, InvalidRequest, ModelUnavailable

if TYPE_CHECKING:
    from inpaint.core.spec import ModelSpec, Task
    from inpaint.hub.verify import Verdict
    from inpaint.service import Service


def add_models(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_models)
    parser.add_argument("--download", metavar="NAME", help="download a model's weights, or replace damaged files")
    parser.add_argument("--task", choices=("inpaint", "image-to-image", "generate"), help="download only what this task needs")
    parser.add_argument(
        "--verify", metavar="NAME", nargs="?", const="", help="compare every file with its recorded sha256 (default: all downloaded models)"
    )
    add_all_settings(parser)


def _models(options: argparse.Namespace) -> int:
    if options.task and options.download is None:
        raise InvalidRequest("task", "--task narrows a download.", "Say which with --download NAME.")
    service = build_service(options)
    if options.download is not None:
        _download(_named(service, options.download), options.task)
    if options.verify is not None:
        specs = [_named(service, options.verify)] if options.verify else list(service.models.specs.values())
        return _verify(specs, options)
    described = service.models.describe()
    print_output(json.dumps({"models": described}, indent=2) if options.json else _model_table(list(service.models.specs.values())))
    return 0


def _named(service: Service, name: str) -> ModelSpec:
    if name not in service.models.specs:
        raise InvalidRequest("model", f"There is no model {ascii(name)[:40]}.", f"There are: {', '.join(service.models.specs)}.")
    return service.models.specs[name]


def _download(spec: ModelSpec, task: Task | None) -> None:
    """Downloads a model after printing what will be fetched. Ctrl-C keeps the files that are complete."""
    from inpaint.hub.download import download
    from inpaint.hub.order import order_download

    try:
        order = order_download(spec, _parts(spec, task) if task else None)
        print_message(f"inpaint: {order.sentence}")
        with byte_bar(PercentLines()) as report:
            fetched = download(order, report)
    except KeyboardInterrupt:
        raise EditCancelled("The download was stopped; files that are complete are kept.", f"Go on with: {spec.command}") from None
    if order.sources:
        print_message(f"inpaint: {spec.title} is complete, and every file is as it should be.{'' if fetched else ' Nothing was fetched.'}")


def _parts(spec: ModelSpec, task: Task) -> tuple[str, ...]:
    from inpaint.models.families import FAMILIES

    if not spec.can(task):
        raise InvalidRequest("task", f"{spec.title} cannot {task}.", f"It can: {', '.join(spec.tasks)}.")
    return FAMILIES[spec.family][task].parts


def _verify(specs: Sequence[ModelSpec], options: argparse.Namespace) -> int:
    """Verifies models and prints a line for each. Models that were never downloaded are left out, unless one was named.

    Raises ModelUnavailable if files are damaged or missing.
    """
    from inpaint.hub import verify, weights

    found = [spec for spec in specs if verify.is_known(spec)]
    if options.verify and specs[0].sources and not found:
        raise weights.missing(specs[0])
    with byte_bar(lambda _: None) as report:
        verdicts = [verify.verify(spec, report) for spec in found]
    print_output(
        json.dumps({"models": [_verdict_facts(verdict) for verdict in verdicts]}, indent=2)
        if options.json
        else "\n".join(_verdict_line(verdict) for verdict in verdicts) or "Nothing to verify: no model is downloaded."
    )
    damaged = [verdict for verdict in verdicts if verdict.damage]
    if damaged:
        raise ModelUnavailable(
            f"Damaged or missing files: {', '.join(verdict.model for verdict in damaged)}.", "; ".join(verdict.mend for verdict in damaged)
        )
    return 0


def _verdict_facts(verdict: Verdict) -> dict[str, object]:
    return {
        "name": verdict.model,
        "ok": not verdict.damage,
        "files": verdict.files,
        "damage": list(verdict.damage),
        "mend": verdict.mend,
        "notes": list(verdict.notes),
    }


def _verdict_line(verdict: Verdict) -> str:
    state = "; ".join(verdict.damage) or (f"ok: {verdict.files} files as they were locked" if verdict.files else "not locked")
    return f"{verdict.model:<20}{'; '.join([state, *verdict.notes])}"


def _model_table(specs: Sequence[ModelSpec]) -> str:
    rows = [(spec.name, _state(spec), ", ".join(spec.tasks), _size(spec), spec.licence) for spec in specs]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def _state(spec: ModelSpec) -> str:
    from inpaint.hub import verify, weights

    here = [task for task in spec.tasks if weights.are_on_disk(spec, _parts(spec, task))]
    if not here:
        return "its files are gone" if verify.are_gone(spec) else "not downloaded"
    return "here" if len(here) == len(spec.tasks) else f"here for {', '.join(here)}"


def _size(spec: ModelSpec) -> str:
    """Returns a model's size: bytes on the disk if it is downloaded, else an estimate from the parameter counts."""
    from inpaint.hub.order import size_text
    from inpaint.hub.verify import bytes_here
    from inpaint.models.availability import bytes_to_fetch

    if not spec.sources:
        return "nothing to download"
    if here := bytes_here(spec):
        return f"{size_text(here)} on the disk"
    if missing := bytes_to_fetch(spec, *spec.tasks):
        return f"about {size_text(missing)} to download"
    return f"{size_text(spec.weight_bytes('float16'))} in float16 (estimated)" if spec.parameter_count else "size not stated"
