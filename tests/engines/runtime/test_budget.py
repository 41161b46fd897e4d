"""How much memory there is, and what a model's parts need of it; no torch and no GPU."""

from __future__ import annotations

import ctypes
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from inpaint.core.spec import DeviceKind
from inpaint.engines.runtime import budget
from inpaint.engines.runtime.budget import (
    GB,
    TILE_PX,
    UNKNOWN,
    Needs,
    Turn,
    budget_bytes,
    count_parameters,
    free_ram_bytes,
    plan_memory,
)

SIZES = {"text": 1 * GB, "prior": 1 * GB, "vision": 2 * GB, "unet": 3 * GB, "movq": 0}
"""In float16 2, 2, 4, 6 and 0 GB."""

TURNS = (Turn("prior", ("text", "prior"), GB), Turn("vision", ("vision",), GB, once=True),
         Turn("decoder", ("movq", "unet"), GB, streams=True, slices=True))


@pytest.mark.parametrize(("budget", "kind", "peak", "words"), [
    pytest.param(11, "cuda", 11, "", id="all stay, but what is used once"),
    pytest.param(10.9, "cuda", 7, "10.9 GB of memory for models: prior and decoder take turns.", id="turns"),
    pytest.param(7, "cpu", 7, "7 GB of memory for models: prior and decoder take turns.", id="just"),
    pytest.param(6.9, "cuda", 6.9, "the decoder's weights go to the GPU layer by layer, which takes far longer, and attention is computed in slices.",
                 id="the largest part does not fit"),
    pytest.param(4.9, "cuda", 4.9, "the vision's and the decoder's weights go to the GPU layer by layer", id="nor what is used once"),
    pytest.param(6.9, "cpu", 7, "6.9 GB of memory for models, but its largest part needs 7 GB", id="not even that on a CPU"),
    pytest.param(6.9, "cpu", 7, "7 GB: memory may run out.", id="on a CPU nothing is done beforehand"),
    pytest.param(6.9, "mps", 7, "7 GB: attention is computed in slices, and memory may run out.", id="slices on Metal"),
])
def test_what_a_budget_means(budget: float, kind: DeviceKind, peak: float, words: str) -> None:
    plan = plan_memory(Needs(TURNS, SIZES, "float16"), int(budget * GB), kind)
    assert plan.peak == int(peak * GB) and words in plan.words and bool(plan.words) == bool(words)


@pytest.mark.parametrize(("budget", "words"), [(2.9, "the picture is decoded in tiles."), (1.2, "memory may run out.")])
def test_an_autoencoder_that_does_not_fit_works_in_tiles_while_one_does(budget: float, words: str) -> None:
    """Four tiles: 2 GB of activations at once, half a one by one; they are in float32 beside float16 parts."""
    turns = (Turn("text encoders", ("text",), 0), Turn("autoencoder", ("vae",), 0, 2 * GB // (4 * 4 * TILE_PX**2) + 1, in_float32=True, tiles=True))
    needs = Needs(turns, {"text": 0, "vae": GB // 4}, "float16", 4 * TILE_PX**2)
    assert plan_memory(needs, int(budget * GB), "cuda").words.endswith(words)


def test_parts_of_one_turn_may_have_to_take_turns_too() -> None:
    turns = (Turn("prior", ("text", "prior"), GB), Turn("decoder", ("movq", "prior"), 0))
    plan = plan_memory(Needs(turns, SIZES, "float16"), 4 * GB, "cuda")
    assert plan.peak == 3 * GB and "one by one" in plan.words


class Card:
    """libcuda with one card."""

    def cuDeviceGet(self, pointer: object, index: int) -> int:
        return 0 if index == 0 else 101

    def cuDeviceTotalMem_v2(self, pointer: object, handle: object) -> int:
        ctypes.cast(pointer, ctypes.POINTER(ctypes.c_size_t))[0] = 8 * GB  # pyright: ignore[reportArgumentType]
        return 0


@pytest.mark.parametrize(("kind", "index", "expected"), [("cuda", 0, 7 * GB), ("cuda", 1, UNKNOWN - GB), ("mps", 0, 12 * GB), ("cpu", 0, 3 * GB)])
def test_the_budget_of_a_device_leaves_a_reserve(kind: DeviceKind, index: int, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "cuda_driver", Card)
    monkeypatch.setattr(budget, "CGROUPS", ())
    monkeypatch.setattr(budget.psutil, "virtual_memory", lambda: SimpleNamespace(total=18 * GB, available=5 * GB))
    assert budget_bytes(kind, index) == expected


@pytest.mark.parametrize(("group", "files", "expected"), [
    pytest.param(0, {"memory.max": "4000000000\n", "memory.current": "1500000000\n",
                     "memory.stat": "anon 1\ninactive_file 500000000\nactive_file 7\n"}, 3 * GB, id="what is left, the cache not counted"),
    pytest.param(1, {"memory.limit_in_bytes": "4000000000\n", "memory.usage_in_bytes": "1500000000\n",
                     "memory.stat": "inactive_file 1\ntotal_inactive_file 500000000\n"}, 3 * GB, id="the same of an older Linux"),
    pytest.param(0, {"memory.max": "max\n", "memory.current": "1\n", "memory.stat": ""}, 5 * GB, id="no limit"),
    pytest.param(0, {"memory.max": "1\n", "memory.current": "9\n", "memory.stat": ""}, 0, id="more taken than allowed"),
    pytest.param(0, {}, 5 * GB, id="no such files"),
])
def test_a_container_may_have_less(group: int, files: dict[str, str], expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(budget, "CGROUPS", (budget.CGROUPS[group]._replace(folder=tmp_path),))
    monkeypatch.setattr(budget.psutil, "virtual_memory", lambda: SimpleNamespace(available=5 * GB))
    assert free_ram_bytes() == expected


def safetensors(shapes: dict[str, list[int]]) -> bytes:
    header = json.dumps({"__metadata__": {}} | {name: {"dtype": "F16", "shape": shape} for name, shape in shapes.items()}).encode()
    return len(header).to_bytes(8, "little") + header


@pytest.mark.parametrize(("variant", "expected"), [(None, 6), ("fp16", 12)])
def test_parameters_are_counted_from_the_headers_of_one_variant(variant: str | None, expected: int, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(safetensors({"a": [2, 3]}))
    (tmp_path / "model.fp16-00001-of-00002.safetensors").write_bytes(safetensors({"a": [7]}))
    (tmp_path / "model.fp16-00002-of-00002.safetensors").write_bytes(safetensors({"b": [5], "c": []}))
    (tmp_path / "other.bf16.safetensors").write_bytes(safetensors({"a": [100]}))
    assert count_parameters(tmp_path, variant) == expected + (variant == "fp16")


@pytest.mark.parametrize("content", [b"", b"<html>", b"\x05\0\0\0\0\0\0\0[1,2]", b"\xff" * 8 + b"{}", safetensors({"a": [2]})[:-3]])
def test_a_damaged_file_counts_as_nothing(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    assert count_parameters(tmp_path, None) == 0
