"""What the Generate tab decides without a browser: sizes within the limits, and a chain that stays bounded."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inpaint.config.load import load_config
from inpaint.core.request import resolve_sampling
from inpaint.core.spec import Limit, ModelSpec
from inpaint.ui.generate.chain import CHAIN_KEPT, Chain
from inpaint.ui.generate.tab import size_choices

SPECS = load_config(environment={}).models


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("sdxl-turbo", ["512x512", "640x448", "448x640"]),
        ("playground-v2", ["1024x1024", "1280x832", "832x1280"]),
    ],
)
def test_sizes_have_about_the_models_own_number_of_pixels(name: str, sizes: list[str]) -> None:
    assert [size for _, size in size_choices(SPECS[name])] == sizes


@given(least=st.integers(1, 40), steps=st.integers(0, 40), at=st.integers(0, 40), step=st.sampled_from([1, 8, 16, 64]))
def test_every_size_that_is_offered_is_accepted(least: int, steps: int, at: int, step: int) -> None:
    limit = Limit(default=(least + min(at, steps)) * step, minimum=least * step, maximum=(least + steps) * step, step=step)
    spec: ModelSpec = dataclasses.replace(SPECS["sdxl-turbo"], limits={"width": limit, "height": limit})
    offered = size_choices(spec)
    assert offered[0][1] == f"{limit.default:.0f}x{limit.default:.0f}" and len({size for _, size in offered}) == len(offered)
    for _, size in offered:
        width, height = map(int, size.split("x"))
        resolve_sampling(spec, 0, {"width": width, "height": height})


@given(st.lists(st.integers(1, 4), max_size=12))
def test_a_chain_keeps_its_last_pictures_and_their_numbers(counts: list[int]) -> None:
    chain, made = Chain(), 0
    for count in counts:
        chain = chain.grown([(f"{made + k + 1}.png", "", "") for k in range(count)], "generated")
        made += count
    assert [link.number for link in chain.links] == list(range(max(0, made - CHAIN_KEPT) + 1, made + 1))
    assert all(link.path == f"{link.number}.png" and link.label == f"{link.number} generated" for link in chain.links)
    assert chain.find(made) is (chain.links[-1] if made else None)


@pytest.mark.parametrize("number", [0, -1, 99, None, "1", [1], {"a": 1}])
def test_a_number_that_is_no_link_finds_nothing(number: object) -> None:
    assert Chain().grown([("a.png", "", "")], "opened").find(number) is None
