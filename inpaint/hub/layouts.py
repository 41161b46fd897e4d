"""Chooses the files of a diffusers repository that the loaders read: one of its formats, and one of its variants. Pure.

Everything else is never fetched: pickles, code, single-file checkpoints, ONNX, Flax, OpenVINO, pictures, cards.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath

INDEX = "model_index.json"
STEM = "(?:model|diffusion_pytorch_model)"
"""The names that transformers and diffusers give a part's weights. Other safetensors are adapters or conversions."""

PART_OF = r"-\d+-of-\d+"
PLAIN_ENDINGS = (".json", ".txt", ".model")
"""The endings of configurations and vocabularies."""

UNREAD = frozenset({"safety_checker", "feature_extractor", "image_encoder"})
"""Components that no engine runs. They are optional in every pipeline that inpaints or generates: a judge of finished pictures,
as large as a text encoder, and what reads pictures that are given as prompts."""

WEIGHTS_INDEX = re.compile(r"\.index(\.[^.]+)?\.json$")
PICKLE_ENDINGS = (".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle")


@dataclass(frozen=True)
class Component:
    """One folder of a repository.

    files: those to fetch, by their names in the repository. has_weights: whether they include weights. needs_weights:
    whether the folder has a model's config.json. only_pickled: whether its weights are there only as pickles.
    """

    name: str
    files: tuple[str, ...]
    has_weights: bool
    needs_weights: bool
    only_pickled: bool


def component_names(index: Mapping[str, object]) -> list[str]:
    """The folders that a model_index.json names and an engine runs. An entry is [library, class], or [null, null] for none.

    The image encoder belongs to them in a repository with a prior, which imitates what it sees.
    """
    unread = UNREAD - ({"image_encoder"} if "prior" in index else set())
    return [name for name, made_by in index.items() if isinstance(made_by, list) and any(made_by) and name not in unread]


def variant_of(name: str) -> str:
    """The variant of a file of weights: "fp16" for model.fp16.safetensors and its shards, "" for model.safetensors."""
    return PurePath(PurePath(name).stem).suffix.lstrip(".").partition("-")[0]


def select(index: Mapping[str, object], listed: Iterable[str], variant: str | None) -> list[Component]:
    """The components that an index names, each with the listed files that it needs."""
    folders: dict[str, list[str]] = {}
    for path in listed:
        folder, _, name = path.rpartition("/")
        folders.setdefault(folder, []).append(name)
    return [_component(name, folders.get(name, []), variant) for name in component_names(index)]


def _component(folder: str, names: Collection[str], variant: str | None) -> Component:
    weights = _weights(names, variant)
    plain = [name for name in names if name.endswith(PLAIN_ENDINGS) and not WEIGHTS_INDEX.search(name)]
    is_pickled = any(name.endswith(PICKLE_ENDINGS) for name in names)
    return Component(
        folder,
        tuple(f"{folder}/{name}" for name in sorted([*plain, *weights])),
        bool(weights),
        "config.json" in names,
        is_pickled and not any(name.endswith(".safetensors") for name in names),
    )


def _weights(names: Iterable[str], variant: str | None) -> list[str]:
    """The one file of weights, or its shards with their list. Shards carry the variant before or behind their number."""
    kind = re.escape(f".{variant}") if variant else ""
    whole = re.compile(rf"{STEM}{kind}\.safetensors")
    shards = re.compile(rf"{STEM}(?:{kind}{PART_OF}|{PART_OF}{kind})\.safetensors|{STEM}\.safetensors\.index{kind}\.json")
    single = [name for name in names if whole.fullmatch(name)]
    return single or [name for name in names if shards.fullmatch(name)]
