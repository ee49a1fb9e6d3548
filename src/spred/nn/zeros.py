"""The rule by which a weight counts as zero: what :func:`spred.finalize` sets, and what all counts go by."""

from __future__ import annotations

import torch
from torch import Tensor

from spred.core.partition import norms
from spred.core.penalties import Penalty

SMALL = 1e-2
"""Part of a tensor's typical group norm below which a group is at zero, if the gradient does not object."""


@torch.no_grad()
def at_zero(value: Tensor, grad: Tensor | None, penalty: Penalty, threshold: float) -> Tensor:
    """Return which groups belong at zero (bool, gate shape), by the rule of :func:`spred.finalize`."""
    if grad is not None and penalty.depth == 2 and penalty.alpha > 0:
        value = value - threshold / penalty.alpha * grad.to(value.dtype)
    return norms(value, penalty.partition) <= threshold * penalty.weights
