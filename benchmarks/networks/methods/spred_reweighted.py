"""spred with reweighted L1: plain L1 for a quarter of the run, then what a weight pays follows its size."""

from __future__ import annotations

from torch import nn

from networks.objective import penalty
from spred.compress.training.methods import MakeOptimizer, Spred, Strength

GRID = (5e-5, 8e-5, 1.2e-4)

START, EVERY = 0.25, 100
"""The part of the steps before the first renewal, and the steps between two."""


class Reweighted(Spred):
    """Renews the penalty's weights after steps."""

    def after_step(self, n_done: int) -> None:
        """Renew if it is time."""
        if n_done >= int(START * self.n_steps) and n_done % EVERY == 0:
            self.opt.reweight()


def prepare(model: nn.Module, strength: float, make: MakeOptimizer, n_steps: int) -> Reweighted:
    """Wrap the base; at the end the default rule makes the zeros."""
    return Reweighted(model, [penalty(model, strength)], Strength(strength), make, n_steps)
