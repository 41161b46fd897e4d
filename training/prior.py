"""Trains the prior: from the words' embeddings to an image embedding that the decoder understands.

Must not know about latents or pixels. `python -m training.prior --minutes 10`."""

import argparse
import random

import torch
import torch.nn.functional as F
from diffusers import PriorTransformer, UnCLIPScheduler
from torch import Tensor
from transformers import CLIPTextModelWithProjection, CLIPTokenizer

from training import clip, loop
from training.things import THINGS, caption, kind_caption

_BATCH = 64


def scheduler() -> UnCLIPScheduler:
    """The published checkpoint's kind: predicts the embedding itself."""
    return UnCLIPScheduler(
        variance_type="fixed_small_log", num_train_timesteps=1000, clip_sample=True, clip_sample_range=5.0,
        prediction_type="sample",
    )  # fmt: skip


def build() -> PriorTransformer:
    return PriorTransformer(num_attention_heads=4, attention_head_dim=64, num_layers=4, embedding_dim=clip.EMBEDDING, num_embeddings=77)


def set_statistics(prior: PriorTransformer, views: dict[str, Tensor]) -> None:
    """The prior works on embeddings of mean 0 and deviation 1; the pipeline undoes it with these two."""
    everything = torch.cat([views["things"].flatten(0, 1), views["plain"]])
    prior.clip_mean.data.copy_(everything.mean(0, keepdim=True))
    prior.clip_std.data.copy_(everything.std(0, keepdim=True))
    prior.clip_mean.requires_grad_(False)
    prior.clip_std.requires_grad_(False)


@torch.no_grad()
def embed_words(captions: list[str], words: CLIPTokenizer, text: CLIPTextModelWithProjection) -> tuple[Tensor, Tensor, Tensor]:
    """text_embeds [N, E], hidden states [N, 77, E] and mask [N, 77], as the stock pipeline makes them."""
    parts = []
    for start in range(0, len(captions), 256):
        part = captions[start : start + 256]
        tokens = words(part, padding="max_length", max_length=77, truncation=True, return_tensors="pt")
        out = text(tokens.input_ids)
        parts.append((out.text_embeds, out.last_hidden_state, tokens.attention_mask.bool()))
    embeds, states, masks = (torch.cat(column) for column in zip(*parts, strict=True))
    return embeds, states, masks


def draw(rng: random.Random) -> tuple[str, int | None]:
    """A caption and what it shows: a thing, any thing of a kind, or (for "") nothing."""
    chance = rng.random()
    if chance < 0.12:
        return "", None
    index = rng.randrange(len(THINGS))
    thing = THINGS[index]
    return (kind_caption(thing.kind, rng) if chance < 0.2 else caption(thing, rng)), index


def step_loss(
    prior: PriorTransformer,
    language: tuple[CLIPTokenizer, CLIPTextModelWithProjection],
    views: dict[str, Tensor],
    alphas: Tensor,
    step: int,
) -> Tensor:
    seeded = loop.step_seed(4, step)
    rng, generator = random.Random(seeded), torch.Generator().manual_seed(seeded)
    captions, shown = zip(*(draw(rng) for _ in range(_BATCH)), strict=True)
    wanted = torch.stack([rng.choice(views["plain"] if index is None else views["things"][index]) for index in shown])
    wanted = (wanted - prior.clip_mean) / prior.clip_std
    times = torch.randint(len(alphas), (_BATCH,), generator=generator)
    signal = alphas[times, None]
    noisy = signal.sqrt() * wanted + (1 - signal).sqrt() * torch.randn(wanted.shape, generator=generator)
    embeds, states, masks = embed_words(list(captions), *language)
    with torch.autocast("cpu", torch.bfloat16):
        predicted = prior(noisy, times, embeds, states, masks).predicted_image_embedding.float()
    return F.mse_loss(predicted, wanted)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, default=10)
    arguments.add_argument("--steps", type=int, default=2500)
    arguments.add_argument("--init", help="a prior/prior folder to go on from, the committed one for example")
    options = arguments.parse_args()
    loop.prepare_process()
    words, text, _ = clip.load(loop.RUNS / "clip")
    views = torch.load(loop.RUNS / "views.pt", weights_only=True)
    prior = PriorTransformer.from_pretrained(options.init, torch_dtype=torch.float32) if options.init else build()
    set_statistics(prior, views)
    plan = loop.Plan("prior", options.steps, options.minutes, rate=5e-4, seed=4, average=0.995)
    alphas = scheduler().alphas_cumprod
    prior = loop.fit(prior, lambda step: step_loss(prior, (words, text), views, alphas, step), plan)
    prior.save_pretrained(loop.RUNS / "prior")


if __name__ == "__main__":
    main()
