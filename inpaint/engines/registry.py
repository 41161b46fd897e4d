"""The models of this installation: which are there, which one runs, and the loaded engine. Imports an engine on first use.

Specs come from configs/models/*.toml; a family names the code that runs a spec. Knows no page and no queue.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inpaint.config import AppConfig
from inpaint.core.result import Progress
from inpaint.core.spec import DeviceKind, ModelSpec, Task, WorkingLimits
from inpaint.engines import weights
from inpaint.engines.base import Generator, Inpainter, Report
from inpaint.engines.device import probe_device
from inpaint.errors import BadConfig, InvalidRequest, ModelUnavailable

ERASE, HEART, MINI = "erase", "kandinsky-2.2", "kandinsky-mini"
DEVICE_TITLES: Mapping[DeviceKind, str] = {"cpu": "the CPU", "cuda": "the GPU (CUDA)", "mps": "the GPU (Metal)"}


@dataclass(frozen=True)
class Choice:
    """Which model runs, and why in one sentence."""

    spec: ModelSpec
    reason: str


@dataclass(frozen=True)
class Runtime:
    """What an engine needs to know of this machine. made_dir: for what can be made again (the zero embedding)."""

    device: str
    dtype: str | None
    made_dir: Path


def _hush_libraries() -> None:
    """transformers warns at import of what is missing here by choice (torchvision); a person's terminal is not for that."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


def _load_kandinsky22(spec: ModelSpec, runtime: Runtime, report: Report) -> Inpainter:
    from inpaint.engines.diffusion import choose_device, choose_dtype
    from inpaint.engines.kandinsky22 import Kandinsky22

    folders = weights.locate(spec, ("prior", "decoder"))
    device = choose_device(runtime.device)
    return Kandinsky22.load(str(folders["prior"]), str(folders["decoder"]), device=device,
                            dtype=choose_dtype(device, runtime.dtype), cache_dir=runtime.made_dir, report=report,
                            prior_variant=spec.sources["prior"].variant, decoder_variant=spec.sources["decoder"].variant,
                            model=spec.name)


def _load_sdxl(spec: ModelSpec, runtime: Runtime, report: Report) -> Generator:
    from inpaint.engines.diffusion import choose_device, choose_dtype
    from inpaint.engines.sdxl import SdxlTextToImage

    folder = weights.locate(spec, ("pipeline",))["pipeline"]
    device = choose_device(runtime.device)
    return SdxlTextToImage.load(str(folder), device=device, dtype=choose_dtype(device, runtime.dtype),
                                variant=spec.sources["pipeline"].variant, report=report, model=spec.name)


def _load_patchmatch(spec: ModelSpec, runtime: Runtime, report: Report) -> Inpainter:
    from inpaint.engines.patchmatch import Erase

    return Erase.load()


@dataclass(frozen=True)
class Ability:
    """One task of a family. parts: the sources that it needs, by name. load: gives the engine of that task."""

    parts: tuple[str, ...]
    load: Callable[[ModelSpec, Runtime, Report], Any]


FAMILIES: Mapping[str, Mapping[Task, Ability]] = {
    "kandinsky22": {"inpaint": Ability(("prior", "decoder"), _load_kandinsky22)},
    "sdxl": {"generate": Ability(("pipeline",), _load_sdxl)},
    "patchmatch": {"inpaint": Ability((), _load_patchmatch)},
}
"""What each family's code does."""


def _check(spec: ModelSpec) -> None:
    """Refuse at the start what would fail at the first run. Raises BadConfig."""
    if spec.family not in FAMILIES:
        raise BadConfig(f"{spec.name}: family: there is no family {spec.family!r}; there are {', '.join(FAMILIES)}.")
    able = FAMILIES[spec.family]
    if beyond := [task for task in spec.tasks if task not in able]:
        raise BadConfig(f"{spec.name}: tasks: {spec.family} cannot {', '.join(sorted(beyond))}.")
    if missing := {part for task in spec.tasks for part in able[task].parts} - set(spec.sources):
        raise BadConfig(f"{spec.name}: sources: {spec.family} needs {', '.join(sorted(missing))}.")
    if spec.can("generate") and (missing := {"width", "height"} - set(spec.limits)):
        raise BadConfig(f"{spec.name}: limits: a model that generates needs {', '.join(sorted(missing))}.")


class Models:
    """All specs, and at most one loaded engine with weights at a time. `engine` is called by the worker only."""

    def __init__(self, config: AppConfig) -> None:
        for spec in config.models.values():
            _check(spec)
        self.specs = config.models
        self.device: DeviceKind = probe_device(config.settings.device)
        dtype = config.settings.dtype
        self._runtime = Runtime(self.device if config.settings.device == "auto" else config.settings.device,
                                None if dtype == "auto" else dtype, config.data_dir / "made")
        self._light: dict[tuple[str, Task], Any] = {}
        self._heavy: tuple[tuple[str, Task], Any] | None = None

    @property
    def default_dtype(self) -> str:
        """For the memory that is stated before anything is loaded."""
        return self._runtime.dtype or ("float16" if self.device == "cuda" else "float32")

    def spec(self, name: object, task: Task) -> ModelSpec:
        """With the controls that it has for this task. Raises InvalidRequest where there is no such model or it does something else."""
        able = [spec.name for spec in self.specs.values() if spec.can(task)]
        if not isinstance(name, str) or name not in self.specs:
            raise InvalidRequest("model", f"There is no model {str(name)[:40]!r}.", f"There are: {', '.join(able)}.")
        if name not in able:
            raise InvalidRequest("model", f"{self.specs[name].title} cannot {task}.", f"Models that can: {', '.join(able)}.")
        return self.specs[name].on_task(task)

    def limits(self, spec: ModelSpec) -> WorkingLimits:
        """The working extents of a model that inpaints, on this machine's device."""
        if spec.working is None:
            raise BadConfig(f"{spec.name}: working: a model that inpaints needs its working extents.")
        return spec.working.on(self.device)

    def is_available(self, spec: ModelSpec, task: Task | None = None) -> bool:
        """Whether the model can run now (any of its tasks, if none is named): everything it needs is on this disk."""
        wanted: tuple[Task, ...] = (task,) if task else spec.tasks
        return any(weights.are_on_disk(spec, FAMILIES[spec.family][one].parts) for one in wanted)

    def choose(self, prompt: str) -> Choice:
        """The model for an edit that names none. Raises ModelUnavailable, naming the command that gets one."""
        if not prompt:
            return Choice(self.spec(ERASE, "inpaint"), "no prompt: filled from the picture itself")
        if self.device == "cuda" and self._has(HEART):
            return Choice(self.specs[HEART], "it is on this machine, and so is a CUDA GPU")
        if self._has(MINI):
            return Choice(self.specs[MINI], f"the small demonstration model, on {DEVICE_TITLES[self.device]}")
        if self._has(HEART):
            return Choice(self.specs[HEART], f"it is on this machine; on {DEVICE_TITLES[self.device]} it is slow")
        raise ModelUnavailable("No model that paints from words is on this machine.",
                               f"Get one with: python -m inpaint models --download {HEART} - "
                               "or leave the prompt out to erase.")

    def engine(self, spec: ModelSpec, task: Task, report: Report) -> Any:
        """The loaded engine of a spec for a task, kept for the next job. Another model's weights are released first."""
        ability = FAMILIES[spec.family][task]
        key: tuple[str, Task] = (spec.name, task)
        if key in self._light:
            return self._light[key]
        if self._heavy and self._heavy[0] == key:
            return self._heavy[1]
        report(Progress("loading"))
        if not ability.parts:
            self._light[key] = ability.load(spec, self._runtime, report)
            return self._light[key]
        weights.locate(spec, ability.parts)
        self._heavy = None
        _hush_libraries()
        self._heavy = (key, ability.load(spec, self._runtime, report))
        return self._heavy[1]

    def describe(self) -> list[dict[str, object]]:
        """Every model as plain data, for `models --json`, HTTP and the page."""
        return [self._described(spec) for spec in self.specs.values()]

    def _has(self, name: str) -> bool:
        return name in self.specs and self.is_available(self.specs[name])

    def _described(self, spec: ModelSpec) -> dict[str, object]:
        return {"name": spec.name, "title": spec.title, "tasks": list(spec.tasks), "summary": spec.summary,
                "on_disk": self.is_available(spec), "licence": spec.licence, "licence_url": spec.licence_url,
                "sources": {part: f"{source.repo_id}@{source.revision}" for part, source in spec.sources.items()},
                "parameters": spec.parameter_count,
                "weights_bytes_computed": {dtype: spec.weight_bytes(dtype) for dtype in ("float16", "float32")},
                "controls": sorted([*spec.limits, *(["prompt"] if spec.prompt else []),
                                    *(["negative_prompt"] if spec.negative_prompt else [])]),
                "schedulers": list(spec.schedulers)}
