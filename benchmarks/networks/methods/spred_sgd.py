"""spred: SpredOptimizer as it comes, at the dense learning rate."""

from __future__ import annotations

from torch import nn

from networks.objective import penalty
from spred.compress.training.methods import MakeOptimizer, Spred, Strength

GRID = (1e-4, 2e-4, 3e-4, 5e-4)


def prepare(model: nn.Module, strength: float, make: MakeOptimizer, n_steps: int) -> Spred:
    """Wrap the base; at the end the default rule makes the zeros."""
    return Spred(model, [penalty(model, strength)], Strength(strength), make, n_steps)
