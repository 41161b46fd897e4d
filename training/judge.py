"""Judges the model: a classifier that never saw the generator says what is in the painted spot.

Must not know how the model was trained: it is used through the stock diffusers pipelines alone.
`python -m training.judge train` makes the classifier, `python -m training.judge score` prints the numbers."""

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DiffusionPipeline, KandinskyV22InpaintPipeline, KandinskyV22PriorPipeline
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from training import data, loop
from training.things import THINGS, plain_prompt

WEIGHTS = Path(__file__).parent.parent / "tests" / "training" / "judge.safetensors"
_VIEW, _NOTHING = 64, len(THINGS)
_TOGETHER = 14  # things a call: they share the photograph and the spot, each has its own noise


def classifier() -> nn.Sequential:
    """64 x 64 px in, one score for each thing and one for nothing."""
    layers: list[nn.Module] = []
    for before, after in ((3, 32), (32, 64), (64, 96), (96, 160)):
        layers += [nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after), nn.ReLU()]
        layers += [nn.Conv2d(after, after, 3, 1, 1), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(160, _NOTHING + 1))


def _worn(view: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blur, noise and another size: the judge must look at the thing, not at how cleanly it was pasted."""
    if rng.random() < 0.5:
        view = cv2.GaussianBlur(view, (0, 0), rng.uniform(0.3, 1.5))
    if rng.random() < 0.5:
        small = int(rng.integers(24, 64))
        view = cv2.resize(cv2.resize(view, (small, small), interpolation=cv2.INTER_AREA), (_VIEW, _VIEW))
    noisy = view + rng.normal(0, rng.uniform(0, 8), view.shape)
    return np.clip(noisy * rng.uniform(0.8, 1.2), 0, 255).astype(np.uint8)


def _examples(rng: np.random.Generator, count: int, split: str, worn: bool) -> tuple[Tensor, Tensor]:
    labels = rng.integers(_NOTHING + 1, size=count)
    views = [data.close_up(rng, None if label == _NOTHING else int(label), _VIEW, split) for label in labels]
    return to_judge(np.stack([_worn(view, rng) if worn else view for view in views])), torch.from_numpy(labels)


def to_judge(views: np.ndarray) -> Tensor:
    return torch.from_numpy(views).permute(0, 3, 1, 2).float() / 127.5 - 1


def train(minutes: float, steps: int) -> None:
    """On photographs of its own, that neither the model nor the trial has."""
    loop.prepare_process()
    judge = classifier().train()
    plan = loop.Plan("judge", steps, minutes, rate=2e-3, seed=6)

    def loss(step: int) -> Tensor:
        views, labels = _examples(np.random.default_rng(loop.step_seed(plan.seed, step)), 96, "judge", worn=True)
        with torch.autocast("cpu", torch.bfloat16):
            scores = judge(views)
        return F.cross_entropy(scores.float(), labels, label_smoothing=0.05)

    loop.fit(judge, loss, plan)
    save_file({name: t.half() if t.is_floating_point() else t for name, t in judge.state_dict().items()}, WEIGHTS)


def load_judge() -> nn.Sequential:
    judge = classifier()
    judge.load_state_dict({name: t.float() if t.is_floating_point() else t for name, t in load_file(WEIGHTS).items()})
    return judge.eval()


def own_accuracy(judge: nn.Sequential, movq: nn.Module) -> tuple[float, float]:
    """Share right of glyphs pasted over held-out photographs, and of the same rebuilt by MoVQ: the model's ceiling."""
    views, labels = _examples(np.random.default_rng(17), 1000, "held-out", worn=False)
    with torch.no_grad():
        latents = [movq.encode(part).latents for part in views.split(50)]
        rebuilt = torch.cat([movq.decode(part, force_not_quantize=True).sample for part in latents]).clamp(-1, 1)
        clean, after = ((judge(shown).argmax(1) == labels).float().mean().item() for shown in (views, rebuilt))
    return clean, after


@dataclass(frozen=True)
class Scene:
    """A held-out photograph with a painted spot; both uint8, white = repaint."""

    photo: np.ndarray
    mask: np.ndarray
    spot: tuple[int, int, int]  # x, y, diameter


def scene(seed: int, size: int) -> Scene:
    rng = np.random.default_rng(1000 + seed)
    photo = data.photo_crop(rng, size, "held-out")
    diameter = int(size * rng.uniform(0.45, 0.8))
    x, y = (int(v) for v in rng.integers(diameter // 2, size - diameter // 2 + 1, 2))
    mask = cv2.circle(np.zeros((size, size), np.uint8), (x, y), diameter // 2, 255, -1)
    return Scene(photo, mask, (x, y, diameter))


@dataclass(frozen=True)
class Settings:
    size: int = 128
    steps: int = 25
    guidance: float = 4.0
    prior_guidance: float = 4.0
    prior_steps: int = 25


@dataclass(frozen=True)
class Pipes:
    prior: KandinskyV22PriorPipeline
    decoder: KandinskyV22InpaintPipeline


def load_pipes(folder: Path = loop.MODEL) -> Pipes:
    prior = KandinskyV22PriorPipeline.from_pretrained(folder / "prior", torch_dtype=torch.float32)
    decoder = KandinskyV22InpaintPipeline.from_pretrained(folder / "decoder", torch_dtype=torch.float32)
    for pipe in (prior, decoder):
        assert isinstance(pipe, DiffusionPipeline)
        pipe.set_progress_bar_config(disable=True)
    return Pipes(prior, decoder)


def edit(pipes: Pipes, prompts: list[str], place: Scene, seed: int, settings: Settings, negative: list[str] | None = None) -> np.ndarray:
    """uint8 [B, H, W, 3]: the stock pipelines' pictures, one for each prompt, on the same photograph and spot."""
    embeds = pipes.prior(
        prompts,
        negative,
        num_inference_steps=settings.prior_steps,
        guidance_scale=settings.prior_guidance,
        generator=torch.Generator().manual_seed(seed),
    )
    out = pipes.decoder(
        embeds.image_embeds,
        [Image.fromarray(place.photo)] * len(prompts),
        [Image.fromarray(place.mask)] * len(prompts),
        embeds.negative_image_embeds,
        height=settings.size,
        width=settings.size,
        num_inference_steps=settings.steps,
        guidance_scale=settings.guidance,
        generator=torch.Generator().manual_seed(seed),
        output_type="np",
    )
    return (out.images * 255).round().astype(np.uint8)


def spot_views(pictures: np.ndarray, place: Scene) -> Tensor:
    """The painted spot, as the judge wants to see it."""
    x, y, diameter = place.spot
    half = int(diameter * 0.55)
    top, left, size = max(y - half, 0), max(x - half, 0), pictures.shape[1]
    cut = pictures[:, top : min(y + half, size), left : min(x + half, size)]
    return to_judge(np.stack([cv2.resize(view, (_VIEW, _VIEW), interpolation=cv2.INTER_AREA) for view in cut]))


def _groups(limit: int) -> Iterator[list[int]]:
    for start in range(0, limit, _TOGETHER):
        yield list(range(start, min(start + _TOGETHER, limit)))


@torch.no_grad()
def scores(pipes: Pipes, judge: nn.Module, settings: Settings, seeds: range, negative: bool = False) -> Tensor:
    """Probabilities [seeds, things, classes]; `negative` also names the thing as unwanted."""
    rows = []
    for seed in seeds:
        parts = []
        for number, group in enumerate(_groups(len(THINGS))):
            place = scene(seed * 100 + number, settings.size)
            prompts = [plain_prompt(THINGS[index]) for index in group]
            pictures = edit(pipes, prompts, place, seed * 100 + number, settings, prompts if negative else None)
            parts.append(judge(spot_views(pictures, place)).softmax(-1))
        rows.append(torch.cat(parts))
    return torch.stack(rows)


def interval(right: int, of: int) -> tuple[float, float]:
    """Wilson's, 95 %."""
    share, z = right / of, 1.96
    middle, width = share + z * z / (2 * of), z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return (middle - width) / (1 + z * z / of), (middle + width) / (1 + z * z / of)


def _share_line(name: str, hits: Tensor) -> str:
    right, of = int(hits.sum()), hits.numel()
    low, high = interval(right, of)
    return f"{name}: {100 * right / of:.1f} % ({100 * low:.1f} to {100 * high:.1f}, {right} of {of})"


def _right_probability(chances: Tensor) -> float:
    return chances[:, torch.arange(chances.shape[1]), torch.arange(chances.shape[1])].mean().item()


def report(folder: Path, settings: Settings, seeds: int) -> None:
    """What the model card quotes."""
    torch.set_num_threads(2)
    pipes, judge, everything = load_pipes(folder), load_judge(), len(THINGS)
    clean, rebuilt = own_accuracy(judge, pipes.decoder.movq)
    print(f"judge's own accuracy: {100 * clean:.1f} % on pasted glyphs, {100 * rebuilt:.1f} % on those rebuilt by MoVQ")
    chances = scores(pipes, judge, settings, range(seeds))
    ranks = chances.argsort(-1, descending=True) == torch.arange(everything)[None, :, None]
    print(settings)
    print(_share_line("top-1", ranks[..., 0]))
    print(_share_line("top-5", ranks[..., :5].any(-1)))
    missed = (~ranks[..., 0]).sum(0)
    weak = [thing.name for thing, misses in zip(THINGS, missed, strict=True) if misses > seeds / 2]
    print(f"missed more than half of the time: {', '.join(weak) or 'none'}")
    one = scores(pipes, judge, Settings(**{**vars(settings), "guidance": 1.0001}), range(1))
    unwanted = scores(pipes, judge, settings, range(1), negative=True)
    print("mean probability of the right thing:")
    for name, found in (
        ("guidance 1", one),
        (f"guidance {settings.guidance:g}", chances[:1]),
        ("negated too", unwanted),
    ):
        print(f"  {name}: {_right_probability(found):.3f}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("what", choices=("train", "score"))
    arguments.add_argument("--minutes", type=float, default=6)
    arguments.add_argument("--steps", type=int, default=2500)
    arguments.add_argument("--folder", type=Path, default=loop.MODEL)
    arguments.add_argument("--seeds", type=int, default=4)
    arguments.add_argument("--size", type=int, default=128)
    arguments.add_argument("--inference-steps", type=int, default=25)
    options = arguments.parse_args()
    if options.what == "train":
        train(options.minutes, options.steps)
    else:
        report(options.folder, Settings(options.size, options.inference_steps), options.seeds)


if __name__ == "__main__":
    main()
