"""What of a model is on this disk, and how much a download would still bring. Loads nothing and asks no hub."""

from __future__ import annotations

from collections.abc import Iterable

from inpaint.core.spec import BYTES_PER_PARAMETER, ModelSpec, Task
from inpaint.hub import weights
from inpaint.hub.lockfile import lock_of
from inpaint.models.families import FAMILIES


def is_on_disk(spec: ModelSpec, task: Task) -> bool:
    """Whether everything that the model needs for the task is on this disk."""
    return weights.are_on_disk(spec, FAMILIES[spec.family][task].parts)


def bytes_to_fetch(spec: ModelSpec, *tasks: Task) -> int:
    """How much a download for these tasks brings beyond what is on this disk; 0 where that is not known.

    Exact where a lock states the sizes, else computed from the parameter counts in the model's file.
    """
    holds = {
        part: FAMILIES[spec.family][task].holds.get(part, tuple(spec.parameters))
        for task in tasks
        for part in FAMILIES[spec.family][task].parts
    }
    return sum(
        _download_bytes(spec, part, names)
        for part, names in holds.items()
        if not spec.sources[part].is_local and weights.find(spec.sources[part]) is None
    )


def _download_bytes(spec: ModelSpec, part: str, names: Iterable[str]) -> int:
    """Bytes of one source. Files of no variant are taken to hold float32, as those of all shipped models do."""
    source = spec.sources[part]
    if lock := lock_of(source):
        return sum(file.size for file in lock.files.values())
    return sum(spec.parameters.get(name, 0) for name in names) * BYTES_PER_PARAMETER["float16" if source.variant else "float32"]
