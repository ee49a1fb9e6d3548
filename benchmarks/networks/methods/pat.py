"""torchao's prototype.pat: the proximal map of L1 on latent weights (``pip install torchao``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from networks.objective import sgd, weights_of

GRID = (1.5e-4, 5e-4, 1e-3, 2e-3, 3e-3, 5e-3)
"""Its strength is ten times the alpha of the others: it does not count the momentum."""


def prepare(model: nn.Module, strength: float, n_steps: int) -> tuple[Any, Callable[[], None]]:
    """Wrap the base; its weights are exact zeros at every step."""
    from torchao.prototype.pat.optim import PruneOptimizer

    weights = weights_of(model)
    others = [p for p in model.parameters() if p.ndim == 1]
    sparse = {"params": weights, "prox_type": "ProxLasso", "group_type": "ElemGrouper", "reg_lambda": strength}
    return PruneOptimizer(sgd([sparse, {"params": others}])), lambda: None
