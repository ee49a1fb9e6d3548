"""The watch: a run that has gone wrong says so, by the name of the tensor, before its accuracy does."""

from __future__ import annotations

import warnings
from math import isfinite

import torch

from spred.errors import SpredWarning, StateError
from spred.nn.optimizer.factored import Factored
from spred.nn.sharding import number

EVERY = 100
"""Steps between two looks: each has to wait for the device."""

DEAD = 1e-4
"""A tensor is dead if its largest weight is below this part of the typical group norm that it started with."""


@torch.no_grad()
def check(entry: Factored) -> None:
    """Look at one penalised tensor.

    Raises:
        StateError: its weights are not finite.

    Warns:
        SpredWarning: all of its weights are at zero; said once.
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
    dead = largest <= DEAD * entry.scale
    if dead and not entry.dead:
        warnings.warn(
            f"{entry.name} has collapsed: all of its weights are at zero, so nothing passes through it; unless a "
            f"residual connection leads around it, lower its alpha (now {entry.target.penalty.alpha:g}) or the "
            "learning rate, or warm the rate up",
            SpredWarning,
            stacklevel=3,
        )
    entry.dead = dead
