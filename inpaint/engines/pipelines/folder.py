"""Builds the pipeline that a repository in diffusers' layout names, of parts whose weights are not loaded yet.

Only safetensors are read, and code that a repository brings is never run. Knows no single model.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import Any

import diffusers
import transformers
from diffusers import AsymmetricAutoencoderKL, AutoencoderKL, DiffusionPipeline, ModelMixin, SchedulerMixin
from diffusers.pipelines import auto_pipeline
from diffusers.pipelines.pag.pag_utils import PAGMixin
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from inpaint.engines.memory.residency import Residency
from inpaint.engines.pipelines.autoencoder import part_dtype
from inpaint.engines.pipelines.parts import PipelineParts
from inpaint.engines.runtime.checkpoint import Checkpoint
from inpaint.errors import ModelUnavailable
from inpaint.hub.layouts import UNREAD

Index = Mapping[str, Any]

LIBRARIES = {"diffusers": diffusers, "transformers": transformers}
UNET_CHANNELS = (4, 9)
"""The input channels of UNets that can be used: noise alone, or noise with the mask and what is seen outside it."""

GIVEN = frozenset(
    {"prompt", "image", "mask_image", "height", "width", "num_inference_steps", "generator", "callback_on_step_end", "output_type"}
)
"""The arguments that an inpainting pipeline must take, so that it can be given its work and be cancelled."""

TASKS = (auto_pipeline.AUTO_TEXT2IMAGE_PIPELINES_MAPPING, auto_pipeline.AUTO_IMAGE2IMAGE_PIPELINES_MAPPING)


def open_inpaint_pipeline(checkpoint: Checkpoint, dtype: str, residency: Residency) -> tuple[Any, PipelineParts]:
    """The checkpoint's inpainting pipeline of diffusers, without watermark and safety checker, and its parts.

    Raises ModelUnavailable with a sentence for what is no such checkpoint.
    """
    index = _read_index(checkpoint)
    return _put_together(checkpoint, _pipeline_kind(index, checkpoint), index, dtype, residency)


def open_pipeline(checkpoint: Checkpoint, kind: Any, dtype: str, residency: Residency) -> tuple[Any, PipelineParts]:
    """A pipeline of the class `kind`, whatever class the checkpoint names, and its parts. Raises ModelUnavailable."""
    return _put_together(checkpoint, kind, _read_index(checkpoint), dtype, residency)


def _put_together(checkpoint: Checkpoint, kind: Any, index: Index, dtype: str, residency: Residency) -> tuple[Any, PipelineParts]:
    names, options = kind._get_signature_keys(kind)  # pyright: ignore[reportPrivateUsage]: from_pretrained's own question
    wanted = [name for name in sorted(names) if name not in UNREAD and _is_named(index.get(name))]
    brought = PipelineParts(residency)
    parts: dict[str, Any] = dict.fromkeys(names)
    for name in wanted:
        parts[name] = _open_part(checkpoint, name, index[name], dtype, residency, brought)
    _check_parts(checkpoint, kind, parts)
    chosen = {name: index[name] for name in options if name in index}
    without = {"add_watermarker": False, "requires_safety_checker": False}
    return kind(**parts, **(chosen | {name: value for name, value in without.items() if name in options})), brought


def _read_index(checkpoint: Checkpoint) -> Index:
    try:
        index = json.loads((checkpoint.folder / "model_index.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        index = None
    if not isinstance(index, dict):
        raise checkpoint.unavailable(f"The file model_index.json of {checkpoint.model} is missing or damaged.")
    return index


def _is_named(entry: Any) -> bool:
    return isinstance(entry, list) and any(entry)


def _pipeline_kind(index: Index, checkpoint: Checkpoint) -> Any:
    """The class that the index names where it inpaints, else the inpainting one of the same model."""
    name = index.get("_class_name")
    if not isinstance(name, str):
        raise _code_of_its_own(checkpoint, "its pipeline")
    kind = getattr(diffusers, name, None)
    if not (inspect.isclass(kind) and issubclass(kind, DiffusionPipeline)):
        raise _refused(checkpoint, f"it names the pipeline {name[:60]!r}, which diffusers {diffusers.__version__} does not have")
    for candidate in (kind, _sibling(name)):
        if candidate is not None and _can_inpaint(candidate):
            return candidate
    raise _refused(checkpoint, f"{name} is no inpainting pipeline that can be run here")


def _sibling(name: str) -> Any:
    """source: AutoPipelineForInpainting, which pairs pipelines of one model by these tables."""
    models = [model for task in TASKS for model, kind in task.items() if kind.__name__ == name]
    return next((kind for model, kind in auto_pipeline.AUTO_INPAINT_PIPELINES_MAPPING.items() if model in models), None)


def _can_inpaint(kind: Any) -> bool:
    parameters = inspect.signature(kind.__call__).parameters
    needed = {name for name, one in parameters.items() if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD}
    names, _ = kind._get_signature_keys(kind)  # pyright: ignore[reportPrivateUsage]: from_pretrained's own question
    return (
        set(parameters) >= GIVEN
        and needed <= {*GIVEN, "self"}
        and "vae" in names
        and "controlnet" not in names
        and not issubclass(kind, PAGMixin)
    )  # it reaches into the UNet itself, where we hold its shape


def _open_part(checkpoint: Checkpoint, name: str, entry: list[Any], dtype: str, residency: Residency, brought: PipelineParts) -> Any:
    library, kind_name = entry if len(entry) == 2 else (None, None)
    if library not in LIBRARIES or not isinstance(kind_name, str):
        raise _code_of_its_own(checkpoint, f"the part {name}")
    kind = getattr(LIBRARIES[library], kind_name, None)
    if inspect.isclass(kind) and issubclass(kind, ModelMixin | PreTrainedModel):
        numbers = part_dtype(name, dtype)
        return brought.add(name, checkpoint.part(residency, kind, name, numbers), checkpoint.load_shape(kind, name, numbers))
    if inspect.isclass(kind) and issubclass(kind, SchedulerMixin):
        return checkpoint.load_scheduler((kind,), name)
    if inspect.isclass(kind) and issubclass(kind, PreTrainedTokenizerBase):
        return checkpoint.load_tokenizer(name, kind)
    raise _refused(checkpoint, f"its part {name} is of a kind that is not known here ({kind_name[:60]})")


def _check_parts(checkpoint: Checkpoint, kind: Any, parts: Mapping[str, Any]) -> None:
    optional = {*kind._optional_components, *UNREAD}  # pyright: ignore[reportPrivateUsage]: no public name for it
    lacking = sorted(name for name, part in parts.items() if part is None and name not in optional)
    if lacking:
        raise _refused(checkpoint, f"{kind.__name__} needs {', '.join(lacking)}, which its model_index.json does not name")
    if not isinstance(parts["vae"], AutoencoderKL | AsymmetricAutoencoderKL):
        raise _refused(checkpoint, f"its autoencoder is a {type(parts['vae']).__name__}, not an AutoencoderKL")
    channels = getattr(parts.get("unet"), "config", {}).get("in_channels")
    if channels not in (None, *UNET_CHANNELS):
        raise _refused(checkpoint, f"its UNet takes {channels} channels, not {UNET_CHANNELS[0]} or {UNET_CHANNELS[1]}")


def _refused(checkpoint: Checkpoint, reason: str) -> ModelUnavailable:
    return ModelUnavailable(f"{checkpoint.model} cannot be used: {reason}.", "Name another repository in its file.")


def _code_of_its_own(checkpoint: Checkpoint, what: str) -> ModelUnavailable:
    return _refused(checkpoint, f"it brings code of its own for {what}, and such code is never run")
