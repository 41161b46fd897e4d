"""Trains MoVQ, the autoencoder: 8 x 8 px become one latent cell of 4 channels.

Must not know about words or the UNet. `python -m training.movq --minutes 25`."""

import argparse
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import VQModel
from diffusers.models.attention_processor import SpatialNorm
from torch import Tensor

from training import data, loop

CROP, BATCH = 64, 8


def build() -> VQModel:
    """The published layout, narrower; groups of the decoder's spatial norm want multiples of 32."""
    return VQModel(
        block_out_channels=(32, 32, 64, 96),
        down_block_types=("DownEncoderBlock2D",) * 3 + ("AttnDownEncoderBlock2D",),
        up_block_types=("AttnUpDecoderBlock2D",) + ("UpDecoderBlock2D",) * 3,
        layers_per_block=1,
        latent_channels=4,
        vq_embed_dim=4,
        num_vq_embeddings=1024,
        norm_num_groups=16,
        norm_type="spatial",
        sample_size=CROP,
    )


def to_model(pictures: np.ndarray) -> Tensor:
    """uint8 [B, H, W, 3] -> float32 [B, 3, H, W] in -1..1."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def _slopes(picture: Tensor) -> tuple[Tensor, Tensor]:
    return picture[..., 1:, :] - picture[..., :-1, :], picture[..., :, 1:] - picture[..., :, :-1]


def rebuild_loss(rebuilt: Tensor, wanted: Tensor) -> Tensor:
    """L1 of colours, of slopes (they keep edges sharp) and of each cell's mean colour.

    Without the last, slopes outweigh it and a whole colour axis stays unlearned: green came out brown."""
    edges = sum(F.l1_loss(a, b) for a, b in zip(_slopes(rebuilt), _slopes(wanted), strict=True))
    colour = F.l1_loss(F.avg_pool2d(rebuilt, 8), F.avg_pool2d(wanted, 8))
    return F.l1_loss(rebuilt, wanted) + 0.5 * edges + 3 * colour


def step_loss(movq: VQModel, seed: int, step: int) -> Tensor:
    seeded = loop.step_seed(seed, step)
    wanted = to_model(data.batches(partial(data.scattered, size=CROP), seeded, BATCH))
    with torch.autocast("cpu", torch.bfloat16):
        latents = movq.encode(wanted).latents
        # The UNet's latents will be a little off: the decoder learns to bear it. Without a pull to 1 they would
        # grow until the noise no longer counts.
        noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(seeded))
        rebuilt = movq.decode(latents + 0.05 * noise, force_not_quantize=True).sample.float()
    pull = latents.float().square().mean((0, 2, 3)).log().square().mean()
    return rebuild_loss(rebuilt, wanted) + 0.03 * pull


@torch.no_grad()
def bake_scale(movq: VQModel, latents: Tensor) -> None:
    """Makes each channel of `latents` ([N, 4, h, w]) mean 0, variance 1, without changing what is decoded.

    The stock pipeline applies no scaling factor, so the weights must carry it: out of the encoder, and into every
    layer of the decoder that sees latents (post_quant_conv and the spatial norms)."""
    mean, deviation = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    movq.quant_conv.weight /= deviation[:, None, None, None]
    movq.quant_conv.bias.copy_((movq.quant_conv.bias - mean) / deviation)
    norms = [module for module in movq.decoder.modules() if isinstance(module, SpatialNorm)]
    for layer in [movq.post_quant_conv, *(layer for norm in norms for layer in (norm.conv_y, norm.conv_b))]:
        layer.bias += torch.einsum("oi,i->o", layer.weight[..., 0, 0], mean)
        layer.weight *= deviation[None, :, None, None]


@torch.no_grad()
def finish(movq: VQModel) -> VQModel:
    """The averaged weights, latents of unit variance."""
    sample = to_model(data.batches(partial(data.scattered, size=128), 7, 128))
    bake_scale(movq, torch.cat([movq.encode(part).latents for part in sample.split(16)]))
    return movq


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, default=25)
    arguments.add_argument("--steps", type=int, default=6000)
    arguments.add_argument("--init", help="a movq folder to go on from, the committed one for example")
    options = arguments.parse_args()
    loop.prepare_process()
    movq = VQModel.from_pretrained(options.init, torch_dtype=torch.float32).train() if options.init else build()
    plan = loop.Plan("movq", options.steps, options.minutes, rate=2e-3, seed=1)
    movq = finish(loop.fit(movq, lambda step: step_loss(movq, plan.seed, step), plan))
    movq.save_pretrained(loop.RUNS / "movq")


if __name__ == "__main__":
    main()
