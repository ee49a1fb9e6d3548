"""spred with a target: the share of weights to keep is given, and alpha is found."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

import spred
from networks.objective import sgd

GRID = (1 / 10, 1 / 25, 1 / 50, 1 / 75, 1 / 100, 1 / 150)
"""Here the strength is the density to reach."""

ALPHA = 5e-4
"""The strongest that alpha may be."""


def prepare(model: nn.Module, strength: float, n_steps: int) -> tuple[spred.SpredOptimizer, Callable[[], None]]:
    """Wrap the base; zeros are exact before the end, and what rounding has left of others goes."""
    base = sgd(list(model.parameters()))
    penalty = spred.L1(spred.prunable_weights(model), ALPHA)
    opt = spred.SpredOptimizer(base, penalty, target_density=strength, total_steps=n_steps)
    return opt, lambda: spred.finalize(model, opt)
