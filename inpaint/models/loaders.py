"""How each family opens a model: the model's spec and this machine become the arguments of an engine's `load`.

Each loader imports its engine, and so torch, only when it is called.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inpaint.config.toml_file import TomlFile
from inpaint.core.progress import ProgressCallback
from inpaint.core.spec import ModelSpec
from inpaint.engines.base import Generator, Inpainter, Reimaginer
from inpaint.engines.memory.residency import Residency
from inpaint.engines.runtime.lru import Recent
from inpaint.hub import weights


@dataclass(frozen=True)
class Runtime:
    """What a loader needs to know of this machine.

    device: as --device names it. dtype: None = the best for the device. made_dir: a folder for files that can be computed again. residency, recent: the
    parts in memory and the embeddings, which all engines share. compiles: whether torch.compile is used where it can be.
    """

    device: str
    dtype: str | None
    made_dir: Path
    residency: Residency = field(default_factory=lambda: Residency("cpu"))
    recent: Recent[Any, Any] = field(default_factory=Recent[Any, Any])
    compiles: bool = False


def file_of(spec: ModelSpec) -> TomlFile:
    """The model's file, which an error about the spec names."""
    return TomlFile(Path(spec.file or spec.name))


def load_kandinsky22(spec: ModelSpec, runtime: Runtime, report: ProgressCallback) -> Inpainter:
    """Raises ModelUnavailable, BadConfig, EditCancelled (from report), as every loader does."""
    from inpaint.engines.kandinsky.engine import Kandinsky22

    return _checked(spec, Kandinsky22.load(**_kandinsky22(spec, runtime, "decoder"), report=report), "its MoVQ")


def load_kandinsky22_image(spec: ModelSpec, runtime: Runtime, report: ProgressCallback) -> Reimaginer:
    from inpaint.engines.kandinsky.engine import Kandinsky22ImageToImage

    engine = Kandinsky22ImageToImage.load(**_kandinsky22(spec, runtime, "image_decoder"), report=report)
    return _checked(spec, engine, "its MoVQ")


def load_sdxl(spec: ModelSpec, runtime: Runtime, report: ProgressCallback) -> Generator:
    from inpaint.engines.pipelines.text_to_image import SdxlTextToImage

    return SdxlTextToImage.load(**_pipeline(spec, runtime), report=report)


def load_diffusers_inpaint(spec: ModelSpec, runtime: Runtime, report: ProgressCallback) -> Inpainter:
    """Which controls a pipeline has is known only when its repository is on this disk, so they are checked here."""
    from inpaint.engines.pipelines.inpaint import DiffusersInpaint

    engine = DiffusersInpaint.load(**_pipeline(spec, runtime), report=report)
    if lacking := engine.lacks([*spec.limits, *(["negative_prompt"] if spec.negative_prompt else [])]):
        key = f"limits.{lacking[0]}" if lacking[0] in spec.limits else lacking[0]
        raise file_of(spec).wrong(key, f"{engine.pipeline} has no {', '.join(lacking)}", "Take it out of the model's file.")
    return _checked(spec, engine, engine.pipeline)


def load_patchmatch(spec: ModelSpec, runtime: Runtime, report: ProgressCallback) -> Inpainter:
    from inpaint.engines.erase.patchmatch import Erase

    return Erase.load()


def _kandinsky22(spec: ModelSpec, runtime: Runtime, decoder: str) -> dict[str, Any]:
    """The arguments of an engine of Kandinsky 2.2. decoder: the source of its decoder."""
    from inpaint.engines.runtime.compilation import Compiler

    folders = weights.locate(spec, ("prior", decoder))
    return {
        "prior": str(folders["prior"]),
        "decoder": str(folders[decoder]),
        "cache_dir": runtime.made_dir,
        "prior_variant": spec.sources["prior"].variant,
        "decoder_variant": spec.sources[decoder].variant,
        "recent": runtime.recent,
        "compiler": Compiler() if runtime.compiles else None,
        **_shared(spec, runtime),
    }


def _pipeline(spec: ModelSpec, runtime: Runtime) -> dict[str, Any]:
    """The arguments of an engine over one of diffusers' pipelines."""
    folder = weights.locate(spec, ("pipeline",))["pipeline"]
    return {"source": str(folder), "variant": spec.sources["pipeline"].variant, **_shared(spec, runtime)}


def _shared(spec: ModelSpec, runtime: Runtime) -> dict[str, Any]:
    """The arguments that every engine with weights takes."""
    from inpaint.engines.runtime.torch_device import choose_device, choose_dtype

    device = choose_device(runtime.device)
    return {
        "device": device,
        "dtype": choose_dtype(device, runtime.dtype),
        "model": spec.name,
        "how_to_get": weights.how_to_get(spec),
        "residency": runtime.residency,
    }


def _checked(spec: ModelSpec, engine: Any, owner: str) -> Any:
    """The engine, if it takes the working extents of the model's file, which its repository decides. Raises BadConfig."""
    if spec.working is not None and spec.working.multiple % engine.size_multiple:
        raise file_of(spec).wrong("working.multiple", f"{owner} needs a multiple of {engine.size_multiple}")
    return engine
