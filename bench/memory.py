"""Peak memory of an edit at Kandinsky 2.2's real size: ours, prior and decoder taking turns, beside the stock combined pipeline.

    python bench/memory.py [--folder DIR] [--side 768] [--steps 1] [--budget-gb 6]

Random weights in bfloat16 on the CPU (10 GB on disk, made once in the folder); each row is a fresh process, with anonymous and
file-backed memory both, since weights that are mapped from disk count as the latter. Linux only (/proc).
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

STATUS = Path("/proc/self/status")
ROWS = {"stock": "stock combined pipeline", "first": "ours, first edit of this checkpoint", "next": "ours, every later start"}
PROMPT, SEED, PRIOR_STEPS = "a red hat", 1, 2


class Peak:
    """Largest values seen by a thread that looks every 20 ms: anonymous, file-backed and both, in bytes."""

    def __init__(self) -> None:
        self.anonymous = self.file_backed = self.both = 0
        self.looked, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            anonymous, file_backed = resident()
            self.anonymous, self.file_backed = max(self.anonymous, anonymous), max(self.file_backed, file_backed)
            self.both = max(self.both, anonymous + file_backed)
            self.looked.set()


def resident() -> tuple[int, int]:
    """Bytes of anonymous and of file-backed memory of this process."""
    kilobytes = dict(re.findall(r"^(RssAnon|RssFile):\s+(\d+) kB", STATUS.read_text(), re.MULTILINE))
    return 1024 * int(kilobytes["RssAnon"]), 1024 * int(kilobytes["RssFile"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "kandinsky-real-size")
    parser.add_argument("--side", type=int, default=768, help="px, a multiple of 64")
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--budget-gb", type=float, default=6.0)
    parser.add_argument("--row", choices=list(ROWS), help="used by the bench itself: measure one in this process")
    options = parser.parse_args()
    if options.row:
        print(json.dumps(measure(options)))
        return
    subprocess.run(
        [sys.executable, "-c", f"from bench.real_size import build; from pathlib import Path; build(Path({str(options.folder)!r}))"],
        check=True,
        cwd=Path(__file__).resolve().parent.parent,
    )
    with tempfile.TemporaryDirectory() as made:
        table({row: run(row, options, Path(made)) for row in ROWS}, options)


def run(row: str, options: argparse.Namespace, made: Path) -> dict[str, float]:
    command = [
        sys.executable,
        __file__,
        "--row",
        row,
        "--folder",
        str(options.folder),
        "--side",
        str(options.side),
        "--steps",
        str(options.steps),
        "--budget-gb",
        str(options.budget_gb),
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=made)
    return json.loads(done.stdout.splitlines()[-1])


def measure(options: argparse.Namespace) -> dict[str, float]:
    """One edit; what importing the libraries takes is given too, since it is the same for both."""
    edit = stock_edit if options.row == "stock" else our_edit
    import diffusers.pipelines.kandinsky2_2
    import transformers.models.clip.modeling_clip

    assert diffusers and transformers
    imported = sum(resident())
    started = time.perf_counter()
    with Peak() as peak:
        picture = edit(options)
    assert picture.shape == (options.side, options.side, 3)
    return {
        "anonymous": peak.anonymous,
        "file_backed": peak.file_backed,
        "both": peak.both,
        "imported": imported,
        "seconds": time.perf_counter() - started,
    }


def scene(side: int) -> tuple[np.ndarray, np.ndarray]:
    mask = np.zeros((side, side), np.uint8)
    mask[side // 4 : side // 2, side // 4 : side // 2] = 255
    return np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8), mask


def our_edit(options: argparse.Namespace) -> np.ndarray:
    """made_dir is the current folder: the image encoder's constant is stored there by the first of two rows."""
    from inpaint.core.request import SamplingParams
    from inpaint.engines.base import EngineInput
    from inpaint.engines.kandinsky.engine import Kandinsky22
    from inpaint.engines.memory.residency import Residency

    engine = Kandinsky22.load(
        str(options.folder / "prior"),
        str(options.folder / "decoder"),
        device="cpu",
        dtype="bfloat16",
        cache_dir=Path.cwd(),
        report=lambda progress: None,
        residency=Residency("cpu", int(options.budget_gb * 1e9)),
    )
    sampling = SamplingParams(
        PROMPT,
        seed=SEED,
        num_inference_steps=options.steps,
        guidance_scale=4.0,
        prior_num_inference_steps=PRIOR_STEPS,
        prior_guidance_scale=4.0,
    )
    return engine.inpaint(EngineInput(*scene(options.side), sampling), lambda progress: None).picture


def stock_edit(options: argparse.Namespace) -> np.ndarray:
    import torch
    from diffusers import KandinskyV22InpaintCombinedPipeline, KandinskyV22InpaintPipeline, KandinskyV22PriorPipeline
    from PIL import Image

    prior = KandinskyV22PriorPipeline.from_pretrained(options.folder / "prior", dtype=torch.bfloat16)
    decoder = KandinskyV22InpaintPipeline.from_pretrained(options.folder / "decoder", dtype=torch.bfloat16)
    pipeline = KandinskyV22InpaintCombinedPipeline(
        **decoder.components, **{f"prior_{name}": part for name, part in prior.components.items()}
    )
    picture, mask = (Image.fromarray(pixels) for pixels in scene(options.side))
    result = pipeline(
        PROMPT,
        image=picture,
        mask_image=mask,
        height=options.side,
        width=options.side,
        guidance_scale=4.0,
        num_inference_steps=options.steps,
        prior_num_inference_steps=PRIOR_STEPS,
        prior_guidance_scale=4.0,
        generator=torch.Generator("cpu").manual_seed(SEED),
    )
    return np.asarray(result.images[0])


def table(rows: dict[str, dict[str, float]], options: argparse.Namespace) -> None:
    print(
        f"\n| {options.side} px, {options.steps} step(s), bfloat16 | anonymous GB | file-backed GB | both GB | ratio | s |\n"
        "|---|---|---|---|---|---|"
    )
    for row, title in ROWS.items():
        found = rows[row]
        gigabytes = " | ".join(f"{found[name] / 1e9:.2f}" for name in ("anonymous", "file_backed", "both"))
        print(f"| {title} | {gigabytes} | {found['both'] / rows['stock']['both']:.2f} | {found['seconds']:.0f} |")
    print(f"\nOf each, {rows['stock']['imported'] / 1e9:.2f} GB are the libraries. Budget: {options.budget_gb:g} GB.")


if __name__ == "__main__":
    main()
