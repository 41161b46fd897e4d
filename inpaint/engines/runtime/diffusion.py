"""What all diffusion engines share: device and dtype, schedulers, and torch's troubles put into words.

Knows no model and no file.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler

from inpaint.core.progress import Progress, ProgressCallback, Stage
from inpaint.core.request import SamplingParams
from inpaint.engines.base import Pixels
from inpaint.engines.runtime.device import probe_device
from inpaint.errors import BadOutput, InvalidRequest, MachineError, OutOfMemory

Result = TypeVar("Result")

DTYPES: Mapping[str, torch.dtype] = MappingProxyType(
    {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16})

SCHEDULERS: Mapping[str, Any] = MappingProxyType(
    {"ddpm": DDPMScheduler, "ddim": DDIMScheduler, "dpm++": DPMSolverMultistepScheduler})
"""The decoder schedulers by the name in SamplingParams. Euler types need scale_model_input, which the loop never calls."""

OUT_OF_MEMORY_WORDS = ("out of memory", "can't allocate memory", "alloc_failed", "not enough memory")
"""Kernels (cuDNN, cuBLAS, the CPU allocator) raise plain RuntimeError with one of these."""


def choose_device(name: str | None) -> str:
    """The device to run on: the one named ("cpu", "cuda", "cuda:1", "mps"), else the best there is.

    Raises InvalidRequest for one that is not there, MachineError for one that torch cannot use: never the CPU silently.
    """
    if name is None:
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    kind, _, index = name.partition(":")
    present = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}.get(kind, 0)
    if (index and not index.isdecimal()) or int(index or 0) >= present:
        if not present and kind == probe_device():
            raise MachineError(f"This machine has a GPU ({kind}), but torch {torch.__version__} as installed here cannot use it.",
                               "Install the torch for it (https://pytorch.org/get-started/locally), or set --device cpu.")
        raise InvalidRequest("device", f"This machine has no device {name!a}.", f"It has {choose_device(None)}.")
    return name


def choose_dtype(device: str, name: str | None) -> str:
    """The number format of weights and activations: the one named, else float16 on a GPU and float32 on a CPU.

    float32 on a CPU gives the same bits as diffusers; bfloat16 is faster where the CPU has it. Raises InvalidRequest.
    """
    if name is None:
        return "float32" if device == "cpu" else "float16"
    if name not in DTYPES:
        raise InvalidRequest("dtype", f"There is no dtype {name!a}.", f"Choose one of {', '.join(DTYPES)}.")
    if device == "cpu" and name == "float16":
        raise InvalidRequest("dtype", "A CPU computes float16 too slowly to be of use.", "Choose float32 or bfloat16.")
    return name


def make_scheduler(own: Any, name: str | None) -> Any:
    """A scheduler fresh for one run, so that a cancelled run leaves no state: the checkpoint's own, or the one named.

    A swapped-in type has no learned variance: `from_config` would carry that setting along and fail on the channel count.
    Raises InvalidRequest.
    """
    if name is not None and name not in SCHEDULERS:
        raise InvalidRequest("scheduler", f"There is no scheduler {name!a}.", f"Choose one of {', '.join(SCHEDULERS)}.")
    kind = type(own) if name is None else SCHEDULERS[name]
    config = dict(own.config)
    if kind is not type(own):
        config.pop("variance_type", None)
    return kind.from_config(config)


def has_learned_variance(scheduler: Any) -> bool:
    """Whether the scheduler wants the variance half of the UNet's output."""
    return scheduler.config.get("variance_type") in ("learned", "learned_range")


def predicted_original(scheduler: Any, step: Any) -> torch.Tensor:
    """What the finished latents look like as seen from this step (x0): [1, c, h, w], the sample's dtype.

    step: what `scheduler.step` returned. DPM++ does not return x0, but keeps it for its next step.
    """
    original = getattr(step, "pred_original_sample", None)
    return scheduler.model_outputs[-1] if original is None else original


def seeded(seed: int) -> torch.Generator:
    """A fresh generator. On the CPU, so that every device starts from the same noise."""
    return torch.Generator("cpu").manual_seed(seed)


def guard_memory(work: Callable[[], Result], task: str) -> Result:
    """Run work; where memory runs out, give back what it took, then raise OutOfMemory naming the task.

    The exception's traceback keeps the tensors of every failed frame alive (pytorch issue 27600), so nothing can be given
    back before the except block is left.
    """
    try:
        return work()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    release_memory()
    raise OutOfMemory(f"There is too little memory for {task}.",
                      "Choose a smaller work area, or close other programs that use the same memory.")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch means that memory ran out, of whatever class it is."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in OUT_OF_MEMORY_WORDS)


def release_memory() -> None:
    """Give back all memory that nothing refers to any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.ipc_collect()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()


def is_finite(numbers: torch.Tensor) -> bool:
    """Whether there is neither NaN nor infinity. Conversion to pixels would turn those into black without a word."""
    return bool(torch.isfinite(numbers).all())


def require_finite(numbers: torch.Tensor, part: str) -> None:
    """Raises BadOutput that names the part of the model."""
    if not is_finite(numbers):
        raise BadOutput(f"The model returned invalid numbers ({part}), so there is no picture.",
                        "Try another seed or a lower guidance; if that does not help, download the model anew "
                        "or run it with --dtype float32.")


def to_pixels(picture: torch.Tensor) -> Pixels:
    """[1, 3, h, w] in 0 .. 1, finite -> uint8 [h, w, 3], rounded as diffusers rounds (image_processor.py)."""
    return (picture.cpu().permute(0, 2, 3, 1).float().numpy()[0] * 255).round().astype(np.uint8)


def words_cut(tokenizer: Any, text: str) -> str:
    """The end of a text that does not fit into the model's tokens, as the model would have read it; empty if all fits."""
    limit: int = tokenizer.model_max_length
    tokens = tokenizer(text, verbose=False).input_ids
    return tokenizer.decode(tokens[limit - 1:-1]).strip() if len(tokens) > limit else ""


def cut_notices(tokenizer: Any, sampling: SamplingParams) -> tuple[str, ...]:
    """A sentence for each text that the model did not read to its end."""
    texts = {"prompt": sampling.prompt, "negative prompt": sampling.negative_prompt or ""}
    cuts = {title: words_cut(tokenizer, text) for title, text in texts.items()}
    return tuple(f'The {title} is too long for the model: it did not read "{words}".' for title, words in cuts.items() if words)


@contextmanager
def in_slices(unet: Any) -> Generator[None]:
    """While open, attention is computed one head at a time, by diffusers' own processors."""
    at_once = unet.attn_processors
    unet.set_attention_slice("max")
    try:
        yield
    finally:
        unet.set_attn_processor(at_once)


@contextmanager
def cancel_points(blocks: Iterable[torch.nn.Module], stage: Stage, report: ProgressCallback) -> Generator[None]:
    """While open, each block reports before it runs, so that whoever watches can cancel inside one long pass."""
    before_each = list(blocks)

    def hook(number: int) -> Callable[..., None]:
        return lambda *_: report(Progress(stage, number, len(before_each)))

    handles = [block.register_forward_pre_hook(hook(number)) for number, block in enumerate(before_each, start=1)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
