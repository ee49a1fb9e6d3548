"""Divergence checks: a run that has gone wrong says so, by the name of the tensor, before its accuracy does."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from math import isfinite
from typing import Any

import torch
from torch import Tensor

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


REMEDY = "lower the learning rate, warm it up or clip the gradients"
"""What to do about a run that diverges."""


def smallest_on_cpu(factored: Sequence[Factored]) -> Factored | None:
    """Return the tensor whose gradient costs least to check at every step; None where each check waits for a device.

    A loss that is not a number gives every tensor such a gradient.
    """
    near = [entry for entry in factored if entry.factors[0].device.type == "cpu" and not entry.place.sharded]
    return min(near, key=lambda entry: entry.factors[-1].numel(), default=None)


def check_gradient(entry: Factored | None, n_steps: int) -> None:
    """Check the gradient of one tensor before a step is taken with it.

    Raises:
        StateError: it is not finite; the weights are those of the step before.
    """
    grad = None if entry is None else entry.place.tensors[0].grad
    if entry is not None and grad is not None and not isfinite(float(grad.sum())) and not _finite(grad):
        raise StateError(
            f"training has diverged at step {n_steps + 1}: the gradient of {entry.name} is not finite, so the step was "
            f"not taken, and the weights are still those before it; {REMEDY}"
        )


def check_finite(factored: Sequence[Factored], n_steps: int) -> None:
    """Check all penalised tensors, as they are now.

    Raises:
        StateError: there is one that is not finite.
    """
    for entry in factored:
        value = entry.place.value()
        if value.numel() and not isfinite(number(value.abs().max())):
            raise StateError(_diverged(entry, n_steps))


Copies = list[tuple[Tensor, Tensor]]
"""Tensors, and what they were."""


def copies(groups: Sequence[dict[str, Any]]) -> Copies:
    """Return copies of all tensors of some groups."""
    return [(tensor, tensor.detach().clone()) for group in groups for tensor in group["params"]]


def check_or_take_back(base: torch.optim.Optimizer, factored: Sequence[Factored], before: Copies, n_steps: int) -> None:
    """Check all penalised tensors, and if they are not finite, undo what has happened since ``before``.

    What the base remembers is dropped then: it is no number either.

    Raises:
        StateError: there is one that is not finite.
    """
    try:
        check_finite(factored, n_steps)
    except StateError:
        base.state.clear()
        for tensor, value in before:
            tensor.copy_(value)
        for entry in factored:
            entry.write()
        raise


def _finite(grad: Tensor) -> bool:
    return bool(torch.isfinite(grad).all())


def _diverged(entry: Factored, n_steps: int) -> str:
    return (
        f"{entry.name} has diverged: its weights are not finite after step {n_steps}; go back to a checkpoint, and "
        f"{REMEDY}"
    )


@torch.no_grad()
def check_divergence(entry: Factored, n_steps: int) -> None:
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
        raise StateError(_diverged(entry, n_steps))
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
