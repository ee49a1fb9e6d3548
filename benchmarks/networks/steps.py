"""Step times: a whole training step with each method over the same step of the dense model, in one run.

One thread and its own processor time, because other work on the machine would count otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

import spred
from networks.methods import pat
from networks.objective import BATCH, LR, MOMENTUM, lenet, penalty
from spred.compress.models.zoo import Facts, build
from spred.compress.recipe import TrainSection
from spred.compress.training.trainer import make_optimizer


def resnet18(seed: int) -> nn.Module:
    """Return ResNet-18 with the stem for 32 × 32 images (He et al., CVPR 2016)."""
    torch.manual_seed(seed)
    return build("resnet-18", {}, Facts(3, (32, 32), 10))


def sgd(model: nn.Module) -> torch.optim.SGD:
    """Return the recipe's optimiser."""
    return torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)


def spred_sgd(model: nn.Module, **options: object) -> spred.SpredOptimizer:
    """Return spred around the recipe's optimiser."""
    return spred.SpredOptimizer(sgd(model), penalty(model, 1e-4), **options)


def torchao_pat(model: nn.Module) -> Any:
    """Return PAT around the recipe's optimiser."""
    make = partial(make_optimizer, section=TrainSection(momentum=MOMENTUM), lr=LR)
    return pat.prepare(model, pat.GRID[0], make, 1).opt


TIMED = {"spred": spred_sgd, "torchao PAT": torchao_pat}

CASES = {
    "LeNet-300-100": (lenet, (BATCH, 784), 400, 5),
    "ResNet-18": (resnet18, (64, 3, 32, 32), 8, 1),
}
"""For each network: how to make it, the shape of a batch, rounds, steps in a round."""


def step_times(case: str, methods: Iterable[str] = TIMED) -> dict[str, float]:
    """Return the milliseconds of one step: the least of many rounds, the methods in turn."""
    make, shape, n_rounds, n_steps = CASES[case]
    torch.set_num_threads(1)
    x, y = torch.randn(shape), torch.randint(0, 10, shape[:1])
    dense = make(0)
    steps = {"dense": _step(dense, sgd(dense), x, y)}
    for name in methods:
        model = make(0)
        steps[name] = _step(model, TIMED[name](model), x, y)
    model = make(0)
    steps["spred, compiled"] = _step(model, spred_sgd(model, compile=True), x, y)
    model = make(0)
    spred.parametrize(model, penalty(model, 1e-4))
    steps["spred.parametrize"] = _step(model, sgd(model), x, y, spred.penalty)
    for step in steps.values():
        step()
        step()  # programs are compiled, and moments made
    best = dict.fromkeys(steps, float("inf"))
    for _ in range(n_rounds):
        for name, step in steps.items():
            began = time.process_time()
            for _ in range(n_steps):
                step()
            best[name] = min(best[name], (time.process_time() - began) / n_steps)
    return {name: 1000 * seconds for name, seconds in best.items()}


def _step(
    model: nn.Module,
    opt: Any,
    x: Tensor,
    y: Tensor,
    added: Callable[[nn.Module], Tensor | float] = lambda model: 0.0,
) -> Callable[[], None]:
    def step() -> None:
        opt.zero_grad()
        (nn.functional.cross_entropy(model(x), y) + added(model)).backward()
        opt.step()

    return step
