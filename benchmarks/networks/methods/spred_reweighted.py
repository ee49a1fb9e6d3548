"""spred with reweighted L1: plain L1 for a quarter of the run, then what a weight pays follows its size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

import spred
from networks.objective import sgd

GRID = (5e-5, 8e-5, 1.2e-4)

START, EVERY = 0.25, 100
"""The part of the steps before the first renewal, and the steps between two."""


class Reweighted(spred.SpredOptimizer):
    """Renews the penalty's weights as it steps."""

    def __init__(self, model: nn.Module, alpha: float, n_steps: int) -> None:
        super().__init__(sgd(list(model.parameters())), spred.L1(spred.prunable_weights(model), alpha))
        self.start = int(START * n_steps)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Step, then renew if it is time."""
        loss = super().step(closure)
        if self.n_steps >= self.start and self.n_steps % EVERY == 0:
            self.reweight()
        return loss


def prepare(model: nn.Module, strength: float, n_steps: int) -> tuple[Reweighted, Callable[[], None]]:
    """Wrap the base; at the end the default rule makes the zeros."""
    opt = Reweighted(model, strength, n_steps)
    return opt, lambda: spred.finalize(model, opt)
