"""The commands that make pictures: edit, generate and reimagine."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from inpaint.cli.settings import add_all_settings, build_service
from inpaint.console import print_message, print_output, quiet_libraries, watched

if TYPE_CHECKING:
    from inpaint.core.report import RunReport


def add_edit(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_edit)
    parser.add_argument("photo", metavar="PHOTO", help="the picture to change; the file stays as it is")
    parser.add_argument("--mask", required=True, metavar="MASK", help="mask file of the photo's size; white = repaint")
    parser.add_argument("--grow", type=_number, metavar="PX", help="widen the mask by so many pixels; negative shrinks it (default: 0)")
    parser.add_argument("--feather", type=_number, metavar="PX", help="width of the soft seam outside the mask, in pixels (default: 6)")
    parser.add_argument("--tone-match", choices=("on", "off"), help="not built yet: only off")
    parser.add_argument(
        "--work-area", metavar="AREA", help="part of the photo that the model sees: auto, full or L,T,W,H in pixels (default: auto)"
    )
    parser.add_argument("--invert-mask", action="store_true", help="repaint the black parts of the mask instead of the white ones")
    _add_conditioning(parser)
    _add_sampling(parser)


def add_reimagine(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_reimagine)
    parser.add_argument("photo", metavar="PHOTO", help="the picture to start from; the file stays as it is")
    _add_conditioning(parser)
    _add_sampling(parser)


def add_generate(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_generate)
    parser.add_argument("--width", type=_number, metavar="N", help="width of the picture in pixels (default: the model's)")
    parser.add_argument("--height", type=_number, metavar="N", help="height of the picture in pixels (default: the model's)")
    _add_sampling(parser)


def _add_conditioning(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that only models which start from a picture have."""
    parser.add_argument(
        "--strength", type=_number, metavar="X", help="how far to move away from the original, 0 to 1, for models that have this control"
    )
    parser.add_argument(
        "--scheduler", metavar="NAME", help="sampler: ddpm, ddim or dpm++, for models that have a choice (default: the checkpoint's own)"
    )
    parser.add_argument(
        "--prior-steps",
        type=_number,
        metavar="N",
        dest="prior_num_inference_steps",
        help="steps of Kandinsky's prior, which turns the prompt into an image embedding",
    )
    parser.add_argument("--prior-guidance-scale", type=_number, metavar="X", help="how closely the prior follows the prompt")


def _add_sampling(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output", required=True, metavar="OUT.png", help="where to write the result; an existing file is replaced atomically"
    )
    parser.add_argument(
        "--model", metavar="NAME", help="the model to use; 'inpaint models' lists them (default: chosen by prompt and device)"
    )
    parser.add_argument("--prompt", metavar="TEXT", help="what should be in the picture")
    parser.add_argument("--negative-prompt", metavar="TEXT", help="what should not be in it")
    parser.add_argument("--seed", type=_number, metavar="N", help="0 to 4294967295; the same seed gives the same picture (default: random)")
    parser.add_argument("--steps", type=_number, metavar="N", dest="num_inference_steps", help="denoising steps (default: the model's)")
    parser.add_argument("--guidance-scale", type=_number, metavar="X", help="how closely to follow the prompt (default: the model's)")
    parser.add_argument("--count", type=_number, metavar="N", help="number of candidates, written as OUT-1 ... OUT-N (default: 1)")
    add_all_settings(parser)


def _number(text: str) -> int | float:
    """Parses any number. Whether its value is allowed is checked later, where every request is checked."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    raise argparse.ArgumentTypeError(f"{ascii(text)[:40]} is not a number")


def _edit(options: argparse.Namespace) -> int:
    from inpaint.saving import NamedFiles
    from inpaint.storage.masks import read_mask
    from inpaint.storage.results import check_extent
    from inpaint.storage.uploads import Upload, read_picture

    photo, mask_file = Path(options.photo), Path(options.mask)
    paths = _outputs(options, inputs=(photo, mask_file))
    service = build_service(options)
    limits = service.config.settings.pictures
    with quiet_libraries():
        picture = read_picture(Upload.from_path(photo, limits), limits)
        mask = read_mask(Upload.from_path(mask_file, limits), picture.extent, limits)
    check_extent(paths[0], picture.extent)
    request = service.edit_request(picture, mask, _values(options))
    saved = watched(service.start_edit(request, person="command line", destination=NamedFiles(paths)))
    _print_report(saved.report, options.json)
    return 0


def _generate(options: argparse.Namespace) -> int:
    from inpaint.saving import NamedFiles

    paths = _outputs(options)
    service = build_service(options)
    request = service.generate_request(_values(options))
    saved = watched(service.start_generate(request, person="command line", destination=NamedFiles(paths)))
    _print_report(saved.report, options.json)
    return 0


def _reimagine(options: argparse.Namespace) -> int:
    from inpaint.saving import NamedFiles
    from inpaint.storage.uploads import Upload, read_picture

    photo = Path(options.photo)
    paths = _outputs(options, inputs=(photo,))
    service = build_service(options)
    limits = service.config.settings.pictures
    with quiet_libraries():
        picture = read_picture(Upload.from_path(photo, limits), limits)
    request = service.reimagine_request(picture, _values(options))
    saved = watched(service.start_reimagine(request, person="command line", destination=NamedFiles(paths)))
    _print_report(saved.report, options.json)
    return 0


def _values(options: argparse.Namespace) -> dict[str, object]:
    """Returns the flags that were given, by the names that the HTTP contract uses."""
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


def _print_report(report: RunReport, as_json: bool) -> None:
    if as_json:
        print_output(json.dumps(report.to_json(), indent=2))
        return
    for notice in report.notices:
        print_message(f"inpaint: {notice}")
    print_output("\n".join(report.outputs))
    if report.check is not None:
        print_message(f"{report.check.sentence} Seed {report.sampling.seed}.")
