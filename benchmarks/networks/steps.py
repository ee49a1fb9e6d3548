"""Step times: a whole training step with each method over the same step of the dense model, in one run.

One thread and its own processor time, because other work on the machine would count otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

import spred
from networks.methods import METHODS
from networks.objective import BATCH, lenet, sgd
from networks.resnet import resnet18

TIMED = ("spred", "torchao PAT")

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
    steps = {"dense": _step(dense, sgd(list(dense.parameters())), x, y)}
    for name in methods:
        model = make(0)
        opt, _ = METHODS[name].prepare(model, METHODS[name].GRID[0], 1)
        steps[name] = _step(model, opt, x, y)
    model = make(0)
    opt, _ = METHODS["spred"].prepare(model, METHODS["spred"].GRID[0], 1, compile=True)
    steps["spred, compiled"] = _step(model, opt, x, y)
    model = make(0)
    spred.parametrize(model, spred.L1(spred.prunable_weights(model), 1e-4))
    steps["spred.parametrize"] = _step(model, sgd(list(model.parameters())), x, y, spred.penalty)
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
    opt: torch.optim.Optimizer,
    x: Tensor,
    y: Tensor,
    penalty: Callable[[nn.Module], Tensor | float] = lambda model: 0.0,
) -> Callable[[], None]:
    def step() -> None:
        opt.zero_grad()
        (nn.functional.cross_entropy(model(x), y) + penalty(model)).backward()
        opt.step()

    return step
