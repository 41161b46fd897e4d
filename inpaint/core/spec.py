"""What a model can do: its tasks, controls, defaults and limits. A control without a limit does not exist for the model.

Capabilities are data. This module knows no model by name.
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
"""Configuration for pydantic: an unknown key in a settings file is an error and is not ignored."""

BYTES_PER_PARAMETER: Mapping[str, int] = MappingProxyType({"float32": 4, "float16": 2, "bfloat16": 2})


@dataclass(frozen=True)
class Limit:
    """A number's default and its inclusive range. A control that takes whole numbers has a whole minimum and a whole step."""

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
    """Which working extents the model takes, and how much context around the mask it needs.

    multiple: both sides are multiples of it. native_pixels: the area it paints best at; None = any up to max_pixels.
    cpu_pixels: the largest native area on a CPU. context: margin around the mask as a share of the mask's mean side.
    max_upscale: the most that a crop is enlarged.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    multiple: int
    max_pixels: int
    native_pixels: int | None = None
    cpu_pixels: int | None = None
    context: float = 0.5
    max_upscale: float = 4.0

    def on(self, device: DeviceKind) -> WorkingLimits:
        """Returns the limits on a device. On a CPU the native area is at most cpu_pixels, because each step takes seconds there."""
        if device != "cpu" or self.cpu_pixels is None:
            return self
        return replace(self, native_pixels=min(self.native_pixels or self.cpu_pixels, self.cpu_pixels))


@dataclass(frozen=True)
class Source:
    """Where one part of a model comes from. repo_id: a repository on the hub or a local folder.

    revision: a commit that was seen in public use, or "main" if none is known. cache_dir: the hub cache that the part lies in
    (None = the hub library's own). Only the settings set it, never a model's file. lock: the file that holds the size and
    hash of every file (hub/lockfile.py). The settings set it for downloads; a model's file may set it for a local folder.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    repo_id: str
    revision: str = "main"
    variant: str | None = None
    cache_dir: str | None = None
    lock: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether repo_id is a path: it starts with ".", "/", "~", a backslash, or a drive letter such as "C:"."""
        return self.repo_id.startswith((".", "/", "~", "\\")) or self.repo_id[1:2] == ":"


@dataclass(frozen=True)
class ModelSpec:
    """All that the page, the command line and the validation know of a model.

    priority: of the models that fit a request without a model's name, the one with the highest priority runs. fast_on: the
    devices on which a run takes between seconds and a minute. A model without sources runs on the CPU everywhere, and counts
    as fast.

    early_stop: whether a run can be ended early and its result kept. task_limits: controls that exist for one task only.

    knows: for a model with a small vocabulary, its prompts, ready to be typed ("a dog"); empty = it takes any words.
    also_knows: other words for these things. passes_over: words around a thing that the model was trained to ignore ("a photo
    of", "on a table").

    file: the file that the spec was read from. command: the shell command that downloads the weights, with the flags that
    were given; "" where nobody can run one, as on a Space. The settings set both.
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
        """Returns the memory that the weights take, from the parameter counts. Activations need more on top."""
        return self.parameter_count * BYTES_PER_PARAMETER[dtype]

    def can(self, task: Task) -> bool:
        return task in self.tasks

    def is_fast_on(self, device: DeviceKind) -> bool:
        """Returns whether a run takes at most about a minute if models compute on this device."""
        return device in self.fast_on or not self.sources

    def on_task(self, task: Task) -> ModelSpec:
        """Returns the same model with the controls that it has for this task."""
        return replace(self, limits={**self.limits, **self.task_limits.get(task, {})}, task_limits={})
