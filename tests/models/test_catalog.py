"""Which model runs, and what is kept of it. Loads no real model."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from inpaint.config.load import load_config
from inpaint.config.settings import AppConfig
from inpaint.core.progress import Progress
from inpaint.core.spec import DeviceKind, Limit, Source, Task
from inpaint.errors import BadConfig, EditCancelled, InvalidRequest, ModelUnavailable
from inpaint.hub.lockfile import Lock
from inpaint.models import catalog
from inpaint.models.catalog import Models
from inpaint.models.families import Ability
from tests.config.test_settings import MODEL, load, with_model

ERASE, HEART, MINI = "erase", "kandinsky-2.2", "kandinsky-mini"

MINI_MODEL = (
    f"{MODEL.replace('mine', MINI).replace('patchmatch', 'kandinsky22')}\n"
    '[sources.prior]\nrepo_id = "./p"\n[sources.decoder]\nrepo_id = "./d"\n'
)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Models:
    """The shipped models and a small Kandinsky; a test says which weights are there."""
    return Models(load(with_model(tmp_path, MINI_MODEL), device="cpu"))


def has(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(catalog.weights, "are_on_disk", lambda spec, parts: not parts or spec.name in names)
    monkeypatch.setattr(catalog.weights, "locate", lambda spec, parts: dict.fromkeys(parts, Path()))


def test_a_machine_with_a_gpu_paints_with_what_it_has(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    has(monkeypatch, "sdxl-inpaint", MINI)
    models.device = "cuda"
    assert models.default("inpaint", has_prompt=True).spec.name == "sdxl-inpaint"
    assert models.default("inpaint", has_prompt=False).spec.name == ERASE


def test_without_weights_the_command_is_named(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    has(monkeypatch)
    with pytest.raises(ModelUnavailable, match="models --download kandinsky-2.2"):
        models.default("inpaint", has_prompt=True)


def only(monkeypatch: pytest.MonkeyPatch, *parts: str) -> None:
    """These parts of Kandinsky 2.2 are on the disk, and nothing of any other model."""
    monkeypatch.setattr(catalog.weights, "are_on_disk", lambda spec, needed: spec.name == HEART and set(needed) <= set(parts))


def test_a_model_that_is_here_for_another_task_is_not_chosen_for_an_edit(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "prior", "image_decoder")
    models.device = "cuda"
    with pytest.raises(ModelUnavailable):
        models.default("inpaint", has_prompt=True)
    described = next(model for model in models.describe() if model["name"] == HEART)
    assert described["on_disk"] is True and described["on_disk_by_task"] == {"inpaint": False, "image-to-image": True}


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_chosen_model_has_the_controls_of_an_edit(device: DeviceKind, models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "prior", "decoder")
    models.device = device
    strength = Limit(0.5, 0.0, 1.0, 0.1)
    models.specs = {**models.specs, HEART: dataclasses.replace(models.specs[HEART], task_limits={"inpaint": {"strength": strength}})}
    assert models.default("inpaint", has_prompt=True).spec.limits["strength"] == strength


def test_a_slow_choice_says_so(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    has(monkeypatch, HEART)
    assert "slow" in models.default("inpaint", has_prompt=True).reason


@pytest.mark.parametrize("name", ["magic", "", None, 7, ["erase"], {}, "x" * 10**6, "\udcff"], ids=lambda name: ascii(name)[:12])
def test_unknown_models_are_refused(name: Any, models: Models) -> None:
    with pytest.raises(InvalidRequest, match=r"There is no model .*There are: ") as caught:
        models.spec(name, "inpaint")
    assert caught.value.field == "model" and len(str(caught.value)) < 300


def test_a_model_that_does_something_else_is_refused(models: Models) -> None:
    with pytest.raises(InvalidRequest, match="SDXL Turbo cannot inpaint"):
        models.spec("sdxl-turbo", "inpaint")


class Loaders:
    """Stand for every family's loader, and count."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loaded: list[str] = []
        self.error: Exception | None = None
        monkeypatch.setattr(
            catalog,
            "FAMILIES",
            {
                family: {task: Ability(ability.parts, self.load) for task, ability in abilities.items()}
                for family, abilities in catalog.FAMILIES.items()
            },
        )

    def load(self, spec: Any, runtime: Any, report: Any) -> object:
        self.loaded.append(spec.name)
        if self.error:
            raise self.error
        return object()


def test_an_engine_that_brings_its_own_parts_is_opened_once_for_each_task(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    has(monkeypatch, HEART, MINI)
    loaders = Loaders(monkeypatch)
    heart, mini, erase = (models.specs[name] for name in (HEART, MINI, ERASE))
    engines = [
        models.engine(spec, task, lambda progress: None)
        for spec, task in ((heart, "inpaint"), (heart, "image-to-image"), (mini, "inpaint"), (erase, "inpaint"), (heart, "inpaint"))
    ]
    assert engines[0] is engines[-1] and len({id(engine) for engine in engines}) == 4
    assert loaders.loaded == [HEART, HEART, MINI, ERASE]


def test_a_load_that_failed_is_tried_again(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    has(monkeypatch, HEART)
    loaders = Loaders(monkeypatch)
    loaders.error = ModelUnavailable("Damaged.")
    with pytest.raises(ModelUnavailable):
        models.engine(models.specs[HEART], "inpaint", lambda progress: None)
    loaders.error = None
    assert models.engine(models.specs[HEART], "inpaint", lambda progress: None) is not None
    assert loaders.loaded == [HEART, HEART]


def test_loading_is_reported_before_anything_is_loaded(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    has(monkeypatch, HEART)
    loaders = Loaders(monkeypatch)

    def stop(progress: Progress) -> None:
        assert progress.stage == "loading"
        raise EditCancelled

    with pytest.raises(EditCancelled):
        models.engine(models.specs[HEART], "inpaint", stop)
    assert loaders.loaded == []


def test_weights_that_are_gone_are_said_by_name(config: AppConfig) -> None:
    models = Models(config)
    with pytest.raises(ModelUnavailable, match="models --download sdxl-turbo"):
        models.engine(models.specs["sdxl-turbo"], "generate", lambda progress: None)


@pytest.mark.parametrize(
    ("family", "needed"), [("kandinsky22", "sources: kandinsky22 needs decoder, prior"), ("sdxl", "tasks: sdxl cannot inpaint")]
)
def test_a_family_without_its_sources_is_a_wrong_setting(family: str, needed: str, tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=f"mine.toml, line .: {needed}"):
        Models(load(with_model(tmp_path, MODEL.replace("patchmatch", family))))


FP16 = {"dtype": "float16", "device": "cuda"}


@pytest.mark.parametrize(
    ("gb", "peak", "words"),
    [
        pytest.param(24.0, 8.2, "", id="everything stays"),
        pytest.param(6.0, 4.74, "6 GB of memory for models: prior and decoder take turns.", id="6 GB"),
        pytest.param(4.0, 4.0, "4 GB of memory for models: the decoder's weights go", id="parts one by one do not fit either"),
        pytest.param(
            3.0, 3.0, "3 GB of memory for models: the image encoder's and the decoder's weights go", id="nor does the image encoder"
        ),
        pytest.param(
            2.0, 2.0, "2 GB of memory for models: the prior's, the image encoder's and the decoder's weights go", id="nor the prior"
        ),
    ],
)
def test_what_a_memory_budget_means_for_kandinsky(gb: float, peak: float, words: str) -> None:
    """Computed from the parameter counts: an edit at 768 px in float16 peaks under 6 GB where prior and decoder take turns."""
    models = Models(load(**FP16, memory={"budget_gb": gb}))
    plan = models.memory_plan(models.specs[HEART], "inpaint")
    assert plan is not None and plan.words.startswith(words) and bool(plan.words) == bool(words)
    assert plan.peak / 1e9 == pytest.approx(peak, abs=0.06) and models.residency_words(models.specs[HEART]) == plan.words


@pytest.mark.parametrize(
    ("name", "task", "gb", "peak", "words"),
    [
        pytest.param("sdxl-inpaint", "inpaint", 24.0, 11.18, "", id="SDXL's autoencoder at 1024 px in float32"),
        pytest.param(
            "sdxl-inpaint", "inpaint", 8.0, 5.81, "8 GB of memory for models: text encoders, UNet and autoencoder take turns.", id="turns"
        ),
        pytest.param(
            "sdxl-inpaint",
            "inpaint",
            4.0,
            4.0,
            "4 GB of memory for models: the UNet's weights go to the GPU layer by layer, "
            "which takes far longer, and the picture is decoded in tiles.",
            id="neither fits by itself",
        ),
        pytest.param("sdxl-turbo", "generate", 24.0, 8.12, "", id="SDXL Turbo at 512 px"),
        pytest.param("kandinsky-mini", "inpaint", 2.0, 0.33, "", id="Kandinsky Mini at 192 px"),
    ],
)
def test_activations_are_those_of_the_extent_that_a_model_works_at(name: str, task: Task, gb: float, peak: float, words: str) -> None:
    models = Models(load(**FP16, memory={"budget_gb": gb}))
    plan = models.memory_plan(models.specs[name], task)
    assert plan is not None and plan.words == words and plan.peak / 1e9 == pytest.approx(peak, abs=0.06)


def test_models_are_described_as_plain_data(models: Models) -> None:
    described = {model["name"]: model for model in models.describe()}
    assert described["erase"]["on_disk"] is True and described["erase"]["controls"] == []
    assert described["sdxl-turbo"]["controls"] == ["height", "num_inference_steps", "prompt", "width"]
    by_task: Any = described[HEART]["controls_by_task"]
    assert by_task == {"inpaint": described[HEART]["controls"], "image-to-image": sorted([*by_task["inpaint"], "strength"])}
    assert (
        described["kandinsky-2.2"]["weights_bytes_computed"]["float16"] * 2
        == described["kandinsky-2.2"]["weights_bytes_computed"]["float32"]
    )


@pytest.mark.parametrize(
    ("here", "is_first", "parts"),
    [
        (False, True, ("text_encoder", "prior", "image_encoder", "movq", "unet")),
        (False, False, ("text_encoder", "prior", "movq", "unet")),
        (True, True, ("image_encoder",)),
        (True, False, ()),
    ],
    ids=["all of it", "all but what is kept on the disk", "only what was never needed", "nothing"],
)
def test_how_much_a_job_would_load_first(
    here: bool, is_first: bool, parts: tuple[str, ...], models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    has(monkeypatch, HEART)
    task = dataclasses.replace(catalog.FAMILIES["kandinsky22"]["inpaint"], load=lambda spec, runtime, report: "engine")
    monkeypatch.setattr(catalog, "FAMILIES", {**catalog.FAMILIES, "kandinsky22": {"inpaint": task}})
    spec = models.specs[HEART]
    if here:
        models.engine(spec, "inpaint", lambda progress: None)
    assert models.bytes_to_load(spec, "inpaint", is_first) == 4 * sum(spec.parameters[part] for part in parts)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"tasks": ("inpaint", "generate")}, "tasks: kandinsky22 cannot generate", id="a task the family lacks"),
        pytest.param(
            {"tasks": ("generate",), "family": "sdxl", "sources": {"pipeline": Source("./here")}},
            "limits: a model that generates needs height, width",
            id="no size limits",
        ),
    ],
)
def test_a_model_file_that_would_fail_at_its_first_run_is_refused_at_the_start(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    config = load_config(environment={})
    broken = dataclasses.replace(config.models["kandinsky-2.2"], name="mine", limits={}, **changes)
    with pytest.raises(BadConfig, match=said):
        Models(dataclasses.replace(config, models={"mine": broken}))


def test_a_locked_source_is_described_by_its_commit(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = Lock("stabilityai/sdxl-turbo", "main", "fp16", "c" * 40, {})
    monkeypatch.setattr(catalog, "lock_of", lambda source: lock if source.repo_id == lock.repo_id else None)
    described = {model["name"]: model["sources"] for model in models.describe()}
    assert described["sdxl-turbo"] == {"pipeline": f"stabilityai/sdxl-turbo@{'c' * 40}"}
    source = models.specs["playground-v2"].sources["pipeline"]
    assert described["playground-v2"] == {"pipeline": f"{source.repo_id}@{source.revision}"}
    assert described[MINI] == {part: source.repo_id for part, source in models.specs[MINI].sources.items()}
