"""Which files of a repository are fetched: one format, one variant, no code."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inpaint.hub.layouts import component_names, select, variant_of

INDEX = {
    "_class_name": "SomePipeline",
    "_diffusers_version": "0.1",
    "unet": ["diffusers", "UNet"],
    "image_encoder": [None, None],
    "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
    "requires": True,
}
CONFIG = ["config.json"]
SHARDS = [
    "diffusion_pytorch_model-00001-of-00002.safetensors",
    "diffusion_pytorch_model-00002-of-00002.safetensors",
    "diffusion_pytorch_model.safetensors.index.json",
]
FP16_SHARDS = ["diffusion_pytorch_model.fp16-00001-of-00001.safetensors", "diffusion_pytorch_model.safetensors.index.fp16.json"]
OLD_FP16_SHARDS = ["model-00001-of-00001.fp16.safetensors", "model.safetensors.index.fp16.json"]
NEVER = [
    "diffusion_pytorch_model.bin",
    "diffusion_pytorch_model.bin.index.json",
    "model.ckpt",
    "flax_model.msgpack",
    "model.onnx",
    "model.onnx_data",
    "openvino_model.xml",
    "modeling.py",
    "adapter.safetensors",
    "diffusion_pytorch_model.non_ema.safetensors",
    "README.md",
    "picture.png",
    "deeper/config.json",
]


@pytest.mark.parametrize(
    ("names", "variant", "wanted"),
    [
        pytest.param(["model.safetensors"], None, ["model.safetensors"], id="one file"),
        pytest.param(
            ["diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safetensors"],
            None,
            ["diffusion_pytorch_model.safetensors"],
            id="not the variant",
        ),
        pytest.param(
            ["diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safetensors"],
            "fp16",
            ["diffusion_pytorch_model.fp16.safetensors"],
            id="only the variant",
        ),
        pytest.param(SHARDS, None, SHARDS, id="shards"),
        pytest.param(["diffusion_pytorch_model.safetensors", *SHARDS], None, ["diffusion_pytorch_model.safetensors"], id="not both"),
        pytest.param([*SHARDS, *FP16_SHARDS], "fp16", FP16_SHARDS, id="shards of a variant"),
        pytest.param([*SHARDS, *FP16_SHARDS], None, SHARDS, id="shards of no variant"),
        pytest.param(OLD_FP16_SHARDS, "fp16", OLD_FP16_SHARDS, id="shards with the variant behind their number"),
    ],
)
def test_one_format_of_one_variant(names: list[str], variant: str | None, wanted: list[str]) -> None:
    listed = [f"unet/{name}" for name in [*CONFIG, *names, *NEVER]]
    [unet] = select(
        INDEX,
        [
            *listed,
            "model.safetensors",
            "pipeline.py",
            "vae/model.safetensors",
            "safety_checker/config.json",
            "safety_checker/model.safetensors",
        ],
        variant,
    )
    assert unet.name == "unet" and sorted(unet.files) == sorted(f"unet/{name}" for name in [*CONFIG, *wanted])
    assert unet.has_weights and unet.needs_weights and not unet.only_pickled


@pytest.mark.parametrize(
    "names",
    [["vocab.json", "merges.txt", "tokenizer_config.json"], ["spiece.model"], ["scheduler_config.json"]],
    ids=["tokenizer", "sentencepiece", "scheduler"],
)
def test_what_has_no_weights_needs_none(names: list[str]) -> None:
    [part] = select({"part": ["transformers", "Kind"]}, [f"part/{name}" for name in names], "fp16")
    assert sorted(part.files) == sorted(f"part/{name}" for name in names) and not part.needs_weights


@pytest.mark.parametrize(
    ("names", "has", "only_pickled"),
    [
        (["model.bin"], False, True),
        (["model.bin", "model.safetensors"], True, False),
        (["model.fp16.safetensors", "model.bin"], False, False),
        ([], False, False),
        (["model.pt"], False, True),
    ],
    ids=["pickled", "both", "another variant", "none", "torch"],
)
def test_pickles_alone_are_told_apart(names: list[str], has: bool, only_pickled: bool) -> None:
    [unet] = select(INDEX, [f"unet/{name}" for name in [*CONFIG, *names]], None)
    assert (unet.has_weights, unet.only_pickled) == (has, only_pickled)


@pytest.mark.parametrize("index", [{}, {"unet": "unet"}, {"unet": []}, {"unet": [None, None]}, {"unet": {"a": 1}}])
def test_an_index_that_names_nothing(index: dict[str, object]) -> None:
    assert component_names(index) == [] and select(index, ["unet/config.json"], None) == []


@pytest.mark.parametrize(
    ("names", "read"),
    [
        (["unet", "vae", "image_encoder", "feature_extractor", "safety_checker"], ["unet", "vae"]),
        (["prior", "image_encoder", "image_processor"], ["prior", "image_encoder", "image_processor"]),
    ],
    ids=["a pipeline", "a prior"],
)
def test_what_no_engine_runs_is_neither_fetched_nor_asked_for(names: list[str], read: list[str]) -> None:
    assert component_names({name: ["library", "Kind"] for name in names}) == read


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        ("model.safetensors", ""),
        ("model.fp16.safetensors", "fp16"),
        ("model-00001-of-00002.safetensors", ""),
        ("model.fp16-00001-of-00002.safetensors", "fp16"),
        ("model-00001-of-00002.fp16.safetensors", "fp16"),
    ],
)
def test_the_variant_in_a_file_s_name(name: str, variant: str) -> None:
    assert variant_of(name) == variant


@given(st.lists(st.from_regex(r"(unet|vae|\.\.)?/?[a-z_]{1,9}(\.[a-z0-9]{2,6}){1,2}", fullmatch=True)), st.sampled_from([None, "fp16"]))
def test_only_what_is_listed_in_a_named_folder_and_never_a_pickle_or_code(listed: list[str], variant: str | None) -> None:
    for part in select(INDEX, listed, variant):
        assert set(part.files) <= set(listed) and all(name.startswith("unet/") for name in part.files)
        assert all(name.endswith((".json", ".txt", ".model", ".safetensors")) for name in part.files)
