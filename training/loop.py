"""One training loop for all parts: warm-up, cosine decay, averaged weights, checkpoints that a later run goes on from.

Must not know what is being trained: a step gives it a loss."""

import copy
import math
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

THREADS = int(os.environ.get("MINI_THREADS", "2"))
RUNS = Path(os.environ.get("MINI_RUNS", str(Path(tempfile.gettempdir()) / "mini")))  # checkpoints, never committed
MODEL = Path(__file__).parent.parent / "models" / "kandinsky-mini"


@dataclass(frozen=True)
class Plan:
    """The run ends, with its learning rate decayed, at whichever limit comes first."""

    name: str
    steps: int
    minutes: float
    rate: float
    seed: int = 0
    average: float = 0.998  # the averaged weights remember about 500 steps
    warm_up: int = 100
    save_every: int = 100


def _group_norm(norm: nn.GroupNorm, features: Tensor) -> Tensor:
    """Equal to torch's own, whose backward on a CPU takes 40 % of an autoencoder's step; layer_norm's does not."""
    batch, channels = features.shape[:2]
    grouped = features.reshape(batch, norm.num_groups, -1)
    normed = F.layer_norm(grouped, grouped.shape[-1:], eps=norm.eps).view(features.shape)
    shape = (1, channels) + (1,) * (features.ndim - 2)
    return torch.addcmul(norm.bias.view(shape).to(normed.dtype), normed, norm.weight.view(shape).to(normed.dtype))


def prepare_process() -> None:
    """MINI_THREADS threads (2), one seed for the weights' first values, the quicker group norm."""
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    nn.GroupNorm.forward = _group_norm


class Courtesy:
    """All threads on an idle machine, one beside others' work: a step whose second thread waits for a core crawls.

    Training runs under `nice`, so the time of others is what Linux counts as user and system."""

    def __init__(self) -> None:
        self._seen = self._times()

    @staticmethod
    def _times() -> tuple[float, float]:
        return sum(map(int, Path("/proc/stat").read_text().split()[1:4:2])), time.monotonic()

    def adjust(self) -> None:
        before, self._seen = self._seen, self._times()
        ticks, seconds = (now - then for now, then in zip(self._seen, before, strict=True))
        torch.set_num_threads(1 if ticks / os.sysconf("SC_CLK_TCK") / seconds > 0.5 else THREADS)


def step_seed(plan_seed: int, step: int) -> int:
    """A resumed run sees the pictures and noise that an uninterrupted one would have seen."""
    return plan_seed * 1_000_003 + step


def learning_rate(plan: Plan, step: int, minutes: float) -> float:
    done = min(1.0, max(step / plan.steps, minutes / plan.minutes))
    return plan.rate * min(1.0, (step + 1) / plan.warm_up) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))


def checkpoint_path(name: str) -> Path:
    return RUNS / f"{name}.pt"


def _follow(average: nn.Module, model: nn.Module, keep: float) -> None:
    for kept, new in zip(average.parameters(), model.parameters(), strict=True):
        kept.data.lerp_(new.data, 1 - keep)


def _save(plan: Plan, state: dict[str, object]) -> None:
    RUNS.mkdir(parents=True, exist_ok=True)
    part = checkpoint_path(plan.name).with_suffix(".part")
    torch.save(state, part)
    part.replace(checkpoint_path(plan.name))


def fit(model: nn.Module, loss_of: Callable[[int], Tensor], plan: Plan) -> nn.Module:
    """Trains `model` in place and returns its averaged copy; `loss_of(step)` runs it on the batch of that step."""
    optimizer = torch.optim.AdamW(model.parameters(), plan.rate, weight_decay=0.01, betas=(0.9, 0.99), fused=True)
    average, step, minutes = copy.deepcopy(model), 0, 0.0
    if checkpoint_path(plan.name).exists():
        state = torch.load(checkpoint_path(plan.name), weights_only=True)
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        step, minutes = state["step"], state["minutes"]
    recent, before, courtesy = 0.0, time.monotonic(), Courtesy()
    while step < plan.steps and minutes < plan.minutes:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(plan, step, minutes)
        loss = loss_of(step)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        _follow(average, model, min(plan.average, step / (step + 10)))
        recent = 0.98 * recent + 0.02 * loss.item() if recent else loss.item()
        minutes, before = minutes + (time.monotonic() - before) / 60, time.monotonic()
        if step % 5 == 0:
            courtesy.adjust()
        if step % 50 == 0:
            print(f"{plan.name} step {step} loss {recent:.4f} minutes {minutes:.1f}", flush=True)
        if step % plan.save_every == 0 or step == plan.steps or minutes >= plan.minutes:
            states = {"model": model.state_dict(), "average": average.state_dict(), "optimizer": optimizer.state_dict()}
            _save(plan, {**states, "step": step, "minutes": minutes})
    return average.eval()


def averaged(name: str, model: nn.Module) -> nn.Module:
    """`model` with the averaged weights of a run's checkpoint."""
    model.load_state_dict(torch.load(checkpoint_path(name), weights_only=True)["average"])
    return model.eval()
