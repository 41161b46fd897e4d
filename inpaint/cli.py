"""The command line: python -m inpaint serve | edit | generate | reimagine | models | recipe. A stable contract that other programs call.

Exits 0 done, 1 the machine can't, 2 the request is wrong, 130 cancelled. Knows no page; loads torch only to run a model.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from inpaint import __version__, serve
from inpaint.console import PercentLines, byte_bar, claim_streams, quiet_libraries, say, tell, watched
from inpaint.errors import EditCancelled, InpaintError, InvalidRequest, ModelUnavailable, OutOfMemory
from inpaint.startup.environment import drop_foreign_variables, restart_with_docstrings
from inpaint.startup.flags import Parser, add_settings

if TYPE_CHECKING:
    from inpaint.core.spec import ModelSpec, Task
    from inpaint.hub.verify import Verdict
    from inpaint.service import Service


def program() -> NoReturn:
    """What the shell starts: runs the command that is given and exits with its code."""
    if sys.argv[1:2] == ["serve"]:
        serve.obey_signals()
    restart_with_docstrings()
    claim_streams()
    drop_foreign_variables(os.environ)
    sys.exit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code."""
    try:
        options = build_parser().parse_args(arguments)
        return options.run(options)
    except InpaintError as error:
        return _failed(error)
    except KeyboardInterrupt:
        return _failed(EditCancelled())
    except MemoryError:
        return _failed(OutOfMemory("The computer's memory is too small for this.", "Close other programs."))


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="inpaint", description="Repaint part of a picture, and only that part.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"inpaint {__version__}")
    commands = parser.add_subparsers(required=True, metavar="serve | edit | generate | reimagine | models | recipe", parser_class=Parser)
    _add_serve(commands.add_parser("serve", help="start the web app", allow_abbrev=False))
    _add_edit(commands.add_parser("edit", help="repaint the masked part of a photo", allow_abbrev=False))
    _add_generate(commands.add_parser("generate", help="make a first picture from text", allow_abbrev=False))
    _add_reimagine(commands.add_parser("reimagine", help="make a picture anew from a picture and words", allow_abbrev=False))
    _add_models(commands.add_parser("models", help="list, download and verify models", allow_abbrev=False))
    _add_recipe(commands.add_parser("recipe", help="the recipe that a result carries", allow_abbrev=False))
    return parser


def _add_serve(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_serve)
    serve.add_flags(parser)


def _add_edit(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_edit)
    parser.add_argument("photo", metavar="PHOTO", help="the picture to change; it is never written to")
    parser.add_argument("--mask", required=True, metavar="MASK", help="white = repaint, the photo's size")
    parser.add_argument("--grow", type=_number, metavar="PX", help="widen the mask; negative shrinks (0)")
    parser.add_argument("--feather", type=_number, metavar="PX", help="width of the soft seam outside the mask (6)")
    parser.add_argument("--tone-match", choices=("on", "off"), help="not built yet: only off")
    parser.add_argument("--work-area", metavar="AREA", help="auto, full or L,T,W,H: what the model sees (auto)")
    parser.add_argument("--invert-mask", action="store_true", help="black = repaint")
    _add_conditioning(parser)
    _add_sampling(parser)


def _add_reimagine(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_reimagine)
    parser.add_argument("photo", metavar="PHOTO", help="the picture to start from; it is never written to")
    _add_conditioning(parser)
    _add_sampling(parser)


def _add_conditioning(parser: argparse.ArgumentParser) -> None:
    """What only models that start from a picture have."""
    parser.add_argument("--strength", type=_number, metavar="X", help="for models that have it")
    parser.add_argument("--scheduler", metavar="NAME", help="the checkpoint's own unless given")
    parser.add_argument("--prior-steps", type=_number, metavar="N", dest="prior_num_inference_steps")
    parser.add_argument("--prior-guidance-scale", type=_number, metavar="X")


def _add_generate(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_generate)
    parser.add_argument("--width", type=_number, metavar="N", help="pixels")
    parser.add_argument("--height", type=_number, metavar="N", help="pixels")
    _add_sampling(parser)


def _add_sampling(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", required=True, metavar="OUT.png", help="replaced atomically if it exists")
    parser.add_argument("--model", metavar="NAME", help="see: inpaint models")
    parser.add_argument("--prompt", metavar="TEXT", help="what should be there")
    parser.add_argument("--negative-prompt", metavar="TEXT", help="what should not")
    parser.add_argument("--seed", type=_number, metavar="N", help="0 to 4294967295; drawn unless given")
    parser.add_argument("--steps", type=_number, metavar="N", dest="num_inference_steps")
    parser.add_argument("--guidance-scale", type=_number, metavar="X", help="how closely to follow the words")
    parser.add_argument("--count", type=_number, metavar="N", help="candidates, written as OUT-1 ... OUT-N (1)")
    _add_settings(parser)


def _add_models(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_models)
    parser.add_argument("--download", metavar="NAME", help="fetch a model's weights, or mend them")
    parser.add_argument("--task", choices=("inpaint", "image-to-image", "generate"), help="download only what this task needs")
    parser.add_argument("--verify", metavar="NAME", nargs="?", const="", help="compare every file with its locked sha256 (all models)")
    _add_settings(parser)


def _add_recipe(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_recipe)
    parser.add_argument("result", metavar="OUT.png")
    parser.add_argument("--json", action="store_true")


def _add_settings(parser: argparse.ArgumentParser) -> None:
    add_settings(parser)
    parser.add_argument("--json", action="store_true", help="print one object")


def _number(text: str) -> int | float:
    """Any number; whether it fits is decided where every request is checked."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    raise argparse.ArgumentTypeError(f"{ascii(text)[:40]} is not a number")


def _serve(options: argparse.Namespace) -> int:
    serve.run(serve.build(serve.settings_from(options)))


def _edit(options: argparse.Namespace) -> int:
    from inpaint.service import save_edit
    from inpaint.storage.results import check_extent
    from inpaint.storage.uploads import Upload, read_mask, read_picture

    photo, mask_file = Path(options.photo), Path(options.mask)
    paths = _outputs(options, inputs=(photo, mask_file))
    service = _service(options)
    limits = service.config.settings.pictures
    with quiet_libraries():
        picture = read_picture(Upload.from_path(photo, limits), limits)
        mask = read_mask(Upload.from_path(mask_file, limits), picture.extent, limits)
    check_extent(paths[0], picture.extent)
    request = service.edit_request(picture, mask, _values(options))
    result = watched(service.start_edit(request, person="command line"))
    _print_report(save_edit(request, result, paths), options.json)
    return 0


def _generate(options: argparse.Namespace) -> int:
    from inpaint.service import save_generated

    paths = _outputs(options)
    service = _service(options)
    result = watched(service.start_generate(service.generate_request(_values(options)), person="command line"))
    _print_report(save_generated(result, paths), options.json)
    return 0


def _reimagine(options: argparse.Namespace) -> int:
    from inpaint.service import save_generated
    from inpaint.storage.uploads import Upload, read_picture

    photo = Path(options.photo)
    paths = _outputs(options, inputs=(photo,))
    service = _service(options)
    limits = service.config.settings.pictures
    with quiet_libraries():
        picture = read_picture(Upload.from_path(photo, limits), limits)
    request = service.reimagine_request(picture, _values(options))
    _print_report(save_generated(watched(service.start_reimagine(request, person="command line")), paths), options.json)
    return 0


def _models(options: argparse.Namespace) -> int:
    if options.task and options.download is None:
        raise InvalidRequest("task", "--task narrows a download.", "Say which with --download NAME.")
    service = _service(options)
    if options.download is not None:
        _download(_named(service, options.download), options.task)
    if options.verify is not None:
        specs = [_named(service, options.verify)] if options.verify else list(service.models.specs.values())
        return _verify(specs, options)
    described = service.models.describe()
    say(json.dumps({"models": described}, indent=2) if options.json else _model_table(list(service.models.specs.values())))
    return 0


def _named(service: Service, name: str) -> ModelSpec:
    if name not in service.models.specs:
        raise InvalidRequest("model", f"There is no model {ascii(name)[:40]}.", f"There are: {', '.join(service.models.specs)}.")
    return service.models.specs[name]


def _download(spec: ModelSpec, task: Task | None) -> None:
    """Says what it will fetch before it does. Ctrl-C keeps the files that are complete."""
    from inpaint.hub.download import download
    from inpaint.hub.order import order_download

    try:
        order = order_download(spec, _parts(spec, task) if task else None)
        tell(f"inpaint: {order.sentence}")
        with byte_bar(PercentLines()) as report:
            fetched = download(order, report)
    except KeyboardInterrupt:
        raise EditCancelled("The download was stopped; files that are complete are kept.",
                            f"Go on with: {spec.command}") from None
    if order.sources:
        tell(f"inpaint: {spec.title} is complete, and every file is as it should be."
              f"{'' if fetched else ' Nothing was fetched.'}")


def _parts(spec: ModelSpec, task: Task) -> tuple[str, ...]:
    from inpaint.models.families import FAMILIES

    if not spec.can(task):
        raise InvalidRequest("task", f"{spec.title} cannot {task}.", f"It can: {', '.join(spec.tasks)}.")
    return FAMILIES[spec.family][task].parts


def _verify(specs: Sequence[ModelSpec], options: argparse.Namespace) -> int:
    """Models that never were here are left out, unless one was named. Raises ModelUnavailable where something is damaged or gone."""
    from inpaint.hub import verify, weights

    found = [spec for spec in specs if verify.is_known(spec)]
    if options.verify and specs[0].sources and not found:
        raise weights.missing(specs[0])
    with byte_bar(lambda _: None) as report:
        verdicts = [verify.verify(spec, report) for spec in found]
    say(json.dumps({"models": [_verdict_facts(verdict) for verdict in verdicts]}, indent=2) if options.json
         else "\n".join(_verdict_line(verdict) for verdict in verdicts) or "Nothing to verify: no model is downloaded.")
    damaged = [verdict for verdict in verdicts if verdict.damage]
    if damaged:
        raise ModelUnavailable(f"Damaged or missing files: {', '.join(verdict.model for verdict in damaged)}.",
                               "; ".join(verdict.mend for verdict in damaged))
    return 0


def _verdict_facts(verdict: Verdict) -> dict[str, object]:
    return {"name": verdict.model, "ok": not verdict.damage, "files": verdict.files, "damage": list(verdict.damage),
            "mend": verdict.mend, "notes": list(verdict.notes)}


def _verdict_line(verdict: Verdict) -> str:
    state = "; ".join(verdict.damage) or (f"ok: {verdict.files} files as they were locked" if verdict.files else "not locked")
    return f"{verdict.model:<20}{'; '.join([state, *verdict.notes])}"


def _recipe(options: argparse.Namespace) -> int:
    raise InvalidRequest("recipe", "Reading a result's recipe is not built yet.")


def _service(options: argparse.Namespace) -> Service:
    from inpaint.config.load import load_config
    from inpaint.logs import log_errors_to
    from inpaint.service import Service

    flags = {"device": options.device, "dtype": options.dtype, "data_dir": options.data_dir, "cache_dir": options.cache_dir}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GRADIO_")}  # of a server
    config = load_config(options.config, flags, environment)
    log_errors_to(config.data_dir / "log" / "command-line.log")
    return Service.build(config)


def _values(options: argparse.Namespace) -> dict[str, object]:
    """Flags by the names that HTTP uses."""
    return {name: value for name, value in vars(options).items() if value is not None}


def _outputs(options: argparse.Namespace, inputs: Sequence[Path] = ()) -> list[Path]:
    from inpaint.core.request import MAX_CANDIDATES, whole_number
    from inpaint.storage.results import check_ending, check_output

    output = Path(options.output)
    check_ending(output)
    count = 1 if options.count is None else whole_number("count", options.count, 1, MAX_CANDIDATES)
    paths = [output] if count == 1 else [output.with_stem(f"{output.stem}-{k + 1}") for k in range(count)]
    for path in paths:
        check_output(path, inputs)
    return paths


def _print_report(report: dict[str, object], as_json: bool) -> None:
    from inpaint.service import band_line

    if as_json:
        say(json.dumps(report, indent=2))
        return
    for notice in _texts(report["notices"]):
        tell(f"inpaint: {notice}")
    say("\n".join(_texts(report["outputs"])))
    if "changed_outside" in report:
        tell(f"{band_line(report)}. Seed {report['seed']}.")


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


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
    """Bytes on the disk where they are locked; before that what follows from the parameter counts."""
    from inpaint.hub.order import size_text
    from inpaint.hub.verify import bytes_here
    from inpaint.models.availability import bytes_to_fetch

    if not spec.sources:
        return "nothing to download"
    if here := bytes_here(spec):
        return f"{size_text(here)} on the disk"
    if missing := bytes_to_fetch(spec, *spec.tasks):
        return f"about {size_text(missing)} to download"
    return f"{size_text(spec.weight_bytes('float16'))} in float16 (computed)" if spec.parameter_count else "size not stated"


def _failed(error: InpaintError) -> int:
    """Tells one line: what is wrong, and where the log lies if it has more to say."""
    from inpaint.logs import written_log

    log = written_log()
    tell(f"inpaint: {error}" + (f" Log: {log}" if log else ""))
    return error.exit_code
