"""Trains the pair: text encoder and image encoder whose embeddings of a caption and its picture meet.

Must not know about the prior or the decoder. `python -m training.clip --minutes 15`."""

import argparse
import json
import random
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch import Tensor, nn
from transformers import (
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from training import data, loop
from training.things import THINGS, caption, corpus, kind_caption, plain_prompt

EMBEDDING, VIEW, PLAIN_VIEWS = 128, 64, 10
_MEAN, _DEVIATION = CLIPImageProcessor().image_mean, CLIPImageProcessor().image_std


def tokenizer() -> CLIPTokenizer:
    """Every word of the corpus is one token; any other falls into pieces, down to single bytes."""
    byte_pairs = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    byte_pairs.pre_tokenizer = pre_tokenizers.Whitespace()
    specials = ["<|startoftext|>", "<|endoftext|>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    letters = alphabet + [letter + "</w>" for letter in alphabet]
    trainer = trainers.BpeTrainer(
        vocab_size=5000, min_frequency=1, end_of_word_suffix="</w>", initial_alphabet=alphabet, show_progress=False
    )
    byte_pairs.train_from_iterator([line.lower() for line in corpus()], trainer)
    merges = [tuple(pair) for pair in _merges(byte_pairs)]
    tokens = dict.fromkeys(specials + letters + [left + right for left, right in merges])
    return CLIPTokenizer(vocab={token: index for index, token in enumerate(tokens)}, merges=merges, model_max_length=77)


def _merges(byte_pairs: Tokenizer) -> list[list[str]]:
    return json.loads(byte_pairs.to_str())["model"]["merges"]


class Pair(nn.Module):
    """Both encoders and the temperature of their contrastive loss."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        shared = {"projection_dim": EMBEDDING, "hidden_act": "gelu"}
        self.text = CLIPTextModelWithProjection(
            CLIPTextConfig(
                vocab_size=vocabulary,
                hidden_size=EMBEDDING,
                intermediate_size=512,
                num_hidden_layers=3,
                num_attention_heads=4,
                max_position_embeddings=77,
                bos_token_id=0,
                eos_token_id=1,
                pad_token_id=1,
                **shared,
            )
        )
        self.image = CLIPVisionModelWithProjection(
            CLIPVisionConfig(
                hidden_size=160,
                intermediate_size=640,
                num_hidden_layers=4,
                num_attention_heads=4,
                image_size=VIEW,
                patch_size=16,
                **shared,
            )
        )
        self.log_scale = nn.Parameter(torch.tensor(2.5))


def image_processor() -> CLIPImageProcessor:
    return CLIPImageProcessor(size={"shortest_edge": VIEW}, crop_size={"height": VIEW, "width": VIEW})


def to_encoder(views: np.ndarray) -> Tensor:
    """uint8 [B, 64, 64, 3] -> what the image processor makes of them."""
    pixels = torch.from_numpy(views).permute(0, 3, 1, 2).float() / 255
    return (pixels - torch.tensor(_MEAN).view(3, 1, 1)) / torch.tensor(_DEVIATION).view(3, 1, 1)


def _captions(rng: random.Random) -> list[str]:
    """One for each thing, now and then only its kind; the empty ones are backgrounds."""
    named = [caption(t, rng) if rng.random() < 0.96 else kind_caption(t.kind, rng) for t in THINGS]
    return named + [""] * PLAIN_VIEWS


def step_loss(pair: Pair, words: CLIPTokenizer, seed: int, step: int) -> Tensor:
    seeded = loop.step_seed(seed, step)
    rng = np.random.default_rng(seeded)
    shown: list[int | None] = [*range(len(THINGS)), *[None] * PLAIN_VIEWS]
    pixels = to_encoder(np.stack([data.close_up(rng, thing, VIEW) for thing in shown]))
    # The zero picture is the decoder's "no caption": it must be far from every caption, the empty one included.
    pixels = torch.cat([pixels, torch.zeros(1, 3, VIEW, VIEW)])
    tokens = words(_captions(random.Random(seeded)), padding=True, truncation=True, return_tensors="pt")
    with torch.autocast("cpu", torch.bfloat16):
        images = pair.image(pixels).image_embeds.float()
        texts = pair.text(tokens.input_ids).text_embeds.float()
    likeness = F.normalize(texts, dim=-1) @ F.normalize(images, dim=-1).T * pair.log_scale.exp().clamp(max=50)
    labels = torch.tensor([*range(len(THINGS)), *[len(THINGS)] * PLAIN_VIEWS])
    same = (labels[:, None] == labels[None]).float()
    wanted = same / same.sum(1, keepdim=True)
    to_image = F.cross_entropy(likeness, F.pad(wanted, (0, 1)))
    return to_image + F.cross_entropy(likeness[:, :-1].T, wanted)


@torch.no_grad()
def accuracy(pair: Pair, words: CLIPTokenizer, split: str, rounds: int = 4) -> float:
    """How often the nearest of all captions "a NAME" is the right one."""
    tokens = words([plain_prompt(thing) for thing in THINGS], padding=True, return_tensors="pt")
    texts = F.normalize(pair.text(tokens.input_ids).text_embeds, dim=-1)
    rng, right = np.random.default_rng(99), 0
    for _ in range(rounds):
        views = np.stack([data.close_up(rng, thing, VIEW, split) for thing in range(len(THINGS))])
        images = pair.image(to_encoder(views)).image_embeds
        right += ((images @ texts.T).argmax(1) == torch.arange(len(THINGS))).sum().item()
    return right / rounds / len(THINGS)


def load(folder: Path) -> tuple[CLIPTokenizer, CLIPTextModelWithProjection, CLIPVisionModelWithProjection]:
    """The trained pair out of a saved prior folder."""
    return (
        CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        CLIPTextModelWithProjection.from_pretrained(folder / "text_encoder", dtype=torch.float32).eval(),
        CLIPVisionModelWithProjection.from_pretrained(folder / "image_encoder", dtype=torch.float32).eval(),
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, default=15)
    arguments.add_argument("--steps", type=int, default=2000)
    arguments.add_argument("--init", type=Path, help="a prior folder to go on from, the committed one for example")
    options = arguments.parse_args()
    loop.prepare_process()
    words = tokenizer()
    pair = Pair(len(words))
    if options.init:
        words, pair.text, pair.image = load(options.init)
        pair.train()
    plan = loop.Plan("clip", options.steps, options.minutes, rate=1e-3, seed=2)
    pair = loop.fit(pair, lambda step: step_loss(pair, words, plan.seed, step), plan)
    folder = loop.RUNS / "clip"
    words.save_pretrained(folder / "tokenizer")
    pair.text.save_pretrained(folder / "text_encoder")
    pair.image.save_pretrained(folder / "image_encoder")
    image_processor().save_pretrained(folder / "image_processor")
    print(f"nearest caption right on held-out photographs: {accuracy(pair, words, 'held-out'):.3f}")


if __name__ == "__main__":
    main()
