"""The models of this installation: which are there, which one runs, and the opened engines. Imports an engine on first use.

Specs come from configs/models/*.toml; a family names the code that runs a spec (families.py). Knows no page and no queue.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from inpaint.config.settings import AppConfig
from inpaint.core.progress import Progress, ProgressCallback
from inpaint.core.spec import BYTES_PER_PARAMETER, DeviceKind, ModelSpec, Source, Task, WorkingLimits
from inpaint.engines.device import probe_device, split_device
from inpaint.engines.memory.budget import GB
from inpaint.engines.memory.forecast import MemoryPlan, Needs, plan_memory
from inpaint.engines.memory.residency import Residency
from inpaint.errors import BadConfig, InvalidRequest, ModelUnavailable
from inpaint.hub import verify, weights
from inpaint.hub.lockfile import lock_of
from inpaint.models.availability import is_on_disk
from inpaint.models.default_model import Choice, can_be_downloaded, default_model, ranked_models
from inpaint.models.families import FAMILIES, checked_spec
from inpaint.models.loaders import Runtime


class Models:
    """All specs, and their engines. Weights that fit into the memory budget stay loaded. Only the worker calls `engine`."""

    def __init__(self, config: AppConfig) -> None:
        self.specs: Mapping[str, ModelSpec] = {name: checked_spec(spec) for name, spec in config.models.items()}
        self.device: DeviceKind = probe_device(config.settings.device)
        dtype, gb = config.settings.dtype, config.settings.memory.budget_gb
        device = self.device if config.settings.device == "auto" else config.settings.device
        self.residency = Residency(device, None if gb == "auto" else int(gb * GB))
        self._runtime = Runtime(
            device, None if dtype == "auto" else dtype, config.data_dir / "made", self.residency, compiles=config.settings.speed.compile
        )
        self._engines: dict[tuple[str, Task], Any] = {}

    @property
    def default_dtype(self) -> str:
        """The number format that models will be loaded in, for figures that are stated before."""
        return self._runtime.dtype or ("float32" if self.device == "cpu" else "float16")

    def spec(self, name: object, task: Task) -> ModelSpec:
        """The spec of this name, with the controls that it has for this task.

        Raises InvalidRequest where there is no such model, or it cannot do the task.
        """
        able = [spec.name for spec in self.specs.values() if spec.can(task)]
        if not isinstance(name, str) or name not in self.specs:
            raise InvalidRequest("model", f"There is no model {str(name)[:40]!r}.", f"There are: {', '.join(able)}.")
        if name not in able:
            raise InvalidRequest("model", f"{self.specs[name].title} cannot {task}.", f"Models that can: {', '.join(able)}.")
        return self.specs[name].on_task(task)

    def ranked(self, task: Task, has_prompt: bool = True) -> list[ModelSpec]:
        """The models that fit a task, in the order in which they would run where none is named."""
        return ranked_models(self.specs.values(), task, has_prompt, lambda spec: self.is_available(spec, task), self.device)

    def default(self, task: Task, has_prompt: bool) -> Choice:
        """The model of a request that names none. Raises ModelUnavailable, saying how to get one."""
        choice = default_model(self.specs.values(), task, has_prompt, lambda spec: self.is_available(spec, task), self.device)
        if choice is None:
            raise self._none_is_here(task, has_prompt)
        return choice

    def limits(self, spec: ModelSpec) -> WorkingLimits:
        """The working extents of a model that inpaints, on this machine's device."""
        if spec.working is None:
            raise BadConfig(f"{spec.name}: working: a model that inpaints needs its working extents.")
        return spec.working.on(self.device)

    def is_available(self, spec: ModelSpec, task: Task | None = None) -> bool:
        """Whether everything that the model needs is on this disk; where no task is named, for any of its tasks."""
        wanted: tuple[Task, ...] = (task,) if task else spec.tasks
        return any(is_on_disk(spec, one) for one in wanted)

    def engine(self, spec: ModelSpec, task: Task, report: ProgressCallback) -> Any:
        """The engine of a spec for a task, opened once. It loads its weights when it runs.

        Raises ModelUnavailable, BadConfig, EditCancelled (from report).
        """
        key: tuple[str, Task] = (spec.name, task)
        if key in self._engines:
            self._select_card()
            return self._engines[key]
        ability = FAMILIES[spec.family][task]
        report(Progress("loading"))
        weights.locate(spec, ability.parts)
        verify.check_shipped(spec, ability.parts)
        _hush_libraries()
        self._engines[key] = ability.load(spec, self._runtime, report)
        return self._engines[key]

    def _select_card(self) -> None:
        """Selects a card that is named by its number for the thread that calls, as opening an engine did for its own."""
        kind, index = split_device(self._runtime.device)
        if kind == "cuda" and index is not None:
            from inpaint.engines.runtime.torch_device import select_card

            select_card(index)

    def bring(self, spec: ModelSpec, task: Task, report: ProgressCallback) -> None:
        """Loads a model's weights now, on the thread that calls. Raises as `engine` does."""
        engine = self.engine(spec, task, report)
        if self.has_weights(spec, task):
            engine.bring(report)

    def has_weights(self, spec: ModelSpec, task: Task) -> bool:
        """Whether the task is computed by a network, and so on a GPU where there is one."""
        return bool(FAMILIES[spec.family][task].parts)

    def residency_words(self, spec: ModelSpec) -> str:
        """What the memory budget restricts for a model, as a sentence; "" where nothing, or where its parameters are not known."""
        plans = (self.memory_plan(spec, task) for task in spec.tasks)
        return next((plan.words for plan in plans if plan and plan.words), "")

    def memory_plan(self, spec: ModelSpec, task: Task) -> MemoryPlan | None:
        """What the memory budget means for a model at its usual extent, computed from the parameters in its file.

        None where those, or the family's turns, are not known.
        """
        turns = FAMILIES[spec.family][task].turns
        if not turns or any(name not in spec.parameters for turn in turns for name in turn.parts):
            return None
        needs = Needs(turns, spec.parameters, self.default_dtype, self._usual_pixels(spec, task))
        return plan_memory(needs, self.residency.memory)

    def _usual_pixels(self, spec: ModelSpec, task: Task) -> int:
        """The area of the extent that a model works at by default."""
        if task == "generate":
            controls = spec.on_task(task).limits
            return int(controls["width"].default * controls["height"].default)
        working = self.limits(spec)
        return working.native_pixels or working.max_pixels

    def bytes_to_load(self, spec: ModelSpec, task: Task, is_first: bool) -> int:
        """How many bytes of weights a job loads before it computes, by the parameters in the model's file.

        All parts where the engine is not open yet, except those that are needed once; those where such a job never ran
        (is_first).
        """
        is_here = (spec.name, task) in self._engines
        turns = [turn for turn in FAMILIES[spec.family][task].turns if (is_first if turn.once else not is_here)]
        return sum(spec.parameters.get(name, 0) for turn in turns for name in turn.parts) * BYTES_PER_PARAMETER[self.default_dtype]

    def describe(self) -> list[dict[str, object]]:
        """Every model as plain data, for `models --json`, HTTP and the page.

        on_disk: whether any of its tasks can run. controls: those of all its tasks.
        """
        return [self._described(spec) for spec in self.specs.values()]

    def _none_is_here(self, task: Task, has_prompt: bool) -> ModelUnavailable:
        """The error where no model that fits is on this machine, and how to get the best one."""
        best = next(filter(can_be_downloaded, self.ranked(task, has_prompt)), None)
        hints = [weights.how_to_get(best, "one")] if best else []
        if task == "inpaint" and has_prompt:
            hints.append("leave the prompt out to erase")
        painters = "paints from words" if has_prompt or task != "inpaint" else "erases"
        return ModelUnavailable(f"No model that {painters} is on this machine.", f"{' - or '.join(hints)}." if hints else "")

    def _described(self, spec: ModelSpec) -> dict[str, object]:
        return {
            "name": spec.name,
            "title": spec.title,
            "tasks": list(spec.tasks),
            "summary": spec.summary,
            "on_disk": self.is_available(spec),
            "on_disk_by_task": {task: self.is_available(spec, task) for task in spec.tasks},
            "licence": spec.licence,
            "licence_url": spec.licence_url,
            "sources": {part: _pinned(source) for part, source in spec.sources.items()},
            "parameters": spec.parameter_count,
            "weights_bytes_computed": {dtype: spec.weight_bytes(dtype) for dtype in ("float16", "float32")},
            "memory": self.residency_words(spec),
            "controls": _controls(spec),
            "controls_by_task": {task: _controls(spec.on_task(task)) for task in spec.tasks},
            "schedulers": list(spec.schedulers),
        }


def _controls(spec: ModelSpec) -> list[str]:
    return sorted([*spec.limits, *(["prompt"] if spec.prompt else []), *(["negative_prompt"] if spec.negative_prompt else [])])


def _hush_libraries() -> None:
    """Stops transformers from warning at its import of what is missing here by choice, which is torchvision."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


def _pinned(source: Source) -> str:
    """The repository with its locked commit, or with the revision where nothing is locked; of a local folder its path."""
    if source.is_local:
        return source.repo_id
    lock = lock_of(source)
    return f"{source.repo_id}@{lock.commit if lock else source.revision}"
