"""What the Kandinsky engine keeps, reports, survives and refuses; its numbers are in the parity table."""

from __future__ import annotations

import gc
import shutil
import weakref

import numpy as np
import pytest
import torch
from diffusers import PriorTransformer, UNet2DConditionModel, VQModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModelWithProjection, CLIPVisionModelWithProjection

from inpaint.core.progress import Progress, UseAsIs
from inpaint.core.spec import ModelSpec, Source, WorkingLimits
from inpaint.engines.memory import measures
from inpaint.engines.memory.activations import WORDS_BYTES
from inpaint.engines.memory.residency import Residency
from inpaint.engines.memory.rule import Measure, within_budget
from inpaint.engines.runtime.compilation import FIRST_RUN, STOOD_ASIDE, Compiler
from inpaint.engines.runtime.lru import Recent
from inpaint.engines.runtime.preview import LatentColours
from inpaint.engines.runtime.tensors import max_pool_to_cells
from inpaint.errors import BadConfig, BadOutput, EditCancelled, InvalidRequest, ModelUnavailable, OutOfMemory
from inpaint.models.families import FAMILIES
from inpaint.models.loaders import Runtime
from tests.engines.conftest import Repositories, Watcher, an_edit, edit
from tests.tiny_models import make_kandinsky

BFLOAT16_ERROR = 4
"""Levels of 255, on average."""


class TestProgress:
    def test_each_stage_is_told_in_order_with_its_steps(self, load) -> None:
        watcher = Watcher()
        edit(load(), watcher)
        assert watcher.stages == ["loading", "prior", "encoding", "denoising", "decoding"]
        assert [(p.step, p.total) for p in watcher.heard if p.stage == "loading"] == [(1, 1), (1, 4), (2, 4), (3, 4), (4, 4)]
        assert [(p.step, p.total) for p in watcher.heard if p.stage == "prior"] == [(0, 3), (0, 3), (1, 3), (2, 3), (3, 3)]
        assert [(p.step, p.total) for p in watcher.heard if p.stage == "denoising"] == [(0, 3), (1, 3), (2, 3), (3, 3)]

    @pytest.mark.parametrize("scheduler", ["ddpm", "ddim", "dpm++"])
    def test_a_preview_has_one_pixel_a_latent_cell(self, load, scheduler) -> None:
        watcher = Watcher()
        edit(load(), watcher, an_edit(128, 64, scheduler=scheduler))
        previews = [p.preview for p in watcher.heard if p.preview is not None]
        assert [(preview.shape, preview.dtype) for preview in previews][:1] == [((8, 16, 3), np.uint8)]

    def test_previews_keep_their_distance_in_time(self, load) -> None:
        watcher, seconds = Watcher(), iter(np.arange(0, 10, 0.1))
        edit(load(clock=lambda: next(seconds)), watcher, an_edit(num_inference_steps=8))
        shown = [p.step for p in watcher.heard if p.preview is not None]
        assert shown == [1, 4, 7]

    def test_a_preview_shows_the_kept_part_of_the_picture(self, load) -> None:
        """Where nothing is repainted the preview is the map of the original's own latents, whatever the UNet says."""
        untouched = an_edit(mask=np.zeros((64, 64), np.uint8))
        first, second = Watcher(), Watcher()
        edit(load(), first, untouched)
        edit(load(), second, an_edit(mask=np.zeros((64, 64), np.uint8), seed=99))
        assert np.array_equal(*[next(p.preview for p in w.heard if p.preview is not None) for w in (first, second)])


CANCEL_POINTS = [
    ("prior", 0),
    ("prior", 2),
    ("loading", 1),
    ("loading", 3),
    ("encoding", 0),
    ("encoding", 3),
    ("denoising", 1),
    ("denoising", 3),
    ("decoding", 0),
    ("decoding", 4),
]
CANCELS = [
    *[pytest.param(None, point, id=f"{point[0]}-{point[1]}") for point in CANCEL_POINTS],
    pytest.param("dpm++", ("denoising", 2), id="dpm++-denoising-2"),
    pytest.param("ddim", ("denoising", 2), id="ddim-denoising-2"),
]


class TestCancel:
    @pytest.mark.parametrize(("scheduler", "point"), CANCELS)
    def test_the_next_run_is_as_if_nothing_had_happened(self, load, scheduler, point) -> None:
        work = an_edit(scheduler=scheduler)
        engine, watcher = load(), Watcher(cancel_at=point)
        with pytest.raises(EditCancelled):
            edit(engine, watcher, work)
        assert (watcher.heard[-1].stage, watcher.heard[-1].step) == point
        assert np.array_equal(edit(engine, work=work), edit(load(), work=work))

    def test_no_hook_is_left_behind(self, load) -> None:
        engine = load()
        with pytest.raises(EditCancelled):
            edit(engine, Watcher(cancel_at=("decoding", 2)))
        watcher = Watcher()
        edit(engine, watcher)
        assert [p.step for p in watcher.heard if p.stage == "decoding"] == [0, 1, 2, 3, 4, 5]


class TestZeroEmbedding:
    @pytest.fixture
    def encoder_loads(self, monkeypatch) -> list[str]:
        loads: list[str] = []
        load_encoder = CLIPVisionModelWithProjection.from_pretrained

        def counted(folder, **options):
            loads.append(str(folder))
            return load_encoder(folder, **options)

        monkeypatch.setattr(CLIPVisionModelWithProjection, "from_pretrained", counted)
        return loads

    def test_a_stored_one_spares_the_image_encoder(self, load, encoder_loads) -> None:
        first = edit(load())
        assert len(encoder_loads) == 1
        assert np.array_equal(edit(load()), first)
        assert len(encoder_loads) == 1

    @pytest.mark.parametrize("sampling", [{"negative_prompt": "the dog"}, {"guidance_scale": 1.0}], ids=["negative", "unguided"])
    def test_it_is_made_only_where_it_guides(self, load, encoder_loads, sampling) -> None:
        edit(load(), work=an_edit(**sampling))
        assert encoder_loads == []

    def test_other_weights_have_another_one(self, load, learned, tmp_path, encoder_loads) -> None:
        edit(load())
        other_prior, _ = make_kandinsky(tmp_path / "other", learned_range=True, seed=5)
        copy = learned.copy(tmp_path / "same-place")
        shutil.rmtree(copy.prior / "image_encoder")
        shutil.copytree(other_prior / "image_encoder", copy.prior / "image_encoder")
        edit(load(copy))
        assert len(encoder_loads) == 2

    def test_another_dtype_has_another_one(self, load, encoder_loads) -> None:
        edit(load())
        edit(load(dtype="bfloat16"))
        assert len(encoder_loads) == 2

    def test_a_damaged_file_is_made_again(self, load, tmp_path, encoder_loads) -> None:
        first = edit(load())
        (stored,) = (tmp_path / "cache").glob("*.safetensors")
        stored.write_bytes(stored.read_bytes()[:20])
        assert np.array_equal(edit(load()), first)
        assert len(encoder_loads) == 2

    def test_a_folder_that_cannot_be_written_costs_only_time(self, load, tmp_path) -> None:
        (tmp_path / "cache").write_text("a file where the folder should be")
        edit(load())

    def test_its_encoder_is_gone_before_anything_else_is_loaded(self, load) -> None:
        """Else what was loaded for the edit would have to make room for it."""
        engine = load()
        everything = sum(part.nbytes for part in (*engine._conditioner.parts, *engine._decoder.parts))
        working = engine._decoder.working_bytes(64, 64) + 300_000_000
        tight, watcher = load(residency=Residency("cpu", everything + working)), Watcher()
        edit(tight, watcher)
        assert [(p.step, p.total) for p in watcher.heard if p.stage == "loading"] == [(1, 1), (1, 4), (2, 4), (3, 4), (4, 4)]
        assert not any("image" in part.title for part in tight._residency._parts.values() if part.value is not None)


class TestPriorEmbeddings:
    def test_the_same_words_and_seed_cost_no_prior(self, load) -> None:
        engine, watcher = load(), Watcher()
        first = edit(engine)
        assert np.array_equal(edit(engine, watcher), first)
        assert "prior" not in watcher.stages

    @pytest.mark.parametrize(
        "changed",
        [
            {"prompt": "the sky"},
            {"negative_prompt": "the dog"},
            {"seed": 4},
            {"prior_num_inference_steps": 4},
            {"prior_guidance_scale": 2.0},
        ],
        ids=lambda changed: next(iter(changed)),
    )
    def test_whatever_decides_them_makes_them_anew(self, load, changed) -> None:
        engine, watcher = load(), Watcher()
        edit(engine)
        edit(engine, watcher, an_edit(**changed))
        assert "prior" in watcher.stages

    def test_an_empty_negative_prompt_is_none(self, load) -> None:
        engine, watcher = load(), Watcher()
        first = edit(engine)
        assert np.array_equal(edit(engine, watcher, an_edit(negative_prompt="")), first)
        assert "prior" not in watcher.stages


class TestTrouble:
    @pytest.mark.parametrize(
        ("part", "names"), [("prior", "prior"), ("image_encoder", "image encoder"), ("unet", "decoder"), ("movq", "encoder")]
    )
    def test_a_nan_weight_is_bad_output(self, load, learned, tmp_path, part, names) -> None:
        copy = learned.copy(tmp_path)
        (weights,) = [*copy.prior.glob(f"{part}/*.safetensors"), *copy.decoder.glob(f"{part}/*.safetensors")]
        tensors = load_file(weights)
        for tensor in tensors.values():
            tensor.view(-1)[0] = float("nan")
        save_file(tensors, weights, metadata={"format": "pt"})
        with pytest.raises(BadOutput, match=names) as caught:
            edit(load(copy))
        assert caught.value.hint

    def test_a_picture_that_overflows_in_float16_is_decoded_in_float32(self, load, monkeypatch) -> None:
        engine = load(dtype="float16")
        expected = edit(engine)
        movq = engine._decoder._movq.value
        decode, dtypes = movq.decode, []

        def overflowing(latents, **options):
            dtypes.append(latents.dtype)
            decoded = decode(latents, **options)
            if latents.dtype is torch.float16:
                decoded["sample"][0, 1, 2, 3] = float("inf")
            return decoded

        monkeypatch.setattr(movq, "decode", overflowing)
        picture = edit(engine)
        assert dtypes == [torch.float16, torch.float32] and movq.dtype is torch.float16
        assert np.abs(picture.astype(int) - expected).max() <= 2

    def test_memory_running_out_is_said_and_given_back(self, load, monkeypatch) -> None:
        engine, held = load(), []
        expected = edit(engine)

        def failing(*_args, **_options):
            activations = torch.zeros(1000)
            held.append(weakref.ref(activations))
            raise RuntimeError("CUDA error: out of memory")

        with monkeypatch.context() as patched:
            patched.setattr(engine._decoder._unet.value, "forward", failing)
            gc.disable()
            try:
                with pytest.raises(OutOfMemory, match="64 x 64") as caught:
                    edit(engine)
                assert held[0]() is None and caught.value.__context__ is None
            finally:
                gc.enable()
        assert np.array_equal(edit(engine), expected)

    def test_another_runtime_error_stays_what_it_is(self, load, monkeypatch) -> None:
        engine = load()
        edit(engine)

        def failing(*_args, **_options):
            raise RuntimeError("shapes do not match")

        monkeypatch.setattr(engine._decoder._unet.value, "forward", failing)
        with pytest.raises(RuntimeError, match="shapes"):
            edit(engine)

    def test_a_decoder_for_other_tasks_is_refused(self, load, learned, tmp_path) -> None:
        copy = learned.copy(tmp_path)
        config = UNet2DConditionModel.load_config(copy.decoder / "unet")
        UNet2DConditionModel.from_config({**config, "in_channels": 4}).save_pretrained(copy.decoder / "unet")
        with pytest.raises(ModelUnavailable, match="no inpainting model: its UNet takes 4 channels"):
            load(copy)

    @pytest.mark.parametrize(("field", "value"), [("scheduler", "euler"), ("prior_num_inference_steps", 1)])
    def test_values_that_cannot_be_used_are_refused(self, load, field, value) -> None:
        with pytest.raises(InvalidRequest) as caught:
            edit(load(), work=an_edit(**{field: value}))
        assert caught.value.field == field

    def test_a_size_off_the_multiple_is_a_bug(self, load) -> None:
        engine = load()
        assert engine.size_multiple == 64
        with pytest.raises(ValueError, match="multiples of 64"):
            edit(engine, work=an_edit(72, 64))


class TestNotices:
    def test_words_beyond_the_tokens_are_named(self, load) -> None:
        engine = load()
        fitting = " ".join(["word"] * 75)
        assert engine.inpaint(an_edit(prompt=fitting), Watcher()).notices == ()
        (notice,) = engine.inpaint(an_edit(prompt=fitting + " the Red sky"), Watcher()).notices
        assert notice == 'The prompt is too long for the model: it did not read "the red sky".'

    def test_a_cached_embedding_keeps_the_notice(self, load) -> None:
        engine, work = load(), an_edit(negative_prompt="word " * 80)
        first, second = (engine.inpaint(work, Watcher()).notices for _ in range(2))
        assert first == second and "negative prompt" in first[0]


class TestCompiled:
    def test_it_paints_the_same_and_says_when_it_compiles(self, load) -> None:
        """By torch's own "eager" backend: the whole graph is traced as for any other, and computes the same bits."""
        engine, heard = load(compiler=Compiler("eager")), (Watcher(), Watcher())
        first, second = (engine.inpaint(an_edit(), watcher) for watcher in heard)
        assert (first.notices, second.notices) == ((FIRST_RUN,), ())
        assert [[p.stage for p in watcher.heard if p.notice == FIRST_RUN] for watcher in heard] == [["loading"], []]
        assert np.array_equal(first.picture, second.picture) and np.array_equal(first.picture, edit(load()))

    def test_in_slices_it_stands_aside(self, load) -> None:
        engine = load(compiler=Compiler(never_called))
        engine.reduce_memory()
        assert engine.inpaint(an_edit(), Watcher()).notices == (STOOD_ASIDE,)


def never_called(*_args: object) -> None:
    raise AssertionError("it was compiled")


class TestThinStrokes:
    @pytest.mark.parametrize("row", [1, 4, 7, 30, 61])
    def test_one_pixel_repaints_its_cells(self, row) -> None:
        mask = np.zeros((64, 64), np.uint8)
        mask[row, 10:50] = 255
        pooled = max_pool_to_cells(mask, 8)
        assert pooled.shape == mask.shape and pooled.dtype == np.uint8
        expected = np.zeros((64, 64), np.uint8)
        expected[row // 8 * 8 : row // 8 * 8 + 8, 8:56] = 255
        assert np.array_equal(pooled, expected)

    def test_an_aligned_mask_is_unchanged(self) -> None:
        mask = np.kron(np.random.default_rng(1).integers(0, 2, (8, 16)), np.ones((8, 8))).astype(np.uint8) * 255
        assert np.array_equal(max_pool_to_cells(mask, 8), mask)

    def test_a_stroke_between_samples_changes_the_picture(self, load) -> None:
        mask = np.zeros((64, 64), np.uint8)
        mask[35, 11:14] = 255
        engine = load()
        untouched = edit(engine, work=an_edit(mask=np.zeros_like(mask)))
        assert not np.array_equal(edit(engine, work=an_edit(mask=mask)), untouched)


class Impatient(Watcher):
    """Uses the picture as it is at one step."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self._step = step

    def __call__(self, progress: Progress) -> None:
        super().__call__(progress)
        if (progress.stage, progress.step) == ("denoising", self._step):
            raise UseAsIs


class TestUseAsIs:
    @pytest.mark.parametrize("scheduler", ["ddpm", "ddim", "dpm++"])
    def test_an_early_end_gives_a_whole_picture(self, load, scheduler) -> None:
        impatient = Impatient(2)
        output = load().inpaint(an_edit(num_inference_steps=9, scheduler=scheduler), impatient)
        assert output.picture.shape == (64, 64, 3) and output.picture.std() > 5
        assert [p.step for p in impatient.heard if p.stage == "denoising"] == [0, 1, 2]
        assert impatient.stages[-1] == "decoding"

    def test_at_the_last_step_it_is_the_finished_picture(self, load) -> None:
        """With no noise left to add, the predicted original and the last latents are the same (DDIM)."""
        work, engine = an_edit(num_inference_steps=3, scheduler="ddim"), load()
        early = engine.inpaint(work, Impatient(3)).picture.astype(int)
        assert np.abs(early - edit(engine, work=work)).mean() < 3

    def test_the_next_run_is_bit_identical_to_a_fresh_one(self, load) -> None:
        engine = load()
        engine.inpaint(an_edit(num_inference_steps=5), Impatient(2))
        assert np.array_equal(edit(engine), edit(load()))


class TestMemoryReliefs:
    def test_an_engine_that_is_dropped_leaves_memory_at_once(self, load) -> None:
        """The registry drops one engine before it loads the next; a cycle would keep ten gigabytes until some collection."""
        engine = load()
        edit(engine)
        unet = weakref.ref(engine._decoder._unet.value)
        gc.collect()
        gc.disable()
        try:
            del engine
            assert unet() is None
        finally:
            gc.enable()

    def test_attention_in_slices_paints_the_same_but_for_rounding_and_is_taken_back(self, load) -> None:
        engine = load()
        at_once = edit(engine)
        assert engine._measures.take(Measure.SLICED) == "attention was computed in slices"
        assert engine._measures.take(Measure.SLICED) is None
        assert np.abs(edit(engine).astype(int) - at_once).max() <= 2
        engine.restore()
        assert np.array_equal(edit(engine), at_once)
        assert engine.reduce_memory() is not None, "a later job may need it again"

    def test_a_budget_that_is_a_guess_changes_no_bit_and_says_nothing(self, load, monkeypatch) -> None:
        """A CPU's budget is the memory that is free at the start. Slices change bits that a small picture may not show."""
        monkeypatch.setattr(measures, "in_slices", lambda unet: pytest.fail("attention was computed in slices"))
        tight, work = load(residency=Residency("cpu", 1)), an_edit()
        output = tight.inpaint(work, Watcher())
        assert np.array_equal(output.picture, edit(load(), work=work)) and output.notices == ()


@pytest.fixture
def gpu(load):
    """An engine whose device counts as a GPU with memory of its own; it is the CPU, so the numbers can be compared."""
    return load(residency=Residency("cpu", 10**9, parks=True))


RUNGS = ["the prior was moved off the GPU", "attention was computed in slices", "one part of the model was on the GPU at a time"]
LAST = "the model's weights went to the GPU layer by layer, which takes far longer"


class TestLadder:
    def test_the_rungs_come_in_order_and_end(self, gpu) -> None:
        edit(gpu)
        assert [gpu.reduce_memory() for _ in range(4)] == [*RUNGS, None]
        assert [gpu.reduce_memory_slowly() for _ in range(2)] == [LAST, None]

    def test_on_a_cpu_what_is_idle_is_let_go_first(self, load) -> None:
        """There is nowhere to move it to; and whatever else goes, the picture is the same but for the slices' rounding."""
        engine = load()
        plain, used = edit(engine), engine._residency.used
        assert engine.reduce_memory() == "the prior was let go" and engine._residency.used < used
        work = an_edit(seed=5)
        assert np.array_equal(edit(engine, work=work), edit(load(), work=work))
        assert not any(part.value for part in engine._conditioner.parts)
        assert [engine.reduce_memory() for _ in range(3)] == [RUNGS[1], "one part of the model was in memory at a time", None]
        assert engine.reduce_memory_slowly() is None
        assert np.abs(edit(engine, work=work).astype(int) - edit(load(), work=work)).max() <= 2
        assert [part.title for part in engine._residency._parts.values() if part.value is not None] == ["movq"]
        engine.restore()
        assert np.array_equal(edit(engine), plain)

    @pytest.mark.parametrize(("parks", "how"), [(False, "let go"), (True, "moved off the GPU")], ids=["CPU", "GPU"])
    def test_other_models_go_too_and_are_named(self, load, fixed, parks, how) -> None:
        residency = Residency("cpu", 10**9, parks=parks)
        edit(load(fixed, residency=residency))
        engine = load(residency=residency)
        edit(engine)
        assert engine.reduce_memory() == f"the prior and other models were {how}"
        edit(load(fixed, residency=residency))
        assert engine.reduce_memory() == f"other models were {how}"

    @pytest.mark.parametrize("rung", range(1, 5), ids=["prior off", "slices", "one at a time", "layer by layer"])
    def test_every_rung_paints_the_same_but_for_rounding_and_is_taken_back(self, gpu, load, rung) -> None:
        plain = edit(gpu)
        relieved = [gpu.reduce_memory() if number < 3 else gpu.reduce_memory_slowly() for number in range(rung)]
        assert None not in relieved
        work = an_edit(seed=4)
        assert np.abs(edit(gpu, work=work).astype(int) - edit(load(), work=work)).max() <= 2
        gpu.restore()
        assert np.array_equal(edit(gpu), plain) and gpu.reduce_memory() is not None, "a later job may need it again"

    def test_while_the_prior_stays_off_it_leaves_after_each_use(self, gpu) -> None:
        edit(gpu)
        gpu.reduce_memory()
        edit(gpu, work=an_edit(seed=5))
        assert [part.title for part in gpu._residency._parts.values() if part.is_on_device] == ["unet", "movq"]

    def test_one_part_at_a_time_means_it(self, gpu) -> None:
        edit(gpu)
        for _ in range(3):
            gpu.reduce_memory()
        edit(gpu)
        assert [part.title for part in gpu._residency._parts.values() if part.is_on_device] == ["movq"]

    @pytest.mark.parametrize("step", [1, 3])
    def test_memory_that_runs_out_until_the_last_rung_is_met_by_it(self, gpu, load, step) -> None:
        """A hook on the UNet fails at one step, as long as its weights are all there at once."""
        edit(gpu)
        unet, calls = gpu._decoder._unet.value, []

        def fail(module: torch.nn.Module, _inputs: object) -> None:
            calls.append(module)
            if len(calls) % 3 == step % 3 and next(module.parameters()).device.type != "meta":
                raise torch.OutOfMemoryError("CUDA out of memory")

        work, given_up = an_edit(seed=4), []
        handle = unet.register_forward_pre_hook(fail)
        while True:
            calls.clear()
            try:
                picture = edit(gpu, work=work)
                break
            except OutOfMemory:
                given_up.append(gpu.reduce_memory() or gpu.reduce_memory_slowly())
        handle.remove()
        assert given_up == [*RUNGS, LAST]
        assert np.abs(picture.astype(int) - edit(load(), work=work)).max() <= 2
        gpu.restore()
        assert np.array_equal(edit(gpu, work=work), edit(load(), work=work))

    def test_a_unet_beyond_the_budget_goes_layer_by_layer_at_once(self, load) -> None:
        small = load(residency=Residency("cpu", 1_230_000, parks=True))
        output = small.inpaint(an_edit(), Watcher())
        assert np.abs(output.picture.astype(int) - edit(load())).max() <= 2
        assert not small._decoder._unet.is_on_device
        assert output.notices[-1] == f"0.00123 GB of memory for models: {LAST}, and {RUNGS[1]}."

    def test_what_memory_running_out_has_brought_is_not_said_again(self, load) -> None:
        small = load(residency=Residency("cpu", 1, parks=True))
        small.reduce_memory_slowly()
        assert small.inpaint(an_edit(), Watcher()).notices[-1] == f"1e-09 GB of memory for models: {RUNGS[1]}."
        small._measures.take(Measure.SLICED)
        assert small.inpaint(an_edit(), Watcher()).notices == ()

    def test_where_weights_have_no_other_place_slices_alone_are_said(self, load, monkeypatch) -> None:
        """Metal: a device that is not the CPU, and has no memory of its own."""
        residency = Residency("cpu", 1)
        monkeypatch.setattr(Residency, "memory", Residency("mps", 1).memory)
        output = load(residency=residency).inpaint(an_edit(), Watcher())
        assert output.notices == (f"1e-09 GB of memory for models: {RUNGS[1]}.",)
        assert np.abs(output.picture.astype(int) - edit(load())).max() <= 2


@pytest.mark.parametrize("task", ["inpaint", "image-to-image"])
def test_a_multiple_that_the_movq_does_not_take_is_a_wrong_setting(task, learned, learned_image, tmp_path) -> None:
    sources = {"prior": learned.prior, "decoder": learned.decoder, "image_decoder": learned_image.decoder}
    spec = ModelSpec(
        "mine",
        "Mine",
        "kandinsky22",
        (task,),
        file="mine.toml",
        working=WorkingLimits(multiple=32, max_pixels=65_536),
        sources={part: Source(str(folder)) for part, folder in sources.items()},
    )
    with pytest.raises(BadConfig, match=r"mine.toml: working.multiple: its MoVQ needs a multiple of 64"):
        FAMILIES["kandinsky22"][task].load(spec, Runtime("cpu", None, tmp_path), Watcher())


class TestNothingTwice:
    """Candidates of one job have the same picture, mask and words, and other seeds."""

    @pytest.fixture
    def calls(self, monkeypatch) -> list[str]:
        made: list[str] = []
        for owner, name in ((VQModel, "encode"), (CLIPTextModelWithProjection, "forward"), (LatentColours, "fit")):
            original = getattr(owner, name)

            def counted(*args, original=original, name=name, **options):
                made.append(name)
                return original(*args, **options)

            monkeypatch.setattr(owner, name, counted)
        return made

    def test_another_candidate_encodes_nothing_and_changes_no_bit(self, load, calls) -> None:
        engine = load()
        edit(engine)
        calls.clear()
        second = edit(engine, work=an_edit(seed=4))
        assert calls == []
        assert np.array_equal(second, edit(load(), work=an_edit(seed=4)))

    @pytest.mark.parametrize(
        ("work", "made"),
        [
            pytest.param(an_edit(mask=np.full((64, 64), 255, np.uint8)), ["encode", "fit"], id="another mask"),
            pytest.param(an_edit(prompt="the sky"), ["forward", "forward"], id="other words"),
            pytest.param(an_edit(negative_prompt="the sky"), ["forward", "forward"], id="a negative prompt"),
        ],
    )
    def test_what_differs_is_encoded(self, load, calls, work, made) -> None:
        engine = load()
        edit(engine)
        calls.clear()
        edit(engine, work=work)
        assert calls == made

    def test_a_second_edit_with_known_words_does_not_even_load_the_prior(self, load) -> None:
        recent = Recent()
        edit(load(recent=recent))
        other, watcher = load(recent=recent), Watcher()
        edit(other, watcher)
        assert [(p.step, p.total) for p in watcher.heard if p.stage == "loading"] == [(1, 2), (2, 2)]
        assert "prior" not in watcher.stages
        assert [part.title for part in other._residency._parts.values() if part.value is not None] == ["unet", "movq"]

    def test_other_weights_know_nothing_of_it(self, load, fixed) -> None:
        recent = Recent()
        edit(load(recent=recent))
        watcher = Watcher()
        edit(load(fixed, recent=recent), watcher)
        assert "prior" in watcher.stages


def test_more_steps_than_the_checkpoint_was_trained_with_are_refused(load) -> None:
    with pytest.raises(InvalidRequest, match="1000 steps and takes no more"):
        edit(load(), work=an_edit(num_inference_steps=1001))


def test_bfloat16_paints_what_float32_does_but_for_its_rounding(load) -> None:
    exact = edit(load()).astype(int)
    assert np.abs(edit(load(dtype="bfloat16")) - exact).mean() < BFLOAT16_ERROR


@pytest.mark.parametrize(("dtype", "is_laid"), [("float32", False), ("bfloat16", True)])
def test_only_bfloat16_lays_channels_last(load, dtype, is_laid) -> None:
    """In float32 the layout is upstream's: another one adds in another order. The weights stay the same numbers."""
    engine = load(dtype=dtype)
    engine.bring(Watcher())
    unet = engine._decoder._unet.value
    before = {name: parameter.clone() for name, parameter in unet.named_parameters()}
    first = edit(engine)
    laid = {
        parameter.is_contiguous(memory_format=torch.channels_last) and not parameter.is_contiguous()
        for parameter in unet.parameters()
        if parameter.dim() == 4 and parameter.shape[2] > 1 and parameter.shape[1] > 1
    }
    assert laid == {is_laid}
    assert all(torch.equal(parameter, before[name]) for name, parameter in unet.named_parameters())
    assert np.array_equal(edit(engine), first)


def test_the_input_is_left_as_it_was(load) -> None:
    work = an_edit()
    for array in (work.picture, work.mask):
        array.flags.writeable = False
    edit(load(), work=work)


class TestStages:
    """What a stage is named after is what its seconds go to: nothing is computed under the name of the loading before it."""

    def test_the_work_of_a_part_follows_its_own_name(self, load, monkeypatch) -> None:
        heard, at = Watcher(), {}
        for kind, name in ((CLIPTextModelWithProjection, "text encoder"), (PriorTransformer, "prior"), (UNet2DConditionModel, "unet")):
            forward = kind.forward

            def noted(*args, name=name, forward=forward, **options):
                at.setdefault(name, (heard.heard[-1].stage, heard.heard[-1].step))
                return forward(*args, **options)

            monkeypatch.setattr(kind, "forward", noted)
        load(residency=Residency("cpu", 1)).inpaint(an_edit(), heard)
        assert at == {"text encoder": ("prior", 0), "prior": ("prior", 0), "unet": ("denoising", 0)}


class TestSmallCard:
    """The CPU, which counts as a GPU with memory of its own."""

    @pytest.fixture
    def wide(self, tmp_path) -> Repositories:
        return Repositories(*make_kandinsky(tmp_path / "wide", learned_range=True, image_width=4096))

    def sizes(self, engine) -> dict[str, int]:
        return {
            part.title: part.nbytes for part in (*engine._conditioner.parts, *engine._decoder.parts, engine._conditioner._zero._encoder)
        }

    def test_an_image_encoder_that_does_not_fit_comes_layer_by_layer(self, load, wide, tmp_path) -> None:
        """It is the largest part, and the first edit without a negative prompt cannot do without it."""
        usual = load(wide)
        expected, sizes = edit(usual), self.sizes(usual)
        assert max(sizes, key=lambda title: sizes[title]) == "image encoder"
        shutil.rmtree(tmp_path / "cache")
        residency = Residency("cpu", sizes["image encoder"] + WORDS_BYTES - 1, parks=True)
        engine = load(wide, residency=residency)
        first, second = (engine.inpaint(an_edit(), Watcher()) for _ in range(2))
        assert np.array_equal(first.picture, expected) and np.array_equal(second.picture, expected)
        assert first.notices == (
            within_budget(residency.budget, "the image encoder's weights went to the GPU layer by layer, which takes far longer"),
        )
        assert second.notices == () and engine._conditioner._zero._encoder.value is None

    def test_what_reads_the_words_may_come_layer_by_layer_too(self, load) -> None:
        engine = load(residency=Residency("cpu", 1, parks=True))
        while engine.reduce_memory():
            pass
        output = engine.inpaint(an_edit(), Watcher())
        assert [notice.split(" the ")[1].split("'s")[0] for notice in output.notices[:3]] == ["image encoder", "text encoder", "prior"]
        usual = load()
        usual._measures.take(Measure.SLICED)
        assert np.array_equal(output.picture, edit(usual))
