"""Kandinsky 2.2 at its real size with random weights in bfloat16, written part by part: about 10 GB on disk, 4 GB of memory.

Its configurations are the published ones, as far as they decide size and arithmetic; the parameter counts are checked against
configs/models/kandinsky-2.2.toml. Knows no engine.
"""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import DDPMScheduler, PriorTransformer, UnCLIPScheduler, UNet2DConditionModel, VQModel
from transformers import (
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from bench.preview import EMBEDDING, PUBLISHED
from inpaint.hub.weights import count_parameters
from tests.tiny_models import make_tokenizer

ROOT = Path(__file__).resolve().parent.parent
SHARD = "1GB"
TILE = 1 << 22

PRIOR_INDEX = {
    "_class_name": "KandinskyV22PriorPipeline",
    "prior": ["diffusers", "PriorTransformer"],
    "image_encoder": ["transformers", "CLIPVisionModelWithProjection"],
    "text_encoder": ["transformers", "CLIPTextModelWithProjection"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "scheduler": ["diffusers", "UnCLIPScheduler"],
    "image_processor": ["transformers", "CLIPImageProcessor"],
}
DECODER_INDEX = {
    "_class_name": "KandinskyV22InpaintPipeline",
    "unet": ["diffusers", "UNet2DConditionModel"],
    "scheduler": ["diffusers", "DDPMScheduler"],
    "movq": ["diffusers", "VQModel"],
}


def build(folder: Path) -> tuple[Path, Path]:
    """The repositories `prior` and `decoder` under folder; what is there already is kept."""
    prior, decoder = folder / "prior", folder / "decoder"
    for place, name, make in (
        (prior, "prior", _prior),
        (prior, "text_encoder", _text_encoder),
        (prior, "image_encoder", _image_encoder),
        (decoder, "unet", _unet),
        (decoder, "movq", _movq),
    ):
        _write_once(make, place / name, _counts()[name])
    make_tokenizer(folder / "vocabulary").save_pretrained(prior / "tokenizer")
    UnCLIPScheduler(prediction_type="sample", clip_sample_range=5.0).save_pretrained(prior / "scheduler")
    CLIPImageProcessor().save_pretrained(prior / "image_processor")
    DDPMScheduler(beta_start=0.00085, beta_end=0.012, variance_type="learned_range").save_pretrained(decoder / "scheduler")
    for place, index in ((prior, PRIOR_INDEX), (decoder, DECODER_INDEX)):
        (place / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    return prior, decoder


def _counts() -> dict[str, int]:
    return tomllib.loads((ROOT / "configs" / "models" / "kandinsky-2.2.toml").read_text(encoding="utf-8"))["parameters"]


def _write_once(make: Callable[[], Any], folder: Path, expected: int) -> None:
    """Under another name until it is whole: a part whose writing was ended is written again."""
    if count_parameters(folder, None) >= expected:
        return
    print(f"writing {folder.name} ...", flush=True)
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    for left in (unfinished, folder):
        shutil.rmtree(left, ignore_errors=True)
    _write(make, unfinished, expected)
    unfinished.rename(folder)


def _write(make: Callable[[], Any], folder: Path, expected: int) -> None:
    with torch.device("meta"):
        part = make()
    count = sum(parameter.numel() for parameter in part.parameters())
    assert count == expected, f"{folder.name} has {count} parameters, not {expected}"
    part = part.to(torch.bfloat16).to_empty(device="cpu").eval()
    tile = torch.randn(TILE, generator=torch.Generator().manual_seed(0)).mul_(0.01).to(torch.bfloat16)
    for parameter in part.parameters():
        _fill(parameter.detach().view(-1), tile)
    part.save_pretrained(folder, max_shard_size=SHARD)


def _fill(numbers: torch.Tensor, tile: torch.Tensor) -> None:
    for start in range(0, numbers.numel(), TILE):
        piece = numbers[start : start + TILE]
        piece.copy_(tile[: piece.numel()])


def _prior() -> PriorTransformer:
    return PriorTransformer(num_attention_heads=32, attention_head_dim=64, num_layers=20, embedding_dim=EMBEDDING)


def _text_encoder() -> CLIPTextModelWithProjection:
    return CLIPTextModelWithProjection(
        CLIPTextConfig(
            vocab_size=49408,
            hidden_size=1280,
            intermediate_size=5120,
            num_hidden_layers=32,
            num_attention_heads=20,
            projection_dim=EMBEDDING,
            hidden_act="gelu",
        )
    )


def _image_encoder() -> CLIPVisionModelWithProjection:
    return CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=1664,
            intermediate_size=8192,
            num_hidden_layers=48,
            num_attention_heads=16,
            patch_size=14,
            image_size=224,
            projection_dim=EMBEDDING,
            hidden_act="gelu",
        )
    )


def _unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(**PUBLISHED)


def _movq() -> VQModel:
    return VQModel(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        vq_embed_dim=4,
        num_vq_embeddings=16384,
        layers_per_block=2,
        block_out_channels=(128, 256, 256, 512),
        norm_num_groups=32,
        norm_type="spatial",
        down_block_types=(*["DownEncoderBlock2D"] * 3, "AttnDownEncoderBlock2D"),
        up_block_types=("AttnUpDecoderBlock2D", *["UpDecoderBlock2D"] * 3),
    )
