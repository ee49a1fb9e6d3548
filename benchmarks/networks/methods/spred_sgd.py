"""spred: SpredOptimizer as it comes, at the dense learning rate."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

import spred
from networks.objective import sgd

GRID = (1e-4, 2e-4, 3e-4, 5e-4)


def prepare(
    model: nn.Module, strength: float, n_steps: int, **options: object
) -> tuple[spred.SpredOptimizer, Callable[[], None]]:
    """Wrap the base; at the end the default rule makes the zeros."""
    opt = spred.SpredOptimizer(
        sgd(list(model.parameters())), spred.L1(spred.prunable_weights(model), strength), **options
    )
    return opt, lambda: spred.finalize(model, opt)
