"""Which model runs when none is named: by the task, the prompt, the models' files, and what is on this machine. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from inpaint.core.spec import DeviceKind, ModelSpec, Task

DEVICE_TITLES: Mapping[DeviceKind, str] = {"cpu": "the CPU", "cuda": "the GPU (CUDA)", "mps": "the GPU (Metal)"}


@dataclass(frozen=True)
class Choice:
    """Which model runs, and why in one sentence."""

    spec: ModelSpec
    reason: str


def ranked_models(
    specs: Iterable[ModelSpec], task: Task, has_prompt: bool, is_here: Callable[[ModelSpec], bool], device: DeviceKind
) -> list[ModelSpec]:
    """The models that fit the task and the prompt, the best first.

    Those that are on this machine come before the others, then those that are fast on its device, then those of higher
    priority. An edit without a prompt is for models that take none, and one with a prompt for models that take one. Where no
    model at all takes none, an edit without a prompt is for every model.
    """
    able = [spec for spec in specs if spec.can(task)]
    fitting = able if task != "inpaint" else [spec for spec in able if spec.prompt == has_prompt]
    return sorted(
        fitting if fitting or has_prompt else able, key=lambda spec: (not is_here(spec), not spec.is_fast_on(device), -spec.priority)
    )


def default_model(
    specs: Iterable[ModelSpec], task: Task, has_prompt: bool, is_here: Callable[[ModelSpec], bool], device: DeviceKind
) -> Choice | None:
    """The best model that is on this machine, with the controls that it has for the task; None where none is."""
    best = next((spec for spec in ranked_models(specs, task, has_prompt, is_here, device) if is_here(spec)), None)
    return None if best is None else Choice(best.on_task(task), _reason(best, task, device))


def can_be_downloaded(spec: ModelSpec) -> bool:
    """Whether a model has weights, and all of them come from the hub."""
    return bool(spec.sources) and not any(source.is_local for source in spec.sources.values())


def _reason(spec: ModelSpec, task: Task, device: DeviceKind) -> str:
    if task == "inpaint" and not spec.prompt:
        return "no prompt, so it fills the area from the surrounding picture"
    if spec.knows:
        return f"the small demonstration model, on {DEVICE_TITLES[device]}"
    if not spec.is_fast_on(device):
        return f"it is on this machine; on {DEVICE_TITLES[device]} it is slow"
    return (
        "it is on this machine, and so is a CUDA GPU" if device == "cuda" else f"it is on this machine, and fast on {DEVICE_TITLES[device]}"
    )
