"""spred with a target: the fraction of weights to keep is given, and alpha is found."""

from __future__ import annotations

from torch import nn

from networks.objective import penalty
from spred.compress.training.methods import MakeOptimizer, Spred, Strength

GRID = (1 / 10, 1 / 25, 1 / 50, 1 / 75, 1 / 100, 1 / 150)
"""Here the strength is the density to reach."""

ALPHA = 5e-4
"""The strongest that alpha may be."""


def prepare(model: nn.Module, strength: float, make: MakeOptimizer, n_steps: int) -> Spred:
    """Wrap the base; zeros are exact before the end, and what rounding has left of others goes."""
    return Spred(model, [penalty(model, ALPHA)], Strength(density=strength), make, n_steps)
