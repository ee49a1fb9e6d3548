"""Plain L1: its subgradient added to the gradient, and a threshold at the end, as most training loops do it."""

from __future__ import annotations

from torch import nn

from networks.objective import penalty
from spred.compress.training.methods import MakeOptimizer, Strength, Subgradient

GRID = (1e-4, 3e-4, 6e-4, 1e-3)


def prepare(model: nn.Module, strength: float, make: MakeOptimizer, n_steps: int) -> Subgradient:
    """Add the subgradient while training, make the zeros at the end."""
    return Subgradient(model, [penalty(model, strength)], Strength(strength), make, n_steps)
