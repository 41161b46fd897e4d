"""The command line: python -m inpaint edit | generate | models | recipe. A stable contract that other programs call.

Exits 0 done, 1 the machine can't, 2 the request is wrong, 130 cancelled. Knows no page; loads torch only to run a model.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from inpaint import __version__
from inpaint.errors import EditCancelled, InpaintError, InvalidRequest, OutOfMemory, StorageFull

if TYPE_CHECKING:
    from inpaint.core.result import EditResult
    from inpaint.jobs import Job
    from inpaint.service import Service

PATIENCE_SECONDS = 10
"""How long a cancelled job may take to stop before the process leaves anyway; nothing is half-written either way."""


class Parser(argparse.ArgumentParser):
    """One line instead of argparse's usage dump."""

    def error(self, message: str) -> NoReturn:
        raise InvalidRequest("arguments", f"{message[:1].upper()}{message[1:]}.", f"See {self.prog} --help.")


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
    commands = parser.add_subparsers(required=True, metavar="edit | generate | reimagine | models | recipe", parser_class=Parser)
    _add_edit(commands.add_parser("edit", help="repaint the masked part of a photo", allow_abbrev=False))
    _add_generate(commands.add_parser("generate", help="make a first picture from text", allow_abbrev=False))
    _add_reimagine(commands.add_parser("reimagine", help="make a picture anew from a picture and words", allow_abbrev=False))
    _add_models(commands.add_parser("models", help="list, download and verify models", allow_abbrev=False))
    _add_recipe(commands.add_parser("recipe", help="the recipe that a result carries", allow_abbrev=False))
    return parser


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
    parser.add_argument("--download", metavar="NAME", help="fetch a model's weights")
    parser.add_argument("--verify", metavar="NAME", nargs="?", const="", help="not built yet")
    _add_settings(parser)


def _add_recipe(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_recipe)
    parser.add_argument("result", metavar="OUT.png")
    parser.add_argument("--json", action="store_true")


def _add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", metavar="D", help="auto, cuda, mps or cpu")
    parser.add_argument("--dtype", metavar="T", help="auto, float16, bfloat16 or float32")
    parser.add_argument("--config", type=Path, metavar="DIR", help="settings of your own: app.toml, models/*.toml")
    parser.add_argument("--data-dir", metavar="DIR")
    parser.add_argument("--json", action="store_true", help="print one object")


def _number(text: str) -> int | float:
    """Any number; whether it fits is decided where every request is checked."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    raise argparse.ArgumentTypeError(f"{ascii(text)[:40]} is not a number")


def _edit(options: argparse.Namespace) -> int:
    from inpaint.service import save_edit
    from inpaint.storage.results import check_extent
    from inpaint.storage.uploads import Upload, read_mask, read_picture

    photo, mask_file = Path(options.photo), Path(options.mask)
    paths = _outputs(options, inputs=(photo, mask_file))
    service = _service(options)
    limits = service.config.settings.pictures
    with _quiet_libraries():
        picture = read_picture(Upload.from_path(photo, limits), limits)
        mask = read_mask(Upload.from_path(mask_file, limits), picture.extent, limits)
    check_extent(paths[0], picture.extent)
    request = service.edit_request(picture, mask, _values(options))
    result = _watched(service.start_edit(request, person="command line"))
    _print_report(save_edit(request, result, paths), options.json)
    return 0


def _generate(options: argparse.Namespace) -> int:
    from inpaint.service import save_generated

    paths = _outputs(options)
    service = _service(options)
    result = _watched(service.start_generate(service.generate_request(_values(options)), person="command line"))
    _print_report(save_generated(result, paths), options.json)
    return 0


def _reimagine(options: argparse.Namespace) -> int:
    from inpaint.service import save_generated
    from inpaint.storage.uploads import Upload, read_picture

    photo = Path(options.photo)
    paths = _outputs(options, inputs=(photo,))
    service = _service(options)
    limits = service.config.settings.pictures
    with _quiet_libraries():
        picture = read_picture(Upload.from_path(photo, limits), limits)
    request = service.reimagine_request(picture, _values(options))
    _print_report(save_generated(_watched(service.start_reimagine(request, person="command line")), paths), options.json)
    return 0


def _models(options: argparse.Namespace) -> int:
    from inpaint.engines import weights

    if options.verify is not None:
        raise InvalidRequest("verify", "Verifying weights is not built yet.")
    service = _service(options)
    if options.download is not None:
        spec = service.models.specs.get(options.download)
        if spec is None:
            raise InvalidRequest("model", f"There is no model {ascii(options.download)[:40]}.",
                                 f"There are: {', '.join(service.models.specs)}.")
        weights.download(spec, _tell)
    described = service.models.describe()
    _say(json.dumps({"models": described}, indent=2) if options.json else _model_table(described))
    return 0


def _recipe(options: argparse.Namespace) -> int:
    raise InvalidRequest("recipe", "Reading a result's recipe is not built yet.")


def _service(options: argparse.Namespace) -> Service:
    from inpaint.config import load_config
    from inpaint.service import Service

    flags = {"device": options.device, "dtype": options.dtype, "data_dir": options.data_dir}
    return Service.build(load_config(options.config, flags))


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


def _watched(job: Job[EditResult]) -> EditResult:
    """Wait with a progress bar on a terminal; Ctrl-C cancels the job and waits for it to stop."""
    from tqdm import tqdm

    with tqdm(disable=None if sys.stderr else True, leave=False, bar_format="{desc} {bar} {n_fmt}/{total_fmt} {elapsed}") as bar:
        try:
            while not job.wait(0.1):
                _draw(bar, job)
        except KeyboardInterrupt:
            job.cancel()
            job.wait(PATIENCE_SECONDS)
            raise
    return job.outcome()


def _draw(bar: Any, job: Job[EditResult]) -> None:
    if job.progress is None:
        return
    bar.set_description_str(job.progress.stage, refresh=False)
    bar.total, bar.n = job.progress.total or 1, job.progress.step
    bar.refresh()


def _print_report(report: dict[str, object], as_json: bool) -> None:
    from inpaint.service import band_line

    if as_json:
        _say(json.dumps(report, indent=2))
        return
    for notice in _texts(report["notices"]):
        _tell(f"inpaint: {notice}")
    _say("\n".join(_texts(report["outputs"])))
    if "changed_outside" in report:
        _tell(f"{band_line(report)}. Seed {report['seed']}.")


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _model_table(described: list[dict[str, object]]) -> str:
    def row(model: dict[str, object]) -> str:
        parameters = int(str(model["parameters"]))
        size = f"{parameters * 2 / 1e9:.1f} GB in float16 (computed)" if parameters else \
            "size not stated" if model["sources"] else "nothing to download"
        state = "here" if model["on_disk"] else "not downloaded"
        return f"{model['name']:<16}{state:<16}{', '.join(_texts(model['tasks'])):<12}{size:<32}{model['licence']}"

    return "\n".join(row(model) for model in described)


def _say(text: str) -> None:
    """One line of output. The reader may have gone away, the disk behind a redirection may be full."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        _drop_output()
    except OSError as error:
        _drop_output()
        raise StorageFull(f"The report could not be written: {error.strerror}.") from None


def _tell(line: str) -> None:
    """One line beside the output. With stderr closed, print would put it into the output."""
    if sys.stderr is not None:
        print(line, file=sys.stderr)


def _drop_output() -> None:
    """Else Python complains once more when it flushes at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def _quiet_libraries() -> Generator[None]:
    """libtiff writes its own lines to the process's stderr, where the contract has exactly one line, ours."""
    if sys.stderr is None:
        yield
        return
    sys.stderr.flush()
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def _failed(error: InpaintError) -> int:
    _tell(f"inpaint: {error}")
    return error.exit_code

