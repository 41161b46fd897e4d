"""The models of this installation: which are there, which one runs, and the loaded engine. Imports an engine on first use.

Specs come from configs/models/*.toml; a family names the code that runs a spec. Knows no page and no queue.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from inpaint.config.settings import AppConfig
from inpaint.config.toml_file import TomlFile
from inpaint.core.progress import Progress, ProgressCallback
from inpaint.core.spec import BYTES_PER_PARAMETER, DeviceKind, ModelSpec, Source, Task, WorkingLimits
from inpaint.engines.base import Generator, Inpainter, Reimaginer
from inpaint.engines.runtime.budget import (
    DENOISER_PIXEL_BYTES,
    GB,
    MOVQ_PIXEL_BYTES,
    VAE_PIXEL_BYTES,
    WORDS_BYTES,
    MemoryPlan,
    Needs,
    Turn,
    plan_memory,
)
from inpaint.engines.runtime.device import probe_device
from inpaint.engines.runtime.lru import Recent
from inpaint.engines.runtime.residency import Residency
from inpaint.errors import BadConfig, InvalidRequest, ModelUnavailable
from inpaint.hub import verify, weights
from inpaint.hub.lockfile import lock_of

ERASE, HEART, MINI = "erase", "kandinsky-2.2", "kandinsky-mini"
DEVICE_TITLES: Mapping[DeviceKind, str] = {"cpu": "the CPU", "cuda": "the GPU (CUDA)", "mps": "the GPU (Metal)"}


@dataclass(frozen=True)
class Choice:
    """Which model runs, and why in one sentence."""

    spec: ModelSpec
    reason: str


@dataclass(frozen=True)
class Runtime:
    """What an engine needs to know of this machine. made_dir: for what can be made again (the zero embedding).

    residency, recent: the parts in memory and the embeddings of all models, which engines share. compiles: by torch.compile, what
    can be.
    """

    device: str
    dtype: str | None
    made_dir: Path
    residency: Residency = field(default_factory=lambda: Residency("cpu"))
    recent: Recent[Any, Any] = field(default_factory=Recent[Any, Any])
    compiles: bool = False


def _hush_libraries() -> None:
    """transformers warns at import of what is missing here by choice (torchvision); a person's terminal is not for that."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


def _load_kandinsky22(spec: ModelSpec, runtime: Runtime, report: ProgressCallback) -> Inpainter:
    from inpaint.engines.kandinsky.engine import Kandinsky22

    return _fitting(spec, Kandinsky22.load(**_kandinsky22(spec, runtime, "decoder"), report=report), "its MoVQ")


def _load_kandinsky22_image(spec: ModelSpec, runtime: Runtime, report: ProgressCallback) -> Reimaginer:
    from inpaint.engines.kandinsky.engine import Kandinsky22ImageToImage

    engine = Kandinsky22ImageToImage.load(**_kandinsky22(spec, runtime, "image_decoder"), report=report)
    return _fitting(spec, engine, "its MoVQ")


def _kandinsky22(spec: ModelSpec, runtime: Runtime, decoder: str) -> dict[str, Any]:
    from inpaint.engines.runtime.compilation import Compiler
    from inpaint.engines.runtime.diffusion import choose_device, choose_dtype

    folders = weights.locate(spec, ("prior", decoder))
    device = choose_device(runtime.device)
    return {"prior": str(folders["prior"]), "decoder": str(folders[decoder]), "device": device,
            "dtype": choose_dtype(device, runtime.dtype), "cache_dir": runtime.made_dir, "model": spec.name, "way": weights.way_to(spec),
            "prior_variant": spec.sources["prior"].variant, "decoder_variant": spec.sources[decoder].variant,
            "residency": runtime.residency, "recent": runtime.recent, "compiler": Compiler() if runtime.compiles else None}


def _load_sdxl(spec: ModelSpec, runtime: Runtime, report: ProgressCallback) -> Generator:
    from inpaint.engines.pipelines.text_to_image import SdxlTextToImage

    return SdxlTextToImage.load(**_pipeline(spec, runtime), report=report)


def _load_diffusers_inpaint(spec: ModelSpec, runtime: Runtime, report: ProgressCallback) -> Inpainter:
    """Also raises BadConfig: which controls a pipeline has is known once its repository is here."""
    from inpaint.engines.pipelines.inpaint import DiffusersInpaint

    engine = DiffusersInpaint.load(**_pipeline(spec, runtime), report=report)
    if lacking := engine.lacks([*spec.limits, *(["negative_prompt"] if spec.negative_prompt else [])]):
        key = f"limits.{lacking[0]}" if lacking[0] in spec.limits else lacking[0]
        raise _file_of(spec).wrong(key, f"{engine.pipeline} has no {', '.join(lacking)}", "Take it out of the model's file.")
    return _fitting(spec, engine, engine.pipeline)


def _fitting(spec: ModelSpec, engine: Any, name: str) -> Any:
    """The engine, where it takes the file's working extents, which is known once its repository is here. Raises BadConfig."""
    if spec.working is not None and spec.working.multiple % engine.size_multiple:
        raise _file_of(spec).wrong("working.multiple", f"{name} needs a multiple of {engine.size_multiple}")
    return engine


def _file_of(spec: ModelSpec) -> TomlFile:
    return TomlFile(Path(spec.file or spec.name))


def _pipeline(spec: ModelSpec, runtime: Runtime) -> dict[str, Any]:
    """What engines of one pipeline are opened with."""
    from inpaint.engines.runtime.diffusion import choose_device, choose_dtype

    folder, device = weights.locate(spec, ("pipeline",))["pipeline"], choose_device(runtime.device)
    return {"source": str(folder), "device": device, "dtype": choose_dtype(device, runtime.dtype),
            "variant": spec.sources["pipeline"].variant, "model": spec.name, "way": weights.way_to(spec), "residency": runtime.residency}


def _load_patchmatch(spec: ModelSpec, runtime: Runtime, report: ProgressCallback) -> Inpainter:
    from inpaint.engines.erase.patchmatch import Erase

    return Erase.load()


@dataclass(frozen=True)
class Ability:
    """One task of a family. parts: the sources that it needs, by name. load: gives the engine of that task, which brings its
    weights by itself, through runtime.residency.

    working: the extents where a model's file names none; None for a task that sees no picture.
    controls: the keys of a model's file that its code reads; another one would be shown and do nothing.
    turns: which of the spec's parameters are needed at the same time, for what is said of a memory budget.
    holds: which of them lie in each source, for what is said of a download; all, where it is not told.
    """

    parts: tuple[str, ...]
    load: Callable[[ModelSpec, Runtime, ProgressCallback], Any]
    working: WorkingLimits | None = None
    controls: frozenset[str] = frozenset()
    turns: tuple[Turn, ...] = ()
    holds: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])


def _kandinsky22_turns(unet: str) -> tuple[Turn, ...]:
    return (Turn("prior", ("text_encoder", "prior"), WORDS_BYTES), Turn("image encoder", ("image_encoder",), WORDS_BYTES, once=True),
            Turn("decoder", ("movq", unet), pixel_bytes=MOVQ_PIXEL_BYTES, slices=True))


SDXL_TURNS = (Turn("text encoders", ("text_encoder", "text_encoder_2"), WORDS_BYTES),
              Turn("UNet", ("unet",), pixel_bytes=DENOISER_PIXEL_BYTES),
              Turn("autoencoder", ("vae",), pixel_bytes=VAE_PIXEL_BYTES, in_float32=True, tiles=True))

KANDINSKY_HOLDS = {"prior": ("prior", "text_encoder", "image_encoder"), "decoder": ("movq", "unet"), "image_decoder": ("movq", "image_unet")}

WORDS = frozenset({"prompt", "negative_prompt", "num_inference_steps", "guidance_scale"})
EARLY = frozenset({"schedulers", "early_stop"})
PRIOR = frozenset({"prior_num_inference_steps", "prior_guidance_scale"})
STRENGTH, SIZE = frozenset({"strength"}), frozenset({"width", "height"})

TEXTURES = WorkingLimits(multiple=1, max_pixels=512 * 1024, context=1.0, max_upscale=1.0)
KANDINSKY = WorkingLimits(multiple=64, native_pixels=768**2, cpu_pixels=512**2, max_pixels=1024**2, max_upscale=3.0)
PIPELINE = WorkingLimits(multiple=16, native_pixels=768**2, max_pixels=1024**2)
"""What every pipeline takes (FLUX needs multiples of 16), between what SD 1.5 (512) and SDXL or FLUX (1024) were trained at."""

FAMILIES: Mapping[str, Mapping[Task, Ability]] = {
    "kandinsky22": {
        "inpaint": Ability(("prior", "decoder"), _load_kandinsky22, KANDINSKY, WORDS | EARLY | PRIOR, _kandinsky22_turns("unet"),
                           KANDINSKY_HOLDS),
        "image-to-image": Ability(("prior", "image_decoder"), _load_kandinsky22_image, KANDINSKY, WORDS | EARLY | PRIOR | STRENGTH,
                                  _kandinsky22_turns("image_unet"), KANDINSKY_HOLDS)},
    "sdxl": {"generate": Ability(("pipeline",), _load_sdxl, None, WORDS | SIZE, SDXL_TURNS)},
    "diffusers-inpaint": {"inpaint": Ability(("pipeline",), _load_diffusers_inpaint, PIPELINE, WORDS | EARLY | STRENGTH, SDXL_TURNS)},
    "patchmatch": {"inpaint": Ability((), _load_patchmatch, TEXTURES)},
}
"""What each family's code does."""


def bytes_to_fetch(spec: ModelSpec, *tasks: Task) -> int:
    """What a download for these tasks brings, without what is on this disk: as locked, else by the parameters in the model's file,
    about. 0 where neither is known."""
    holds = {part: FAMILIES[spec.family][task].holds.get(part, tuple(spec.parameters))
             for task in tasks for part in FAMILIES[spec.family][task].parts}
    return sum(_download_bytes(spec, part, names) for part, names in holds.items()
               if not spec.sources[part].is_local and weights.find(spec.sources[part]) is None)


def _download_bytes(spec: ModelSpec, part: str, names: Iterable[str]) -> int:
    """Files of no variant hold float32, as those of all models that ship with the app do."""
    source = spec.sources[part]
    if lock := lock_of(source):
        return sum(file.size for file in lock.files.values())
    return sum(spec.parameters.get(name, 0) for name in names) * BYTES_PER_PARAMETER["float16" if source.variant else "float32"]


def _check(spec: ModelSpec) -> None:
    """Refuse at the start what would fail at the first run. Raises BadConfig."""
    file = _file_of(spec)
    if spec.family not in FAMILIES:
        raise file.wrong("family", f"there is no family {spec.family!r}; there are {', '.join(FAMILIES)}")
    able = FAMILIES[spec.family]
    if beyond := [task for task in spec.tasks if task not in able]:
        raise file.wrong("tasks", f"{spec.family} cannot {', '.join(sorted(beyond))}")
    if missing := {part for task in spec.tasks for part in able[task].parts} - set(spec.sources):
        raise file.wrong("sources", f"{spec.family} needs {', '.join(sorted(missing))}", because="family")
    if spec.can("generate") and (missing := {"width", "height"} - set(spec.on_task("generate").limits)):
        raise file.wrong("limits", f"a model that generates needs {', '.join(sorted(missing))}", because="tasks")
    for task in spec.tasks:
        _check_controls(file, spec, task)


def _check_controls(file: TomlFile, spec: ModelSpec, task: Task) -> None:
    """Refuse a control that would be shown and do nothing, by the key that makes it. Raises BadConfig."""
    keys = {name: f"limits.{name}" for name in spec.limits} | \
        {name: f"task_limits.{task}.{name}" for name in spec.task_limits.get(task, {})} | \
        {name: name for name in ("prompt", "negative_prompt", "early_stop", "schedulers") if getattr(spec, name)}
    for name in sorted(keys.keys() - FAMILIES[spec.family][task].controls):
        useful = [other for other in spec.tasks if name in spec.limits and name in FAMILIES[spec.family][other].controls]
        hint = f"Put it into [task_limits.{useful[0]}]." if useful else "Take it out of the model's file."
        raise file.wrong(keys[name], f"{spec.family} does not use it for {task}",
                         "Set prompt = false." if name == "prompt" else hint, because="family")


def _whole(spec: ModelSpec) -> ModelSpec:
    """With the extents of its family where its file names none. Raises BadConfig where the file is wrong."""
    _check(spec)
    usual = next((able.working for task in spec.tasks if (able := FAMILIES[spec.family][task]).working), None)
    return replace(spec, working=spec.working or usual)


class Models:
    """All specs, and their engines: what fits into the memory budget stays loaded. `engine` is called by the worker only."""

    def __init__(self, config: AppConfig) -> None:
        self.specs: Mapping[str, ModelSpec] = {name: _whole(spec) for name, spec in config.models.items()}
        self.device: DeviceKind = probe_device(config.settings.device)
        dtype, gb = config.settings.dtype, config.settings.memory.budget_gb
        device = self.device if config.settings.device == "auto" else config.settings.device
        self.residency = Residency(device, None if gb == "auto" else int(gb * GB))
        self._runtime = Runtime(device, None if dtype == "auto" else dtype, config.data_dir / "made", self.residency,
                                compiles=config.settings.speed.compile)
        self._engines: dict[tuple[str, Task], Any] = {}

    @property
    def default_dtype(self) -> str:
        """For the memory that is stated before anything is loaded."""
        return self._runtime.dtype or ("float32" if self.device == "cpu" else "float16")

    def spec(self, name: object, task: Task) -> ModelSpec:
        """With the controls that it has for this task. Raises InvalidRequest where there is no such model or it does something else."""
        able = [spec.name for spec in self.specs.values() if spec.can(task)]
        if not isinstance(name, str) or name not in self.specs:
            raise InvalidRequest("model", f"There is no model {str(name)[:40]!r}.", f"There are: {', '.join(able)}.")
        if name not in able:
            raise InvalidRequest("model", f"{self.specs[name].title} cannot {task}.", f"Models that can: {', '.join(able)}.")
        return self.specs[name].on_task(task)

    def handiest(self, task: Task) -> list[ModelSpec]:
        """Those that can: what is on this machine before what is not, and what takes fewer steps before what takes more."""
        def effort(spec: ModelSpec) -> tuple[bool, float]:
            steps = spec.on_task(task).limits.get("num_inference_steps")
            return not self.is_available(spec, task), steps.default if steps else 1

        return sorted((spec for spec in self.specs.values() if spec.can(task)), key=effort)

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
        """The model for an edit that names none. Raises ModelUnavailable, saying how to get one."""
        if not prompt:
            return Choice(self.spec(ERASE, "inpaint"), "no prompt: filled from the picture itself")
        if self.device == "cuda" and self._has(HEART):
            return Choice(self.spec(HEART, "inpaint"), "it is on this machine, and so is a CUDA GPU")
        if self._has(MINI):
            return Choice(self.spec(MINI, "inpaint"), f"the small demonstration model, on {DEVICE_TITLES[self.device]}")
        if self._has(HEART):
            return Choice(self.spec(HEART, "inpaint"), f"it is on this machine; on {DEVICE_TITLES[self.device]} it is slow")
        raise ModelUnavailable("No model that paints from words is on this machine.",
                               f"{weights.way_to(self.specs[HEART], 'one')} - or leave the prompt out to erase.")

    def engine(self, spec: ModelSpec, task: Task, report: ProgressCallback) -> Any:
        """The engine of a spec for a task; it loads its weights when it runs. Raises ModelUnavailable, EditCancelled (from report)."""
        key: tuple[str, Task] = (spec.name, task)
        if key in self._engines:
            return self._engines[key]
        ability = FAMILIES[spec.family][task]
        report(Progress("loading"))
        weights.locate(spec, ability.parts)
        verify.check_shipped(spec, ability.parts)
        _hush_libraries()
        self._engines[key] = ability.load(spec, self._runtime, report)
        return self._engines[key]

    def bring(self, spec: ModelSpec, task: Task, report: ProgressCallback) -> None:
        """Load a model's weights now, on the thread that calls. Raises as `engine` does."""
        engine = self.engine(spec, task, report)
        if self.has_weights(spec, task):
            engine.bring(report)

    def has_weights(self, spec: ModelSpec, task: Task) -> bool:
        """Whether its family computes with a network, which a GPU is for."""
        return bool(FAMILIES[spec.family][task].parts)

    def residency_words(self, spec: ModelSpec) -> str:
        """What the memory budget restricts for a model, as a sentence; "" where nothing, or where its parameters are not known."""
        plans = (self.memory_plan(spec, task) for task in spec.tasks)
        return next((plan.words for plan in plans if plan and plan.words), "")

    def memory_plan(self, spec: ModelSpec, task: Task) -> MemoryPlan | None:
        """Computed from the parameters in the model's file; None where those or the family's turns are not known."""
        turns = FAMILIES[spec.family][task].turns
        if not turns or any(name not in spec.parameters for turn in turns for name in turn.parts):
            return None
        needs = Needs(turns, spec.parameters, self.default_dtype, self._usual_pixels(spec, task))
        return plan_memory(needs, self.residency.budget, self.device)

    def _usual_pixels(self, spec: ModelSpec, task: Task) -> int:
        """Of the extent that a model works at where nobody says otherwise."""
        if task == "generate":
            controls = spec.on_task(task).limits
            return int(controls["width"].default * controls["height"].default)
        working = self.limits(spec)
        return working.native_pixels or working.max_pixels

    def bytes_to_load(self, spec: ModelSpec, task: Task, is_first: bool) -> int:
        """Of weights, before a job computes, by the parameters in the model's file: all where its engine is not here, and what is
        needed once where such a job never ran (is_first)."""
        is_here = (spec.name, task) in self._engines
        turns = [turn for turn in FAMILIES[spec.family][task].turns if (is_first if turn.once else not is_here)]
        return sum(spec.parameters.get(name, 0) for turn in turns for name in turn.parts) * BYTES_PER_PARAMETER[self.default_dtype]

    def describe(self) -> list[dict[str, object]]:
        """Every model as plain data, for `models --json`, HTTP and the page. on_disk: for any of its tasks; controls: for all of them."""
        return [self._described(spec) for spec in self.specs.values()]

    def _has(self, name: str) -> bool:
        return name in self.specs and self.specs[name].can("inpaint") and self.is_available(self.specs[name], "inpaint")

    def _described(self, spec: ModelSpec) -> dict[str, object]:
        return {"name": spec.name, "title": spec.title, "tasks": list(spec.tasks), "summary": spec.summary,
                "on_disk": self.is_available(spec), "on_disk_by_task": {task: self.is_available(spec, task) for task in spec.tasks},
                "licence": spec.licence, "licence_url": spec.licence_url,
                "sources": {part: _pinned(source) for part, source in spec.sources.items()},
                "parameters": spec.parameter_count,
                "weights_bytes_computed": {dtype: spec.weight_bytes(dtype) for dtype in ("float16", "float32")},
                "memory": self.residency_words(spec),
                "controls": _controls(spec),
                "controls_by_task": {task: _controls(spec.on_task(task)) for task in spec.tasks},
                "schedulers": list(spec.schedulers)}


def _controls(spec: ModelSpec) -> list[str]:
    return sorted([*spec.limits, *(["prompt"] if spec.prompt else []), *(["negative_prompt"] if spec.negative_prompt else [])])


def _pinned(source: Source) -> str:
    """With the locked commit, once there is one; a local folder has neither."""
    if source.is_local:
        return source.repo_id
    lock = lock_of(source)
    return f"{source.repo_id}@{lock.commit if lock else source.revision}"
