"""torch.compile where a person asked for it: what is told, and that a failure costs no picture. Nothing here needs a C++ compiler."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from inpaint.engines.runtime.compilation import FAILED, FIRST_RUN, STOOD_ASIDE, Compiler
from tests.engines.conftest import Watcher


@pytest.fixture(autouse=True)
def forget_what_was_compiled() -> Iterator[None]:
    """torch counts by code, and all modules here have the same."""
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


class Doubling(torch.nn.Module):
    """answer: what else it does. It counts how often it is traced or run as it is."""

    def __init__(self, answer: Callable[[torch.Tensor], object] = lambda sample: None) -> None:
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(2.0))
        self.answer = answer

    def forward(self, sample: torch.Tensor) -> torch.Tensor:
        self.answer(sample)
        return sample * self.factor


def counting(calls: list[object]) -> Callable[..., Any]:
    def backend(graph: torch.fx.GraphModule, _inputs: object) -> Callable[..., Any]:
        calls.append(graph)
        return graph.forward

    return backend


def refusing(message: str) -> Callable[..., Any]:
    def backend(*_args: object) -> Callable[..., Any]:
        raise RuntimeError(message)

    return backend


@torch.no_grad()
def double(compiler: Compiler, module: torch.nn.Module, width: int = 4, watcher: Watcher | None = None) -> tuple[str, ...]:
    """Two steps of one run; its notices."""
    run, sample = compiler.of(module, watcher or Watcher()), torch.arange(3.0 * width).reshape(3, width)
    for _ in range(2):
        assert torch.equal(run(sample=sample), sample * 2)
    return compiler.notices


def test_each_size_is_told_once() -> None:
    calls: list[object] = []
    compiler, module, watcher = Compiler(counting(calls)), Doubling(), Watcher()
    assert [double(compiler, module, width, watcher) for width in (4, 4, 5, 4)] == [(FIRST_RUN,), (), (FIRST_RUN,), ()]
    assert [(p.stage, p.notice) for p in watcher.heard] == [("loading", FIRST_RUN)] * 2
    assert calls


def test_another_module_is_compiled_anew() -> None:
    compiler = Compiler(counting([]))
    assert [double(compiler, module) for module in (Doubling(), Doubling())] == [(FIRST_RUN,)] * 2


@pytest.mark.parametrize(
    ("backend", "answer"),
    [
        pytest.param(refusing("there is no C++ compiler"), lambda sample: None, id="no compiler"),
        pytest.param("eager", lambda sample: torch._dynamo.graph_break(), id="a graph in pieces"),
    ],
)
def test_what_cannot_be_compiled_runs_as_it_is_and_says_so(backend: Any, answer: Callable[[torch.Tensor], object]) -> None:
    compiler, module = Compiler(backend), Doubling(answer)
    assert [double(compiler, module) for _ in range(2)] == [(FAILED,)] * 2


def test_too_many_sizes_are_no_silent_end() -> None:
    """torch compiles a function for a few sizes only, unless sizes do not matter to it; here each does."""
    compiler, module = Compiler("eager"), Doubling(lambda sample: [n for n in range(16) if n == sample.shape[1]])
    notices = [double(compiler, module, width) for width in range(4, 16)]
    assert notices[0] == (FIRST_RUN,) and notices[-1] == (FAILED,)


def test_an_error_of_the_module_itself_comes_through() -> None:
    def wrong(_sample: torch.Tensor) -> None:
        raise ValueError("shapes do not match")

    with pytest.raises(ValueError, match="shapes"):
        double(Compiler("eager"), Doubling(wrong))


def test_memory_running_out_is_no_failure_to_compile() -> None:
    compiler = Compiler(refusing("CUDA out of memory"))
    with pytest.raises(RuntimeError, match="out of memory"):
        double(compiler, Doubling())
    assert compiler.notices == (FIRST_RUN,), "the next run may compile"


@torch.no_grad()
def test_standing_aside_compiles_nothing() -> None:
    calls: list[object] = []
    compiler, module = Compiler(counting(calls)), Doubling()
    compiler.of(module, Watcher())
    assert torch.equal(compiler.uncompiled(module)(sample=torch.ones(2)), torch.full((2,), 2.0))
    assert compiler.notices == (STOOD_ASIDE,) and not calls


def test_a_module_that_is_let_go_is_gone() -> None:
    compiler, module = Compiler("eager"), Doubling()
    double(compiler, module)
    gone = weakref.ref(module)
    del module
    gc.collect()
    assert gone() is None
