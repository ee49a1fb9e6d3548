"""Gradual magnitude pruning: the smallest weights of all layers go, along a cubic schedule (Zhu and Gupta, 2017)."""

from __future__ import annotations

from torch import nn

from networks.objective import penalty
from spred.compress.training.methods import Gradual, MakeOptimizer, Strength

GRID = (1 / 25, 1 / 50, 1 / 75, 1 / 100)
"""Here the strength is the density to reach."""


def prepare(model: nn.Module, strength: float, make: MakeOptimizer, n_steps: int) -> Gradual:
    """Prune while training."""
    return Gradual(model, [penalty(model, 0.0)], Strength(density=strength), make, n_steps)
