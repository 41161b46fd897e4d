"""What each family of models can do: its tasks, the sources and controls of each, and how it is loaded.

A model's file names its family; what the family's code cannot do with the file is refused at the start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from inpaint.config.toml_file import TomlFile
from inpaint.core.progress import ProgressCallback
from inpaint.core.spec import ModelSpec, Task, WorkingLimits
from inpaint.engines.memory.activations import DENOISER_PIXEL_BYTES, MOVQ_PIXEL_BYTES, VAE_PIXEL_BYTES, WORDS_BYTES
from inpaint.engines.memory.forecast import Turn
from inpaint.engines.memory.rule import Measure
from inpaint.models.loaders import (
    Runtime,
    file_of,
    load_diffusers_inpaint,
    load_kandinsky22,
    load_kandinsky22_image,
    load_patchmatch,
    load_sdxl,
)


@dataclass(frozen=True)
class Ability:
    """One task of a family.

    parts: the names of the sources that it needs. load: opens the engine, whose weights are brought when it runs, through
    runtime.residency. working: the extents where a model's file names none; None for a task that sees no picture.
    controls: the keys of a model's file that the code reads. turns: which of the spec's parameters are needed at the same
    time, for the memory forecast. holds: which of them lie in each source, for the size of a download; all of them in a
    source that is not named.
    """

    parts: tuple[str, ...]
    load: Callable[[ModelSpec, Runtime, ProgressCallback], Any]
    working: WorkingLimits | None = None
    controls: frozenset[str] = frozenset()
    turns: tuple[Turn, ...] = ()
    holds: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])


def _kandinsky22_turns(unet: str) -> tuple[Turn, ...]:
    return (
        Turn("prior", ("text_encoder", "prior"), WORDS_BYTES),
        Turn("image encoder", ("image_encoder",), WORDS_BYTES, once=True),
        Turn("decoder", ("movq", unet), pixel_bytes=MOVQ_PIXEL_BYTES, measures=frozenset({Measure.STREAMED, Measure.SLICED})),
    )


SDXL_TURNS = (
    Turn("text encoders", ("text_encoder", "text_encoder_2"), WORDS_BYTES),
    Turn("UNet", ("unet",), pixel_bytes=DENOISER_PIXEL_BYTES),
    Turn("autoencoder", ("vae",), pixel_bytes=VAE_PIXEL_BYTES, in_float32=True, measures=frozenset({Measure.STREAMED, Measure.TILED})),
)

KANDINSKY_HOLDS = {
    "prior": ("prior", "text_encoder", "image_encoder"),
    "decoder": ("movq", "unet"),
    "image_decoder": ("movq", "image_unet"),
}

WORDS = frozenset({"prompt", "negative_prompt", "num_inference_steps", "guidance_scale"})
EARLY = frozenset({"schedulers", "early_stop"})
PRIOR = frozenset({"prior_num_inference_steps", "prior_guidance_scale"})
STRENGTH, SIZE = frozenset({"strength"}), frozenset({"width", "height"})

TEXTURES = WorkingLimits(multiple=1, max_pixels=512 * 1024, context=1.0, max_upscale=1.0)
KANDINSKY = WorkingLimits(multiple=64, native_pixels=768**2, cpu_pixels=512**2, max_pixels=1024**2, max_upscale=3.0)
PIPELINE = WorkingLimits(multiple=16, native_pixels=768**2, max_pixels=1024**2)
"""The extents that every pipeline takes: FLUX needs multiples of 16, SD 1.5 was trained at 512 px, SDXL and FLUX at 1024 px."""

FAMILIES: Mapping[str, Mapping[Task, Ability]] = {
    "kandinsky22": {
        "inpaint": Ability(
            ("prior", "decoder"), load_kandinsky22, KANDINSKY, WORDS | EARLY | PRIOR, _kandinsky22_turns("unet"), KANDINSKY_HOLDS
        ),
        "image-to-image": Ability(
            ("prior", "image_decoder"),
            load_kandinsky22_image,
            KANDINSKY,
            WORDS | EARLY | PRIOR | STRENGTH,
            _kandinsky22_turns("image_unet"),
            KANDINSKY_HOLDS,
        ),
    },
    "sdxl": {"generate": Ability(("pipeline",), load_sdxl, None, WORDS | SIZE, SDXL_TURNS)},
    "diffusers-inpaint": {"inpaint": Ability(("pipeline",), load_diffusers_inpaint, PIPELINE, WORDS | EARLY | STRENGTH, SDXL_TURNS)},
    "patchmatch": {"inpaint": Ability((), load_patchmatch, TEXTURES)},
}
"""The families by their name in a model's file, and their tasks."""


def checked_spec(spec: ModelSpec) -> ModelSpec:
    """The spec of a model's file, with its family's extents where it names none. Raises BadConfig for what the family cannot do."""
    _check(spec)
    usual = next((able.working for task in spec.tasks if (able := FAMILIES[spec.family][task]).working), None)
    return replace(spec, working=spec.working or usual)


def _check(spec: ModelSpec) -> None:
    file = file_of(spec)
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
    """Refuses a control that would be shown and do nothing. Raises BadConfig that names its key."""
    keys = (
        {name: f"limits.{name}" for name in spec.limits}
        | {name: f"task_limits.{task}.{name}" for name in spec.task_limits.get(task, {})}
        | {name: name for name in ("prompt", "negative_prompt", "early_stop", "schedulers") if getattr(spec, name)}
    )
    for name in sorted(keys.keys() - FAMILIES[spec.family][task].controls):
        useful = [other for other in spec.tasks if name in spec.limits and name in FAMILIES[spec.family][other].controls]
        hint = f"Put it into [task_limits.{useful[0]}]." if useful else "Take it out of the model's file."
        raise file.wrong(
            keys[name], f"{spec.family} does not use it for {task}", "Set prompt = false." if name == "prompt" else hint, because="family"
        )
