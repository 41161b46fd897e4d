"""Writes the trained parts as the two folders that the stock pipelines load.

Must not know how they were trained. `python -m training.export [FOLDER] [--lock-only]`."""

import argparse
from pathlib import Path

import torch
from diffusers import KandinskyV22InpaintPipeline, KandinskyV22PriorPipeline, PriorTransformer, VQModel

from inpaint.hub.lockfile import lock_of_folder, replace_locks
from training import clip, loop, prior, unet

_SHARD = "9MB"  # a Space takes files up to 10 MB without large-file storage


def decoder_pipe() -> KandinskyV22InpaintPipeline:
    movq = VQModel.from_pretrained(loop.RUNS / "movq")
    return KandinskyV22InpaintPipeline(loop.averaged("unet", unet.build()), unet.scheduler(), movq)


def prior_pipe() -> KandinskyV22PriorPipeline:
    words, text, image = clip.load(loop.RUNS / "clip")
    transformer = PriorTransformer.from_pretrained(loop.RUNS / "prior")
    return KandinskyV22PriorPipeline(
        prior=transformer,
        image_encoder=image,
        text_encoder=text,
        tokenizer=words,
        scheduler=prior.scheduler(),
        image_processor=clip.image_processor(),
    )


def _published_names(folder: Path) -> None:
    """Without torchvision the processor calls itself "...Pil": that name would tie the folder to this machine."""
    for file in (folder / "model_index.json", *folder.glob("image_processor/*.json")):
        file.write_text(file.read_text().replace("CLIPImageProcessorPil", "CLIPImageProcessor"))


def export(folder: Path) -> None:
    for name, pipe in (("prior", prior_pipe()), ("decoder", decoder_pipe())):
        pipe.to(dtype=torch.float16).save_pretrained(folder / name, max_shard_size=_SHARD)
        _published_names(folder / name)
    lock(folder)


def lock(folder: Path) -> None:
    """Writes the size and hash of every file, which the app checks before it opens the model."""
    replace_locks(folder / "lock.json", {name: lock_of_folder(folder / name, folder) for name in ("prior", "decoder")})


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path, nargs="?", default=loop.MODEL)
    arguments.add_argument("--lock-only", action="store_true", help="lock what lies there, after a change by hand")
    given = arguments.parse_args()
    (lock if given.lock_only else export)(given.folder)


if __name__ == "__main__":
    main()
