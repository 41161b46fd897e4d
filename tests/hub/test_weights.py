"""Which folders count as complete, told from names and sizes alone, and that nothing is fetched unasked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from inpaint.core.spec import ModelSpec, Source
from inpaint.errors import ModelUnavailable
from inpaint.hub import weights

REPO, REVISION = "someone/model", "0123456789abcdef0123456789abcdef01234567"
INDEX = {
    "_class_name": "SomePipeline",
    "unet": ["diffusers", "UNet"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "safety_checker": [None, None],
    "requires": True,
}
SHARDS = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}

Files = Mapping[str, str | None]
COMPLETE: Files = {
    "model_index.json": json.dumps(INDEX),
    "unet/config.json": "{}",
    "unet/model.safetensors": "bytes",
    "tokenizer/vocab.json": "{}",
}
SHARDED: Files = {
    **COMPLETE,
    "unet/model.safetensors": None,
    "unet/model.safetensors.index.json": json.dumps(SHARDS),
    "unet/model-00001-of-00002.safetensors": "bytes",
    "unet/model-00002-of-00002.safetensors": "bytes",
}
FP16: Files = {**COMPLETE, "unet/model.safetensors": None, "unet/model.fp16.safetensors": "bytes"}
FP16_SHARDED: Files = {
    **COMPLETE,
    "unet/model.safetensors": None,
    "unet/model.fp16-00001-of-00001.safetensors": "bytes",
    "unet/model.safetensors.index.fp16.json": json.dumps({"weight_map": {"a": "model.fp16-00001-of-00001.safetensors"}}),
}


def written(folder: Path, files: Files) -> Path:
    for name, text in files.items():
        if text is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
    return folder


def found(folder: Path, variant: str | None = None) -> bool:
    return weights.find(Source(str(folder), variant=variant)) == folder


@pytest.mark.parametrize(
    ("files", "variant", "complete"),
    [
        pytest.param(COMPLETE, None, True, id="complete"),
        pytest.param(SHARDED, None, True, id="shards"),
        pytest.param(FP16, "fp16", True, id="variant"),
        pytest.param(FP16_SHARDED, "fp16", True, id="shards of a variant"),
        pytest.param({**FP16, "unet/model.safetensors": "bytes"}, None, True, id="both"),
        pytest.param(FP16, None, False, id="only the variant that was not asked"),
        pytest.param(FP16_SHARDED, None, False, id="only shards of the variant that was not asked"),
        pytest.param(COMPLETE, "fp16", False, id="variant missing"),
        pytest.param({**SHARDED, "unet/model-00002-of-00002.safetensors": None}, None, False, id="a shard missing"),
        pytest.param({**SHARDED, "unet/model-00002-of-00002.safetensors": ""}, None, False, id="a shard empty"),
        pytest.param({**SHARDED, "unet/model.safetensors.index.json": None}, None, False, id="shards without their list"),
        pytest.param({**SHARDED, "unet/model.safetensors.index.json": "{"}, None, False, id="a damaged list of shards"),
        pytest.param({**SHARDED, "unet/model.safetensors.index.json": '{"weight_map": []}'}, None, False, id="a list that is none"),
        pytest.param({**COMPLETE, "unet/model.safetensors": None, "unet/model.bin": "pickle"}, None, False, id="pickle only"),
        pytest.param({**COMPLETE, "unet/model.safetensors": ""}, None, False, id="empty weights"),
        pytest.param({**COMPLETE, "tokenizer/vocab.json": None}, None, False, id="a component missing"),
        pytest.param({**COMPLETE, "model_index.json": None}, None, False, id="no index"),
        pytest.param({**COMPLETE, "model_index.json": "{"}, None, False, id="a damaged index"),
        pytest.param({**COMPLETE, "model_index.json": "[1]"}, None, False, id="an index that is a list"),
        pytest.param({**COMPLETE, "model_index.json": "{}"}, None, False, id="an index of nothing"),
        pytest.param({**COMPLETE, "model_index.json": "[" * 100_000}, None, False, id="an index nested without end"),
        pytest.param({}, None, False, id="empty folder"),
    ],
)
def test_which_folders_are_complete(files: Files, variant: str | None, complete: bool, tmp_path: Path) -> None:
    assert found(written(tmp_path, files), variant) is complete


def test_a_link_whose_target_is_gone_is_no_file(tmp_path: Path) -> None:
    folder = written(tmp_path, {**COMPLETE, "unet/model.safetensors": None})
    (folder / "unet" / "model.safetensors").symlink_to(tmp_path / "blobs" / "gone")
    assert not found(folder)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of one revision in an empty hub cache of the test's own."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    return tmp_path / f"models--{REPO.replace('/', '--')}" / "snapshots" / REVISION


@pytest.mark.parametrize(
    ("files", "complete"),
    [(COMPLETE, True), ({**COMPLETE, "unet/model.safetensors": None}, False), ({}, False)],
    ids=["complete", "half", "nothing"],
)
def test_the_hub_cache(files: Files, complete: bool, cache: Path) -> None:
    written(cache, files)
    assert (weights.find(Source(REPO, REVISION)) == cache) is complete
    assert weights.find(Source(REPO, "f" * 40)) is None


@pytest.mark.parametrize("repo_id", ["no such", "a/b/c", "a--b/c", "x" * 200, "-x/y"])
def test_a_name_that_no_repository_can_have_is_not_there(repo_id: str, cache: Path) -> None:
    assert weights.find(Source(repo_id)) is None


def spec(source: Source) -> ModelSpec:
    return ModelSpec("mine", "Mine", "sdxl", ("generate",), sources={"pipeline": source}, command="models --download mine --config own")


def test_locate_gives_the_folders_or_names_the_command(tmp_path: Path, cache: Path) -> None:
    assert weights.locate(spec(Source(str(written(tmp_path / "w", COMPLETE)))), ["pipeline"]) == {"pipeline": tmp_path / "w"}
    with pytest.raises(ModelUnavailable, match="Get them with: models --download mine --config own$"):
        weights.locate(spec(Source(REPO, REVISION)), ["pipeline"])
    with pytest.raises(ModelUnavailable, match="not complete in their folder"):
        weights.locate(spec(Source("/nowhere")), ["pipeline"])


def safetensors(shapes: dict[str, list[int]]) -> bytes:
    header = json.dumps({"__metadata__": {}} | {name: {"dtype": "F16", "shape": shape} for name, shape in shapes.items()}).encode()
    return len(header).to_bytes(8, "little") + header


@pytest.mark.parametrize(("variant", "expected"), [(None, 6), ("fp16", 12)])
def test_parameters_are_counted_from_the_headers_of_one_variant(variant: str | None, expected: int, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(safetensors({"a": [2, 3]}))
    (tmp_path / "model.fp16-00001-of-00002.safetensors").write_bytes(safetensors({"a": [7]}))
    (tmp_path / "model.fp16-00002-of-00002.safetensors").write_bytes(safetensors({"b": [5], "c": []}))
    (tmp_path / "other.bf16.safetensors").write_bytes(safetensors({"a": [100]}))
    assert weights.count_parameters(tmp_path, variant) == expected + (variant == "fp16")


@pytest.mark.parametrize("content", [b"", b"<html>", b"\x05\0\0\0\0\0\0\0[1,2]", b"\xff" * 8 + b"{}", safetensors({"a": [2]})[:-3]])
def test_a_damaged_file_counts_as_nothing(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    assert weights.count_parameters(tmp_path, None) == 0
