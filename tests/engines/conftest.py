"""Tiny checkpoints, built once for all engine tests, and edits small enough for a busy machine."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from inpaint.core.progress import Progress, ProgressCallback
from inpaint.core.request import SamplingParams
from inpaint.engines.base import EngineInput
from inpaint.engines.kandinsky.engine import Kandinsky22
from inpaint.errors import EditCancelled
from tests.tiny_models import make_image_decoder, make_kandinsky, make_sdxl


@dataclass(frozen=True)
class Repositories:
    prior: Path
    decoder: Path

    def copy(self, folder: Path) -> Repositories:
        return Repositories(shutil.copytree(self.prior, folder / "prior"), shutil.copytree(self.decoder, folder / "decoder"))


class Watcher:
    """A report that keeps what it hears, and cancels where told."""

    def __init__(self, cancel_at: tuple[str, int] | None = None) -> None:
        self.heard: list[Progress] = []
        self._cancel_at = cancel_at

    def __call__(self, progress: Progress) -> None:
        self.heard.append(progress)
        if (progress.stage, progress.step) == self._cancel_at:
            raise EditCancelled

    @property
    def stages(self) -> list[str]:
        """Each stage once, in order."""
        return list(dict.fromkeys(progress.stage for progress in self.heard))


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Two threads on two busy cores wait for each other far longer than tiny models take to run."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Repositories:
    return Repositories(*make_kandinsky(tmp_path_factory.mktemp("learned"), learned_range=True))


@pytest.fixture(scope="session")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> Repositories:
    return Repositories(*make_kandinsky(tmp_path_factory.mktemp("fixed"), learned_range=False, seed=1))


@pytest.fixture(scope="session")
def learned_image(learned: Repositories, tmp_path_factory: pytest.TempPathFactory) -> Repositories:
    folder = make_image_decoder(tmp_path_factory.mktemp("learned-image"), learned.decoder, learned_range=True)
    return Repositories(learned.prior, folder)


@pytest.fixture(scope="session")
def fixed_image(fixed: Repositories, tmp_path_factory: pytest.TempPathFactory) -> Repositories:
    folder = make_image_decoder(tmp_path_factory.mktemp("fixed-image"), fixed.decoder, learned_range=False, seed=3)
    return Repositories(fixed.prior, folder)


@pytest.fixture(scope="session")
def sdxl_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sdxl(tmp_path_factory.mktemp("sdxl"))


Load = Callable[..., Kandinsky22]


@pytest.fixture
def load(learned: Repositories, tmp_path: Path) -> Load:
    """Load an engine afresh; what it stores lies in this test's own folder."""

    def load_engine(repositories: Repositories = learned, dtype: str = "float32", **more: object) -> Kandinsky22:
        return Kandinsky22.load(
            str(repositories.prior),
            str(repositories.decoder),
            device="cpu",
            dtype=dtype,
            cache_dir=tmp_path / "cache",
            report=Watcher(),
            **more,
        )  # pyright: ignore[reportArgumentType]

    return load_engine


def edit(engine: Kandinsky22, report: ProgressCallback | None = None, work: EngineInput | None = None) -> np.ndarray:
    return engine.inpaint(work or an_edit(), report or Watcher()).picture


def an_edit(width: int = 64, height: int = 64, mask: np.ndarray | None = None, **sampling: object) -> EngineInput:
    values: dict[str, object] = {
        "prompt": "a red hat",
        "seed": 3,
        "num_inference_steps": 3,
        "guidance_scale": 4.0,
        "prior_num_inference_steps": 3,
        "prior_guidance_scale": 4.0,
    }
    return EngineInput(a_picture(width, height), blob(width, height) if mask is None else mask, SamplingParams(**(values | sampling)))  # pyright: ignore[reportArgumentType]


def a_picture(width: int, height: int) -> np.ndarray:
    """Smooth colours with noise on them."""
    rows, columns = np.mgrid[0:height, 0:width]
    smooth = np.stack([rows * 255 / height, columns * 255 / width, (rows + columns) % 256], axis=-1)
    noise = np.random.default_rng(7).normal(0, 12, smooth.shape)
    return np.clip(smooth + noise, 0, 255).astype(np.uint8)


def blob(width: int, height: int) -> np.ndarray:
    rows, columns = np.mgrid[0:height, 0:width]
    return np.where((rows - height * 0.45) ** 2 + (columns - width * 0.6) ** 2 < (height * 0.3) ** 2, 255, 0).astype(np.uint8)
