"""Plain L1: its subgradient added to the gradient, and a threshold at the end, as most training loops do it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from networks.objective import LR, MOMENTUM, weights_of

GRID = (1e-4, 3e-4, 6e-4, 1e-3)

THRESHOLD = 1e-3
"""Weights smaller than this become zero. Nothing in the method says how large it should be."""


class Subgradient(torch.optim.SGD):
    """SGD on the loss plus ``alpha·‖v‖₁``."""

    def __init__(self, model: nn.Module, alpha: float) -> None:
        super().__init__(model.parameters(), lr=LR, momentum=MOMENTUM)
        self.weights, self.alpha = weights_of(model), alpha

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Add the subgradient, then step."""
        for weight in self.weights:
            weight.grad.add_(weight.sign(), alpha=self.alpha)
        super().step(closure)


def prepare(model: nn.Module, strength: float, n_steps: int) -> tuple[torch.optim.SGD, Callable[[], None]]:
    """Add the subgradient while training, cut at the end."""

    @torch.no_grad()
    def finish() -> None:
        for weight in weights_of(model):
            weight.masked_fill_(weight.abs() <= THRESHOLD, 0.0)

    return Subgradient(model, strength), finish
