"""What training rests on: words, masks, latent scale, seeds. Needs no weights, no font and no photograph."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.pipelines.kandinsky2_2.pipeline_kandinsky2_2_inpainting import prepare_mask
from torch import nn

from training import clip, data, loop, movq, unet
from training.things import THINGS, caption, plain_prompt


def test_at_least_a_hundred_things_each_with_its_own_words() -> None:
    words = [word for thing in THINGS for word in thing.words]
    assert len(THINGS) >= 100
    assert len(words) == len(set(words))


def test_the_same_seed_gives_the_same_captions() -> None:
    first, second = ([caption(thing, random.Random(3)) for thing in THINGS] for _ in range(2))
    assert first == second


def test_the_same_seed_gives_the_same_picture() -> None:
    first, second = (data.texture(np.random.default_rng(5), 64) for _ in range(2))
    assert np.array_equal(first, second)


def test_every_prompt_is_made_of_whole_words() -> None:
    words = clip.tokenizer()
    for thing in THINGS:
        tokens = words.convert_ids_to_tokens(words(plain_prompt(thing)).input_ids[1:-1])
        assert "".join(tokens).replace("</w>", " ").strip() == plain_prompt(thing)
        assert all(token.endswith("</w>") for token in tokens)


def test_an_unknown_word_is_spelled_and_not_dropped() -> None:
    words = clip.tokenizer()
    assert words.eos_token_id not in words("zxqvj 漢").input_ids[1:-1]


def test_masks_spread_as_the_stock_pipeline_spreads_them() -> None:
    box = torch.tensor([[8.0, 8.0, 9.0], [4.0, 11.0, 6.0]])
    mask = unet.painted(box, 16, torch.Generator().manual_seed(0))
    stock = prepare_mask((~mask)[:, None].float())[:, 0] == 0
    assert torch.equal(unet.spread(mask), stock)


def test_baking_the_scale_changes_latents_but_no_picture() -> None:
    torch.manual_seed(0)
    model, pictures = movq.build().eval(), torch.rand(2, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        latents = model.encode(pictures).latents
        before = model.decode(latents, force_not_quantize=True).sample
        movq.bake_scale(model, latents)
        baked = model.encode(pictures).latents
        after = model.decode(baked, force_not_quantize=True).sample
    assert torch.allclose(baked.std((0, 2, 3)), torch.ones(4), atol=1e-4)
    assert torch.allclose(before, after, atol=1e-4)


def test_the_variance_bound_is_least_where_variance_explains_the_error() -> None:
    alphas, times = unet.scheduler().alphas_cumprod, torch.tensor([200])
    error = torch.full((1, 4, 2, 2), 0.0)
    small, large = (unet.variance_loss(error, torch.full_like(error, v), alphas, times).mean() for v in (-1.0, 1.0))
    assert 0 <= small < large


def test_a_run_that_was_cut_goes_on_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "RUNS", tmp_path)
    plan = loop.Plan("toy", steps=8, minutes=60, rate=0.1, save_every=4)

    def run(name: str, stop: int) -> torch.Tensor:
        torch.manual_seed(0)
        model = nn.Linear(3, 1)

        def loss(step: int) -> torch.Tensor:
            if step == stop:
                raise KeyboardInterrupt
            inputs = torch.randn(4, 3, generator=torch.Generator().manual_seed(loop.step_seed(1, step)))
            return model(inputs).square().mean()

        loop.fit(model, loss, loop.Plan(**{**vars(plan), "name": name}))
        return model.weight.detach()

    with pytest.raises(KeyboardInterrupt):
        run("cut", stop=6)
    assert torch.equal(run("cut", stop=-1), run("whole", stop=-1))
