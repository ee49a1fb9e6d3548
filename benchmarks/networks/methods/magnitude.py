"""Gradual magnitude pruning: the smallest weights of all layers go, along a cubic schedule (Zhu and Gupta, 2017)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from networks.objective import LR, MOMENTUM, weights_of

GRID = (1 / 25, 1 / 50, 1 / 75, 1 / 100)
"""Here the strength is the density to reach."""

EVERY = 100
START, END = 0.1, 0.8
"""The part of the steps over which weights are removed."""


class Pruned(torch.optim.SGD):
    """SGD that keeps a growing share of the weights at zero."""

    def __init__(self, model: nn.Module, density: float, n_steps: int) -> None:
        super().__init__(model.parameters(), lr=LR, momentum=MOMENTUM)
        self.weights, self.density, self.n_steps = weights_of(model), density, n_steps
        self.masks = [torch.ones_like(weight) for weight in self.weights]
        self.n_taken = 0

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Step, then set to zero what is pruned; every ``EVERY`` steps prune more."""
        super().step(closure)
        self.n_taken += 1
        done = (self.n_taken / self.n_steps - START) / (END - START)
        if self.n_taken % EVERY == 0 and 0.0 <= done <= 1.0 + EVERY / self.n_steps / (END - START):
            density = self.density + (1 - self.density) * (1 - min(done, 1.0)) ** 3
            sizes = torch.cat([weight.abs().flatten() for weight in self.weights])
            cut = sizes.kthvalue(max(int((1 - density) * len(sizes)), 1)).values
            self.masks = [(weight.abs() > cut).float() for weight in self.weights]
        for weight, mask in zip(self.weights, self.masks, strict=True):
            weight.mul_(mask)


def prepare(model: nn.Module, strength: float, n_steps: int) -> tuple[Pruned, Callable[[], None]]:
    """Prune while training."""
    return Pruned(model, strength, n_steps), lambda: None
