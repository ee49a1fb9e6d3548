"""How near training comes to the penalised optimum: the relative KKT residual after ``finalize``.

Three problems: a Lasso, a sparse logistic regression, and a two-layer tanh network whose upper layer is penalised too
(so that its scale is fixed). Each is trained with minibatches to the end of a cosine schedule, and in full batch by
LBFGS in float64. The residual is ``|g + α·sign(v)|`` on the support and ``max(|g| − α, 0)`` off it, over α, with g the
gradient over all samples; ``spred.core`` computes it, and training does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

import spred

N_SAMPLES, N_FEATURES, BATCH = 512, 40, 64
N_EPOCHS = 300

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Problem:
    """A model, its data and its loss; the learning rate that the dense model would get."""

    name: str
    make: Callable[[], nn.Module]
    inputs: Tensor
    targets: Tensor
    loss: Loss
    alpha: float
    lr: float


def half_square(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return ``1/(2n)‖y − f(x)‖²``."""
    return 0.5 * (outputs - targets).square().mean()


def problems(seed: int = 0) -> list[Problem]:
    """Return the three problems in float64."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N_SAMPLES, N_FEATURES))
    signal = X[:, :5] @ np.array([2.0, -1.5, 1.0, 0.7, -0.5])
    noisy = signal + 0.3 * rng.normal(size=N_SAMPLES)
    classes = (signal + rng.logistic(size=N_SAMPLES) > 0).astype(float)
    curved = np.tanh(X[:, 0] - X[:, 1]) + np.tanh(X[:, 2] + 0.5 * X[:, 3]) + 0.05 * rng.normal(size=N_SAMPLES)
    inputs = torch.from_numpy(X)
    lasso, logistic, network = (torch.from_numpy(y)[:, None] for y in (noisy, classes, curved))
    cross_entropy = nn.functional.binary_cross_entropy_with_logits
    return [
        Problem("Lasso", _linear, inputs, lasso, half_square, 0.1, 0.05),
        Problem("logistic", _linear, inputs, logistic, cross_entropy, 0.03, 0.2),
        Problem("two-layer tanh", _network, inputs, network, half_square, 0.01, 0.1),
    ]


def kkt(problem: Problem, mode: str) -> dict:
    """Train, finalize, and return the largest relative KKT residual of the penalised tensors, and their density."""
    torch.manual_seed(0)
    model = problem.make()
    penalty = spred.L1(spred.prunable_weights(model), problem.alpha)
    opt = (_full_batch if mode == "full batch" else _minibatch)(problem, model, penalty)
    record = spred.finalize(model, opt, [(problem.inputs, problem.targets)], problem.loss)
    grads = torch.autograd.grad(problem.loss(model(problem.inputs), problem.targets), spred.prunable_weights(model))
    residuals = [
        entry.target.core().kkt_residual(weight.detach(), grad).max().item() / problem.alpha
        for entry, weight, grad in zip(opt.factored, spred.prunable_weights(model), grads, strict=True)
    ]
    return {
        "measure": "exactness",
        "problem": problem.name,
        "mode": mode,
        "kkt": max(residuals),
        "density": record.density,
    }


def _minibatch(problem: Problem, model: nn.Module, penalty: spred.L1) -> spred.SpredOptimizer:
    opt = spred.SpredOptimizer(torch.optim.SGD(model.parameters(), lr=problem.lr, momentum=0.9), penalty)
    generator = torch.Generator().manual_seed(0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(opt, N_EPOCHS * (N_SAMPLES // BATCH))
    for _ in range(N_EPOCHS):
        for batch in torch.randperm(N_SAMPLES, generator=generator).split(BATCH):
            opt.zero_grad()
            problem.loss(model(problem.inputs[batch]), problem.targets[batch]).backward()
            opt.step()
            schedule.step()
    return opt


def _full_batch(problem: Problem, model: nn.Module, penalty: spred.L1) -> spred.SpredOptimizer:
    base = torch.optim.LBFGS(
        model.parameters(),
        max_iter=5000,
        max_eval=20000,
        tolerance_grad=1e-12,
        tolerance_change=1e-18,
        history_size=50,
        line_search_fn="strong_wolfe",
    )
    opt = spred.SpredOptimizer(base, penalty)

    def closure() -> Tensor:
        opt.zero_grad()
        loss = problem.loss(model(problem.inputs), problem.targets)
        loss.backward()
        return loss

    for _ in range(3):
        opt.step(closure)
    return opt


def _linear() -> nn.Module:
    return nn.Linear(N_FEATURES, 1).double()


def _network() -> nn.Module:
    return nn.Sequential(nn.Linear(N_FEATURES, 20), nn.Tanh(), nn.Linear(20, 1)).double()
