"""What a model can do: its tasks, controls, defaults and limits. An absent limit means that the control does not exist.

Capabilities are data. Knows no model by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, ClassVar, Literal

Task = Literal["inpaint", "image-to-image", "generate"]
DeviceKind = Literal["cpu", "cuda", "mps"]
SchedulerName = Literal["ddpm", "ddim", "dpm++"]

STRICT: dict[str, Any] = {"extra": "forbid"}
"""Read by the settings' validator: an unknown key in a model's file is an error, not ignored."""

BYTES_PER_PARAMETER: Mapping[str, int] = MappingProxyType({"float32": 4, "float16": 2, "bfloat16": 2})


@dataclass(frozen=True)
class Limit:
    """A number's default and its inclusive range. A whole-number control has whole bounds and a whole step."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    default: float
    minimum: float
    maximum: float
    step: float = 1

    @property
    def is_whole(self) -> bool:
        return float(self.step).is_integer() and float(self.minimum).is_integer()


@dataclass(frozen=True)
class WorkingLimits:
    """Which working extents the model takes, and how much context round the mask it wants.

    multiple: both sides are multiples of it. native_pixels: the area it paints best at; None = any up to max_pixels.
    context: margin round the mask as a share of the mask's mean side. max_upscale: the crop is never enlarged more.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    multiple: int
    max_pixels: int
    native_pixels: int | None = None
    cpu_pixels: int | None = None
    context: float = 0.5
    max_upscale: float = 4.0

    def on(self, device: DeviceKind) -> WorkingLimits:
        """On a CPU a step costs seconds: the native area is bounded by cpu_pixels there."""
        if device != "cpu" or self.cpu_pixels is None:
            return self
        return replace(self, native_pixels=min(self.native_pixels or self.cpu_pixels, self.cpu_pixels))


@dataclass(frozen=True)
class Source:
    """Where one part of a model comes from. repo_id: a hub repository or a local folder.

    revision: a commit that was seen in public use, or "main" where none is known. cache_dir: filled in by the settings, never by a
    model's file: the hub cache that it lies in (None = the hub library's own). lock: the file that holds the size and hash of every
    file (hub/lockfile.py). The settings fill it in for what is downloaded; of a local folder its model's file may name one.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    repo_id: str
    revision: str = "main"
    variant: str | None = None
    cache_dir: str | None = None
    lock: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether repo_id is a path: it starts like one ("./", "../", "/", "~", "C:")."""
        return self.repo_id.startswith((".", "/", "~", "\\")) or self.repo_id[1:2] == ":"


@dataclass(frozen=True)
class ModelSpec:
    """All that the page, the command line and the validation know of a model.

    priority: of models that fit a request that names none, the one with the highest runs. fast_on: the devices on which a run
    takes seconds to a minute; a model without sources runs on the CPU everywhere, and is fast there.
    early_stop: a run can be ended early and used as it is. task_limits: controls that exist for one task only.
    knows: the prompts of a model that knows a few things only, ready to be typed ("a dog"); empty = it takes any words. also_knows:
    other words for these things. passes_over: words that it was taught to read round a thing ("a photo of", "on a table").
    file, command: filled in by the settings: where it was read from, and what gets its weights on the command line, with the flags
    that were given; "" where nobody has one, as on a Space.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    name: str
    title: str
    family: str
    tasks: tuple[Task, ...]
    summary: str = ""
    priority: int = 50
    fast_on: tuple[DeviceKind, ...] = ("cuda",)
    licence: str = ""
    licence_url: str = ""
    sources: Mapping[str, Source] = field(default_factory=dict[str, Source])
    parameters: Mapping[str, int] = field(default_factory=dict[str, int])
    prompt: bool = True
    negative_prompt: bool = False
    early_stop: bool = False
    knows: tuple[str, ...] = ()
    also_knows: tuple[str, ...] = ()
    passes_over: tuple[str, ...] = ()
    schedulers: tuple[SchedulerName, ...] = ()
    limits: Mapping[str, Limit] = field(default_factory=dict[str, Limit])
    task_limits: Mapping[Task, Mapping[str, Limit]] = field(default_factory=dict[Task, Mapping[str, Limit]])
    working: WorkingLimits | None = None
    file: str = ""
    command: str = ""

    @property
    def parameter_count(self) -> int:
        return sum(self.parameters.values())

    def weight_bytes(self, dtype: str) -> int:
        """Memory that the weights take, computed from the parameter counts; activations come on top."""
        return self.parameter_count * BYTES_PER_PARAMETER[dtype]

    def can(self, task: Task) -> bool:
        return task in self.tasks

    def is_fast_on(self, device: DeviceKind) -> bool:
        """Whether a run takes seconds to a minute where models compute on this device."""
        return device in self.fast_on or not self.sources

    def on_task(self, task: Task) -> ModelSpec:
        """The same model with the controls that it has for this task."""
        return replace(self, limits={**self.limits, **self.task_limits.get(task, {})}, task_limits={})
