"""torchao's prototype.pat: the proximal map of L1 on latent weights (``pip install torchao``)."""

from __future__ import annotations

from torch import nn

from networks.objective import MOMENTUM, penalty
from spred.compress.training.methods import MakeOptimizer, Pat, Strength

GRID = (1.5e-4, 5e-4, 1e-3, 2e-3, 3e-3, 5e-3)
"""torchao's own strengths: ten times the alpha of the others, because they do not count the momentum."""


def prepare(model: nn.Module, strength: float, make: MakeOptimizer, n_steps: int) -> Pat:
    """Wrap the base; its weights are exact zeros at every step."""
    alpha = (1 - MOMENTUM) * strength
    return Pat(model, [penalty(model, alpha)], Strength(alpha), make, n_steps)
