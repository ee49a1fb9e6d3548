"""Divergence checks: a run that has gone wrong says so, by the name of the tensor, before its accuracy does."""

from __future__ import annotations

import warnings
from math import isfinite

import torch

from spred.errors import SpredWarning, StateError
from spred.nn.optimizer.factored import Factored
from spred.nn.sharding import number

EVERY = 100
"""Steps between two checks.

Each waits for the device, so fewer steps cost time and more of them let a broken run go on;
``scripts/bench torch-steps`` measures the step.
"""

COLLAPSED = 1e-4
"""A tensor has collapsed if its largest weight is below this part of the typical group norm that it started with.

Far below :data:`spred.nn.optimizer.regrowth.ZERO_NORM`, so that a sparse tensor is not called dead;
tests/nn/optimizer/test_divergence.py holds it.
"""


@torch.no_grad()
def check_divergence(entry: Factored) -> None:
    """Check one penalised tensor.

    Raises:
        StateError: its weights are not finite.

    Warns:
        SpredWarning: all of its weights are at zero; reported once.
    """
    value = entry.place.value()
    if not value.numel():
        return
    largest = number(value.abs().max())
    if not isfinite(largest):
        raise StateError(
            f"{entry.name} has diverged: its weights are not finite; go back to a checkpoint, and lower the "
            "learning rate, warm it up or clip the gradients"
        )
    collapsed = largest <= COLLAPSED * entry.scale
    if collapsed and not entry.collapsed:
        warnings.warn(
            f"{entry.name} has collapsed: all of its weights are at zero, so nothing passes through it; unless a "
            f"residual connection leads around it, lower its alpha (now {entry.target.penalty.alpha:g}) or the "
            "learning rate, or warm the rate up",
            SpredWarning,
            stacklevel=3,
        )
    entry.collapsed = collapsed
