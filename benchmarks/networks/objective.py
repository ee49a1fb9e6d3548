"""What every method trains and is judged by: LeNet-300-100, the dense recipe, accuracy against compression.

The recipe is that of the dense network and the same for all: SGD, learning rate 0.1, momentum 0.9, batches of 128, a
cosine schedule. The last epochs, a quarter of them if nothing else is asked for, train what is left without penalty.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import ModuleType

import torch
from torch import Tensor, nn

from networks.mnist import Images

LR, MOMENTUM, BATCH = 0.1, 0.9, 128
REFIT_LR = 0.03


@dataclass(frozen=True)
class Result:
    """One run: nonzero weights over all, accuracies, seconds of training."""

    density: float
    validation: float
    test: float
    seconds: float


def lenet(seed: int) -> nn.Sequential:
    """Return LeNet-300-100."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10))


def weights_of(model: nn.Module) -> list[Tensor]:
    """Return the weights that a method makes sparse: all matrices."""
    return [p for p in model.parameters() if p.ndim > 1]


def sgd(params: list, lr: float = LR) -> torch.optim.SGD:
    """Return the recipe's optimiser."""
    return torch.optim.SGD(params, lr=lr, momentum=MOMENTUM)


def run(
    method: ModuleType, strength: float, data: Images, seed: int, epochs: int, refit: int, **options: object
) -> Result:
    """Train one network with one method at one strength, the last ``refit`` epochs without penalty, and judge it."""
    model = lenet(seed)
    n_steps = (epochs - refit) * (len(data.train[1]) // BATCH)
    generator = torch.Generator().manual_seed(seed)
    opt, finish = method.prepare(model, strength, n_steps, **options)
    began = time.perf_counter()
    _train(model, opt, data.train, epochs - refit, generator)
    finish()
    masks = [weight != 0 for weight in weights_of(model)]
    _train(model, sgd(list(model.parameters()), REFIT_LR), data.train, refit, generator, masks)
    seconds = time.perf_counter() - began
    kept = sum(int(torch.count_nonzero(weight)) for weight in weights_of(model))
    density = kept / sum(weight.numel() for weight in weights_of(model))
    return Result(density, accuracy(model, data.validation), accuracy(model, data.test), seconds)


@torch.no_grad()
def accuracy(model: nn.Module, part: tuple[Tensor, Tensor]) -> float:
    """Return the share of images named rightly."""
    return float((model(part[0]).argmax(dim=1) == part[1]).float().mean())


def _train(
    model: nn.Module,
    opt: torch.optim.Optimizer,
    part: tuple[Tensor, Tensor],
    epochs: int,
    generator: torch.Generator,
    masks: list[Tensor] | None = None,
) -> None:
    x, y = part
    n_steps = len(x) // BATCH
    base = getattr(opt, "base_optimizer", opt)  # torchao's wrapper is not one that schedulers accept
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(base, epochs * n_steps)
    for _ in range(epochs):
        for batch in torch.randperm(len(x), generator=generator)[: n_steps * BATCH].split(BATCH):
            opt.zero_grad()
            nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            if masks is not None:
                for weight, mask in zip(weights_of(model), masks, strict=True):
                    weight.grad.mul_(mask)
            opt.step()
            schedule.step()
