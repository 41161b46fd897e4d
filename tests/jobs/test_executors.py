"""The same work in the worker's thread and in a GPU's process: the same result, progress, errors and cancel in both."""

from __future__ import annotations

import contextvars
import multiprocessing
import os
import pickle
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
import spaces
from gradio.context import LocalContext

from inpaint.core.geometry import Extent
from inpaint.core.progress import Progress, UseAsIs
from inpaint.core.request import GenerateRequest, SamplingParams
from inpaint.core.result import EditResult, StoppedAt
from inpaint.errors import (
    BadOutput,
    Busy,
    EditCancelled,
    InvalidRequest,
    JobTimeout,
    MachineError,
    ModelUnavailable,
    OutOfMemory,
)
from inpaint.jobs.eta import Cost, Pace
from inpaint.jobs.executors import LOADED_PER_SECOND, LONGEST_SECONDS, SHORTEST_SECONDS, GpuProcess, InThread
from inpaint.jobs.job import Executor
from inpaint.jobs.work import GenerateWork, Work, cost_of
from inpaint.jobs.worker import Worker
from tests.lent_gpu import LentGpu
from tests.programmed import STAGES, OneEngine, Programmed, edit_work, raises, waits_for, works

pytestmark = pytest.mark.filterwarnings("ignore:Error while reading infos from Nvidia")
PATIENCE = 60
Make = Callable[[Programmed], Executor]


@pytest.fixture
def lent(monkeypatch: pytest.MonkeyPatch) -> Iterator[LentGpu]:
    if sys.platform == "win32":
        pytest.skip("a ZeroGPU Space forks, and Windows cannot")
    yield LentGpu(monkeypatch)
    for child in multiprocessing.active_children():
        child.kill()
        child.join(PATIENCE)


@pytest.fixture(params=["thread", "process", "no GPU to lend"])
def make(request: pytest.FixtureRequest) -> Make:
    """thread: ours. process: what a ZeroGPU Space does. no GPU to lend: the package elsewhere, where it leaves all as it is."""
    if request.param == "thread":
        return lambda engine: InThread(OneEngine(engine))
    gpu = request.getfixturevalue("lent") if request.param == "process" else spaces.GPU
    return lambda engine: GpuProcess(OneEngine(engine), gpu, gr.Error, Pace())


def wait_until(true: Callable[[], bool]) -> None:
    last = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < last, "it never came"
        time.sleep(0.005)


class Heard:
    """A report that keeps what it hears and raises where told."""

    def __init__(self, at: tuple[str, int] | None = None, error: Exception | None = None) -> None:
        self.progress: list[Progress] = []
        self._at, self._error = at, error or EditCancelled()

    def __call__(self, progress: Progress) -> None:
        self.progress.append(progress)
        if (progress.stage, progress.step) == self._at:
            raise self._error

    def plain(self) -> list[Any]:
        return [
            (p.stage, p.step, p.total, p.candidate, p.candidates, None if p.preview is None else p.preview.tolist()) for p in self.progress
        ]


def plain(result: EditResult) -> Any:
    return (
        [(c.picture.pixels.tolist(), c.picture.name, c.seed, c.changed_outside) for c in result.candidates],
        result.model,
        result.sampling,
        result.region,
        result.blend_band_px,
        sorted(result.seconds),
        result.notices,
    )


@pytest.mark.parametrize("work", works().values(), ids=works())
def test_result_and_progress_are_those_of_the_thread(make: Make, work: Work) -> None:
    expected, here = Heard(), Heard()
    assert plain(make(Programmed()).run(work, here)) == plain(InThread(OneEngine(Programmed())).run(work, expected))
    assert here.plain() == expected.plain() and len(here.plain()) > len(STAGES)


AT_EVERY_STAGE = pytest.mark.parametrize("at", [("loading", 0), *STAGES, ("compositing", 0)], ids=str)


def steps_in(diary: Path) -> list[tuple[str, int]]:
    return [(stage, int(step)) for _, stage, step in (line.split() for line in diary.read_text().splitlines())] if diary.exists() else []


def until(at: tuple[str, int]) -> list[tuple[str, int]]:
    """The steps that come before one."""
    return [*(STAGES[: STAGES.index(at)] if at in STAGES else STAGES if at[0] == "compositing" else ())]


@AT_EVERY_STAGE
@pytest.mark.parametrize("gpu", [None, spaces.GPU], ids=["thread", "no GPU to lend"])
def test_cancel_stops_before_the_next_step(gpu: Any, at: tuple[str, int], tmp_path: Path) -> None:
    models = OneEngine(Programmed(diary=tmp_path / "diary"))
    executor = GpuProcess(models, gpu, gr.Error, Pace()) if gpu else InThread(models)
    with pytest.raises(EditCancelled):
        executor.run(edit_work(), Heard(at))
    assert steps_in(tmp_path / "diary") == until(at)


@AT_EVERY_STAGE
def test_cancel_in_another_process_lets_it_finish_one_step(lent: LentGpu, at: tuple[str, int], tmp_path: Path) -> None:
    """It is on its way to the next report already, while the word to stop is on its way to it."""
    told, diary = tmp_path / "told", tmp_path / "diary"
    executor = GpuProcess(OneEngine(Programmed({at: waits_for(told)}, diary)), lent, gr.Error, Pace())

    def tell() -> None:
        wait_until(lambda: lent.is_told_to_stop)
        told.touch()

    def report(progress: Progress) -> None:
        if (progress.stage, progress.step) == at:
            threading.Thread(target=tell).start()
            raise EditCancelled

    with pytest.raises(EditCancelled):
        executor.run(edit_work(), report)
    assert steps_in(diary) == [*until(at), *([at] if at in STAGES else [])]
    assert lent.released == [True]


def test_after_a_cancel_the_next_run_is_as_if_there_had_been_none(make: Make) -> None:
    executor = make(Programmed())
    with pytest.raises(EditCancelled):
        executor.run(edit_work(), Heard(("denoising", 2)))
    assert plain(executor.run(edit_work(), Heard())) == plain(InThread(OneEngine(Programmed())).run(edit_work(), Heard()))


@pytest.mark.parametrize(
    "error",
    [
        BadOutput("NaN.", "Another seed."),
        InvalidRequest("seed", "Wrong.", "Right."),
        ModelUnavailable("Not here."),
        Busy("Busy."),
        JobTimeout("Late."),
        EditCancelled("Stopped.", "Why."),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_cross_whole(make: Make, error: Exception) -> None:
    executor = make(Programmed({("denoising", 2): raises(error)}))
    with pytest.raises(type(error)) as caught:
        executor.run(edit_work(), Heard())
    assert vars(caught.value) == vars(error) and type(caught.value) is type(error)
    assert executor.run(edit_work(), Heard()).candidates


def test_memory_that_ran_out_once_is_met_with_less_and_said(make: Make) -> None:
    result = make(Programmed({("denoising", 2): raises(OutOfMemory("No."))})).run(edit_work(), Heard())
    assert result.notices == ("Memory ran out, so one thing was given up.",)


def test_memory_that_always_runs_out_ends_in_a_sentence(make: Make) -> None:
    executor = make(Programmed({("decoding", 1): raises(*[OutOfMemory("No.")] * 20)}))
    with pytest.raises(OutOfMemory, match=r"too little memory for 64 x 64 pixels, and for any size down to 16 x 16: [\d.]+ GB are free"):
        executor.run(edit_work(), Heard())


@pytest.mark.parametrize(
    ("thrown", "shown"), [(ValueError("/root/secret"), MachineError), (MemoryError(), OutOfMemory), (SystemExit(3), MachineError)], ids=repr
)
def test_a_bug_is_told_as_one_and_the_next_job_runs(
    make: Make, thrown: BaseException, shown: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    worker = Worker(make(Programmed({("denoising", 2): raises(thrown)})))
    job = worker.submit(edit_work(), "ann")
    assert job.wait(PATIENCE) and isinstance(job.error, shown) and "secret" not in str(job.error)
    assert shown is OutOfMemory or type(thrown).__name__ in caplog.text
    after = worker.submit(edit_work(), "ann")
    assert after.wait(PATIENCE) and after.state == "done"


def test_opening_the_engine_counts_as_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that stands still but for that: the imports of a first run are most of what it waits for."""
    now = [0.0]
    monkeypatch.setattr("inpaint.editing.run.time", SimpleNamespace(perf_counter=lambda: now[0]))

    def imports() -> None:
        now[0] += 7

    result = InThread(OneEngine(Programmed({("loading", 0): imports}))).run(edit_work(), Heard())
    assert {stage: seconds for stage, seconds in result.seconds.items() if seconds} == {"loading": 7}


def test_only_in_the_thread_can_a_run_be_ended_early() -> None:
    early = Heard(("denoising", 2), UseAsIs())
    thread = InThread(OneEngine(Programmed()))
    assert thread.can_end_early and thread.run(edit_work(), early).stopped_at == StoppedAt(1, 2, 3)
    elsewhere = GpuProcess(OneEngine(Programmed()), spaces.GPU, gr.Error, Pace())
    assert not elsewhere.can_end_early
    with pytest.raises(EditCancelled):
        elsewhere.run(edit_work(), Heard(("denoising", 2), UseAsIs()))


def test_the_process_is_another_one_that_sees_nothing_change_here(lent: LentGpu, tmp_path: Path) -> None:
    changed, diary = threading.Event(), tmp_path / "diary"
    engine = Programmed({("denoising", 3): lambda: raises(BadOutput("It saw the event."))() if changed.is_set() else None}, diary)
    executor = GpuProcess(OneEngine(engine), lent, gr.Error, Pace())

    def report(progress: Progress) -> None:
        changed.set()

    assert executor.run(edit_work(), report).candidates and changed.is_set()
    assert {int(line.split()[0]) for line in diary.read_text().splitlines()} & {os.getpid()} == set()
    assert lent.released == [True]


def test_the_gpu_is_lent_to_the_request_that_asked(lent: LentGpu) -> None:
    worker = Worker(GpuProcess(OneEngine(Programmed()), lent, gr.Error, Pace()))

    def ask(name: str) -> None:
        LocalContext.request.set(name)
        assert worker.submit(edit_work(), name).wait(PATIENCE)

    for name in ("ann's request", "ben's request"):
        contextvars.copy_context().run(ask, name)
    assert [request for request, _ in lent.asked] == ["ann's request", "ben's request"]


@pytest.mark.parametrize(("weights", "calls"), [(True, 1), (False, 0)], ids=["a model", "a fill from the picture itself"])
def test_a_gpu_is_lent_only_to_what_has_weights(lent: LentGpu, weights: bool, calls: int) -> None:
    executor = GpuProcess(OneEngine(Programmed(), weights=weights), lent, gr.Error, Pace())
    assert plain(executor.run(edit_work(), Heard())) == plain(InThread(OneEngine(Programmed())).run(edit_work(), Heard()))
    assert len(lent.asked) == calls


def test_a_gpu_that_is_not_lent_is_told_in_the_space_s_own_words(lent: LentGpu) -> None:
    lent.refuses = gr.Error('You have exceeded your quota. <a href="https://example.org">Log in</a>')
    executor = GpuProcess(OneEngine(Programmed()), lent, gr.Error, Pace())
    with pytest.raises(MachineError, match=r"^You have exceeded your quota. Log in"):
        executor.run(edit_work(), Heard())


def test_a_process_that_is_ended_from_outside_is_told_and_another_takes_its_place(lent: LentGpu, tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    alive.touch()

    def die() -> None:
        if alive.exists():
            alive.unlink()
            os._exit(9)

    executor = GpuProcess(OneEngine(Programmed({("denoising", 2): die})), lent, gr.Error, Pace())
    with pytest.raises(MachineError, match="aborted"):
        executor.run(edit_work(), Heard())
    assert executor.run(edit_work(), Heard()).candidates
    assert lent.released == [False, True]


def asked_for(work: Work, seconds: float | None, to_load: tuple[int, int] = (0, 0)) -> int:
    pace = Pace()
    if seconds is not None:
        pace.learn(cost_of(work), seconds)
    return GpuProcess(OneEngine(Programmed(), to_load), spaces.GPU, gr.Error, pace).seconds(work)


def generation(steps: int, side: int, count: int = 1) -> GenerateWork:
    return GenerateWork(GenerateRequest("fake", SamplingParams(num_inference_steps=steps, width=side, height=side), count))


@pytest.mark.parametrize(
    ("work", "known", "seconds"),
    [
        pytest.param(generation(1, 512), 2.0, SHORTEST_SECONDS, id="a quick one asks for the least"),
        pytest.param(generation(30, 1024), 20.0, 30, id="known: with a margin"),
        pytest.param(generation(1000, 1024, 8), 900.0, LONGEST_SECONDS, id="a slow one for the most that is lent"),
        pytest.param(generation(20, 1000), None, 38, id="unknown: guessed from steps and size"),
        pytest.param(generation(1000, 1024, 8), None, LONGEST_SECONDS, id="unknown and large"),
    ],
)
def test_how_long_a_gpu_is_asked_for(work: Work, known: float | None, seconds: int) -> None:
    assert asked_for(work, known) == seconds


@pytest.mark.parametrize(("known", "seconds"), [(None, 38 + 20), (20.0, 30 + 10)], ids=["the first of its kind", "known"])
def test_the_time_in_which_weights_are_read_is_asked_for_too(known: float | None, seconds: int) -> None:
    """What was learned leaves it out, and a model that is not in memory is read for each call."""
    work = generation(20, 1000)
    assert asked_for(work, known, (20 * LOADED_PER_SECOND, 10 * LOADED_PER_SECOND)) == seconds


@pytest.mark.parametrize("work", works().values(), ids=works())
def test_work_is_plain_data(work: Work) -> None:
    crossed = pickle.loads(pickle.dumps(work))
    assert type(crossed) is type(work) and crossed.task == work.task and crossed.extent == work.extent
    assert cost_of(crossed) == cost_of(work)
    picture, other = getattr(work.request, "picture", None), getattr(crossed.request, "picture", None)
    assert (picture is None) == (other is None)
    assert picture is None or np.array_equal(picture.pixels, other.pixels)


@pytest.mark.parametrize(
    ("sampling", "count", "steps"),
    [
        (SamplingParams(), 1, 1),
        (SamplingParams(num_inference_steps=30), 2, 60),
        (SamplingParams(num_inference_steps=30, strength=0.5), 1, 15),
        (SamplingParams(num_inference_steps=4, strength=0.0), 1, 1),
    ],
    ids=str,
)
def test_what_a_job_costs(sampling: SamplingParams, count: int, steps: float) -> None:
    work = GenerateWork(GenerateRequest("fake", sampling, count))
    assert cost_of(work) == Cost("fake", "generate", Extent(1, 1), steps)
