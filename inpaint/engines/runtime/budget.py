"""How many bytes there are for models, found without importing torch, and what a spec needs of them. Loads nothing.

GB means 10**9 bytes everywhere.
"""

from __future__ import annotations

import ctypes
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil

from inpaint.core.spec import BYTES_PER_PARAMETER, DeviceKind
from inpaint.engines.runtime.device import cuda_driver
from inpaint.hub.layouts import variant_of

GB = 10**9
UNKNOWN = 1 << 62
"""More than any device has: no limit."""

WORDS_BYTES = 300_000_000
"""Activations of whatever reads words, or one small picture, at most: one short sequence at a time."""

MOVQ_PIXEL_BYTES = 1780
"""Activations of Kandinsky's decoder, a byte of the number format and a pixel of the extent: 2.1 GB at 768 x 768 px in 16 bits, as
bench/memory.py saw on a CPU. Most is the MoVQ's decoding."""

VAE_PIXEL_BYTES = 970
"""The same of an AutoencoderKL's decoding: 4.06 GB at 1024 x 1024 px in float32, as seen on a CPU with SDXL's. Encoding takes 2.69."""

DENOISER_PIXEL_BYTES = 320
"""The same of a guided step: twice the tensors of SDXL's UNet (0.33 GB at 1024 x 1024 px in 16 bits, counted without computing)."""

TILE_PX = 512
"""The side of the squares in which an autoencoder works where memory is short."""


class Cgroup(NamedTuple):
    """Where Linux says what a container may take and takes. cache: the line of memory.stat with the files' pages that count as
    taken, and that it drops when programs need the room."""

    folder: Path
    limit: str
    taken: str
    cache: str


CGROUPS = (Cgroup(Path("/sys/fs/cgroup"), "memory.max", "memory.current", "inactive_file"),
           Cgroup(Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"))

RESERVES: Mapping[DeviceKind, int] = {"cuda": GB, "cpu": 2 * GB, "mps": 0}
"""Left to others. On CUDA: the context, the libraries' workspaces and what fragmentation wastes."""

MAX_HEADER_BYTES = 100_000_000
"""safetensors' own limit."""

METAL_SHARE = 2 / 3
"""Of a Mac's memory: what Metal recommends as the largest working set (recommendedMaxWorkingSetSize) up to 36 GB."""


def budget_bytes(kind: DeviceKind, index: int = 0) -> int:
    """What models and their activations may take on the device, less a reserve; at least 0."""
    total = {"cuda": lambda: _cuda_bytes(index), "cpu": free_ram_bytes,
             "mps": lambda: int(psutil.virtual_memory().total * METAL_SHARE)}[kind]()
    return max(0, total - RESERVES[kind])


def free_ram_bytes() -> int:
    """What programs could still take without swapping; inside a container no more than what is left of its allowance."""
    return min([psutil.virtual_memory().available, *map(_left_in, CGROUPS)])


def _left_in(group: Cgroup) -> int:
    """source: the working set of docker and Kubernetes, which is what is taken less the cache."""
    try:
        limit, taken = (int((group.folder / name).read_text(encoding="ascii")) for name in (group.limit, group.taken))
        lines = (group.folder / "memory.stat").read_text(encoding="ascii").splitlines()
        cache = sum(int(line.split()[1]) for line in lines if line.startswith(f"{group.cache} "))
    except (OSError, ValueError):
        return UNKNOWN
    return max(0, limit - max(0, taken - cache))


def _cuda_bytes(index: int) -> int:
    """The card's own memory, asked of the driver. Where that does not answer (AMD's cards have another), nothing is restricted:
    what does not fit is met when it happens."""
    driver, handle, size = cuda_driver(), ctypes.c_int(0), ctypes.c_size_t(0)
    if driver is None or driver.cuDeviceGet(ctypes.byref(handle), index) != 0:
        return UNKNOWN
    return size.value if driver.cuDeviceTotalMem_v2(ctypes.byref(size), handle) == 0 else UNKNOWN


def count_parameters(folder: Path, variant: str | None) -> int:
    """Of one variant's .safetensors files in the folder, told from their headers; damaged ones count as nothing."""
    return sum(_parameters_in(file) for file in folder.glob("*.safetensors") if variant_of(file.name) == (variant or ""))


def _parameters_in(file: Path) -> int:
    """source: the safetensors format, eight bytes with the length of a JSON object of tensors."""
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            tensors = json.loads(stream.read(min(length, MAX_HEADER_BYTES)))
        return sum(math.prod(tensor["shape"]) for name, tensor in tensors.items() if name != "__metadata__")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return 0


@dataclass(frozen=True)
class Turn:
    """Parts of a model that are needed at the same time. parts: names in the spec's [parameters].

    working: bytes of activations beside them; pixel_bytes: more of them, for each pixel and byte of the number format.
    in_float32: beside float16 parts too. once: let go right after its only use. What is done where its largest part does not fit:
    streams: on a GPU with memory of its own that part's weights are brought layer by layer; slices: attention is then computed in
    slices; tiles: the picture is decoded in tiles.
    """

    title: str
    parts: tuple[str, ...]
    working: int = 0
    pixel_bytes: int = 0
    in_float32: bool = False
    once: bool = False
    streams: bool = True
    slices: bool = False
    tiles: bool = False


@dataclass(frozen=True)
class MemoryPlan:
    """peak: bytes on the device at the worst moment. words: the restriction as a sentence, "" where there is none."""

    peak: int
    words: str


@dataclass(frozen=True)
class Needs:
    """What a model's turns need in a number format, at an extent of so many pixels; computed from the parameter counts."""

    turns: Sequence[Turn]
    parameters: Mapping[str, int]
    dtype: str
    pixels: int = 0

    def weights(self, turn: Turn) -> int:
        return sum(self.parameters[name] for name in turn.parts) * self._itemsize(turn)

    def working(self, turn: Turn, most_pixels: int = UNKNOWN) -> int:
        """Bytes of activations, at no more than so many pixels at a time."""
        return turn.working + turn.pixel_bytes * self._itemsize(turn) * min(self.pixels, most_pixels)

    def largest(self, turn: Turn) -> int:
        """Bytes of the part that needs most by itself."""
        return max(self.parameters[name] for name in turn.parts) * self._itemsize(turn) + self.working(turn)

    @property
    def together(self) -> int:
        lasting = [turn for turn in self.turns if not turn.once]
        stay = sum(map(self.weights, lasting)) + max(map(self.working, lasting))
        return max([stay, *(self.weights(turn) + self.working(turn) for turn in self.turns if turn.once)])

    @property
    def by_turn(self) -> int:
        return max(self.weights(turn) + self.working(turn) for turn in self.turns)

    def can_be_helped(self, turn: Turn, budget: int, kind: DeviceKind) -> bool:
        """Whether a turn whose largest part is beyond the budget runs all the same, by what is done for it."""
        if turn.tiles and kind != "cpu":
            return self.weights(turn) + self.working(turn, TILE_PX**2) <= budget
        return turn.streams and kind == "cuda"

    def _itemsize(self, turn: Turn) -> int:
        return BYTES_PER_PARAMETER["float32" if turn.in_float32 and self.dtype == "float16" else self.dtype]


def plan_memory(needs: Needs, budget: int, kind: DeviceKind) -> MemoryPlan:
    """What a budget means for a model: all its parts stay, groups take turns, parts take turns, or not even that fits.

    The same rule as the residency's own, which lets the least recently used part go only when the next would not fit.
    """
    named = f"{budget / GB:.3g} GB of memory for models"
    largest = max(map(needs.largest, needs.turns))
    if needs.together <= budget:
        return MemoryPlan(needs.together, "")
    if needs.by_turn <= budget:
        titles = [turn.title for turn in needs.turns if not turn.once]
        return MemoryPlan(needs.by_turn, f"{named}: {', '.join(titles[:-1])} and {titles[-1]} take turns.")
    if largest <= budget:
        return MemoryPlan(largest, f"{named}: its parts take turns one by one, which takes longer.")
    beyond = [turn for turn in needs.turns if needs.largest(turn) > budget]
    if all(needs.can_be_helped(turn, budget, kind) for turn in beyond):
        return MemoryPlan(budget, f"{named}: {', and '.join(_helped(beyond))}.")
    first = "attention is computed in slices, and " if any(turn.slices for turn in beyond) and kind == "mps" else ""
    return MemoryPlan(largest, f"{named}, but its largest part needs {largest / GB:.2g} GB: {first}memory may run out.")


def _helped(beyond: Sequence[Turn]) -> list[str]:
    """What is done for the turns that do not fit."""
    streamed = [f"the {turn.title}'s" for turn in beyond if not turn.tiles]
    owners = " and ".join([*([", ".join(streamed[:-1])] if streamed[1:] else []), *streamed[-1:]])
    by_layer = [f"{owners} weights go to the GPU layer by layer, which takes far longer"] if streamed else []
    sliced = ["attention is computed in slices"] if any(turn.slices for turn in beyond) else []
    return [*by_layer, *sliced, *(["the picture is decoded in tiles"] if any(turn.tiles for turn in beyond) else [])]
