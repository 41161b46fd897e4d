"""Trains the decoder's UNet: fill the painted cells with the thing that an image embedding names.

Must not know about words: the embeddings come from the image encoder. `python -m training.unet --minutes 60`."""

import argparse
from dataclasses import dataclass

import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from torch import Tensor

from training import loop
from training.clip import EMBEDDING
from training.pairs import COUNTS, Pairs, load_pairs

# One step's size in px and how many: about the same work each. A turn of five steps.
_TURN = (96, 192, 96, 128, 96)
_BATCH = {96: 56, 128: 32, 192: 14}


@dataclass(frozen=True)
class Batch:
    """One step, as the stock pipeline would feed it; `keep` [B, 1, h, w] is 1 where nothing is painted."""

    wanted: Tensor
    known: Tensor
    keep: Tensor
    embeds: Tensor


def scheduler() -> DDPMScheduler:
    """The published checkpoint's kind, but its variance is fixed: after a short training the learned one leaves noise.

    The UNet keeps its 8 outputs, which the stock pipeline wants under guidance whatever the scheduler."""
    return DDPMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="linear", variance_type="fixed_small", clip_sample=False,
        prediction_type="epsilon", steps_offset=1,
    )  # fmt: skip


def build() -> UNet2DConditionModel:
    """The published layout with three levels of one layer; 8 outputs: 4 of noise, 4 of variance."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=9,
        out_channels=8,
        act_fn="silu",
        addition_embed_type="image",
        encoder_hid_dim=EMBEDDING,
        encoder_hid_dim_type="image_proj",
        attention_head_dim=64,
        cross_attention_dim=128,
        block_out_channels=(64, 128, 192),
        layers_per_block=1,
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D", "SimpleCrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        up_block_types=("SimpleCrossAttnUpBlock2D", "SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        resnet_time_scale_shift="scale_shift",
    )


def _uniform(generator: torch.Generator, low: float, high: float, *shape: int) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator)


def painted(box: Tensor, cells: int, generator: torch.Generator) -> Tensor:
    """bool [B, h, w]: a spot round each box ([B, 3], in cells) as a person might paint it, before it is spread.

    An ellipse, a wobbly blob or a rectangle, a little larger than the thing: so the thing fills the spot at use."""
    count = len(box)
    radius = box[:, 2] / 2 * _uniform(generator, 0.95, 1.4, count) + 0.5  # half a cell: a cell counts once touched
    across, down = (radius * _uniform(generator, 0.88, 1.15, count) for _ in range(2))
    middle = box[:, :2] + radius[:, None] * _uniform(generator, -0.1, 0.1, count, 2)
    grid = torch.arange(cells) + 0.5
    x = (grid[None, None, :] - middle[:, 0, None, None]) / across[:, None, None]
    y = (grid[None, :, None] - middle[:, 1, None, None]) / down[:, None, None]
    phase, lobes = _uniform(generator, 0, 6.28, count, 1, 1), torch.randint(2, 6, (count, 1, 1), generator=generator)
    wobble = 1 + 0.15 * torch.sin(torch.atan2(y, x) * lobes + phase)
    away = (x.square() + y.square()).sqrt()
    shapes = torch.stack([away < 1, away < wobble, torch.maximum(x.abs(), y.abs()) < 1])
    chosen = shapes[torch.randint(3, (count,), generator=generator), torch.arange(count)]
    return chosen | (torch.rand(count, 1, 1, generator=generator) < 0.02)  # now and then all of it


def spread(mask: Tensor) -> Tensor:
    """The stock prepare_mask on bool [B, h, w], True = repaint: into 6 of the 8 neighbours."""
    out = mask.clone()
    out[:, :-1] |= mask[:, 1:]
    out[:, :, :-1] |= mask[:, :, 1:]
    out[:, :-1, :-1] |= mask[:, 1:, 1:]
    out[:, 1:] |= mask[:, :-1]
    out[:, :, 1:] |= mask[:, :, :-1]
    out[:, 1:, 1:] |= mask[:, :-1, :-1]
    return out


def _embeddings(things: Tensor, plain: Tensor, views: dict[str, Tensor], generator: torch.Generator) -> Tensor:
    """A view of each thing on some other background, or of no thing at all where `plain`; one in ten is dropped."""
    count = len(things)

    def pick(bank: Tensor) -> Tensor:
        return bank[torch.randint(len(bank), (count,), generator=generator)]

    empty = pick(views["plain"])
    named = views["things"][things, torch.randint(views["things"].shape[1], (count,), generator=generator)]
    embeds = torch.where(plain[:, None], empty, named)
    # What the prior predicts lies between one view's embedding and the mean of all.
    middles, nothing = views["things"].mean(1), views["plain"].mean(0)
    mean = torch.where(plain[:, None], nothing, middles[things])
    embeds = mean.lerp(embeds, torch.rand(count, 1, generator=generator))
    # The prior's guidance goes on past the embedding, away from that of "" or of the negative prompt.
    away = torch.where(torch.rand(count, 1, generator=generator) < 0.7, nothing, pick(middles))
    strength = torch.where(torch.rand(count, 1, generator=generator) < 0.5, _uniform(generator, 0, 3, count, 1), 0.0)
    strength = torch.where(plain[:, None], strength / 3, strength)
    dropped = torch.rand(count, 1, generator=generator) < 0.1
    return torch.where(dropped, views["zero"], embeds + strength * (embeds - away))


def make_batch(pairs: Pairs, views: dict[str, Tensor], size: int, generator: torch.Generator) -> Batch:
    chosen = torch.randint(len(pairs.thing), (_BATCH[size],), generator=generator)
    bare = pairs.bare[chosen // (len(pairs.thing) // len(pairs.bare))].float()
    keep = ~spread(painted(pairs.box[chosen], size // 8, generator))[:, None]
    plain = torch.rand(len(chosen), generator=generator) < 0.1  # no thing: the background goes on
    filled = torch.where(plain[:, None, None, None], bare, pairs.with_thing[chosen].float())
    embeds = _embeddings(pairs.thing[chosen], plain, views, generator)
    return Batch(torch.where(keep, bare, filled), bare * keep, keep.float(), embeds)


def variance_loss(noise_error: Tensor, variance: Tensor, alphas: Tensor, times: Tensor) -> Tensor:
    """The variational bound, as a function of the variance alone (Nichol and Dhariwal 2021, eq. 14-16): nats per value.

    Both means differ by `noise_error` times a factor; the model's variance lies between the two bounds in log scale."""
    now, before = (alphas[times - 1 + i].view(-1, 1, 1, 1) for i in (1, 0))
    before = torch.where((times == 0).view(-1, 1, 1, 1), torch.ones_like(before), before)
    beta = 1 - now / before
    smallest = ((1 - before) / (1 - now) * beta).clamp(min=1e-8).log()
    largest = beta.log()
    fraction = (variance + 1) / 2
    log_variance = fraction * largest + (1 - fraction) * smallest
    mean_error = beta.square() / ((1 - now) * (now / before)) * noise_error.detach().square()
    return 0.5 * (log_variance - smallest + (smallest.exp() + mean_error) / log_variance.exp() - 1)


def step_loss(unet: UNet2DConditionModel, banks: dict[int, Pairs], views: dict[str, Tensor], alphas: Tensor, step: int) -> Tensor:
    generator = torch.Generator().manual_seed(loop.step_seed(3, step))
    size = _TURN[step % len(_TURN)]
    batch = make_batch(banks[size], views, size, generator)
    times = torch.randint(len(alphas), (len(batch.keep),), generator=generator)
    noise = torch.randn(batch.wanted.shape, generator=generator)
    signal = alphas[times].view(-1, 1, 1, 1)
    noisy = signal.sqrt() * batch.wanted + (1 - signal).sqrt() * noise
    given = torch.cat([noisy, batch.known, batch.keep], 1)
    with torch.autocast("cpu", torch.bfloat16):
        out = unet(given, times, None, added_cond_kwargs={"image_embeds": batch.embeds}, return_dict=False)[0]
    predicted, variance = out.float().chunk(2, 1)
    error = noise - predicted
    # What is predicted outside the painted cells is overwritten at each step of the pipeline.
    weight = 1 - 0.97 * batch.keep
    bound = variance_loss(error, variance, alphas, times).clamp(max=50)
    return (weight * (error.square() + 0.001 * bound)).sum() / (4 * weight.sum())


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, default=60)
    arguments.add_argument("--steps", type=int, default=20_000)
    arguments.add_argument("--init", help="a unet folder with shards to go on from")
    options = arguments.parse_args()
    loop.prepare_process()
    unet = UNet2DConditionModel.from_pretrained(options.init, torch_dtype=torch.float32) if options.init else build()
    unet.train()
    banks = {size: load_pairs(size) for size in COUNTS}
    views = torch.load(loop.RUNS / "views.pt", weights_only=True)
    alphas = scheduler().alphas_cumprod
    plan = loop.Plan("unet", options.steps, options.minutes, rate=8e-4, seed=3, average=0.996)
    loop.fit(unet, lambda step: step_loss(unet, banks, views, alphas, step), plan)


if __name__ == "__main__":
    main()
