"""The rule by which a weight counts as zero: what :func:`spred.finalize` sets, and what all counts go by."""

from __future__ import annotations

import torch
from torch import Tensor

from spred.core.partition import norms
from spred.core.penalties import Penalty
from spred.nn.sharding import size_in_use

SMALL = 1e-2
"""Part of the size of a tensor's groups in use below which a group is at zero, if the gradient does not object. Larger,
and weights go that training still needs; smaller, and those stay that it has not finished (``FinalizeReport.plot``)."""

LOW, HIGH, BINS = -6.0, 4.0, 100
"""The histogram's span and steps, in powers of ten of the threshold; what lies outside counts at its ends."""


def smallness(value: Tensor, penalty: Penalty) -> float:
    """Return the group norm, over the group's weight ω, up to which groups count as zero: 1 % of that of those in use.

    It must not depend on how many are at zero already, as a root mean square would: of a tensor of which a hundredth is
    left, that is a tenth of the weights in use, and what training has not decided would stay.
    """
    return SMALL * size_in_use(norms(value, penalty.partition) / penalty.weights)


@torch.no_grad()
def at_zero(value: Tensor, grad: Tensor | None, penalty: Penalty, threshold: float) -> Tensor:
    """Return which groups belong at zero (bool, gate shape), by the rule of :func:`spred.finalize`."""
    if grad is not None and penalty.depth == 2 and penalty.alpha > 0:
        value = value - threshold / penalty.alpha * grad.to(value.dtype)
    at_most: Tensor = norms(value, penalty.partition) <= threshold * penalty.weights
    return at_most


def histogram(sizes: Tensor, threshold: Tensor | float) -> tuple[int, ...]:
    """Count sizes, over their threshold, in ``BINS`` bins of equal ratio."""
    tiny = torch.finfo(torch.float64).tiny
    ratio = sizes.double() / torch.as_tensor(threshold, dtype=torch.float64, device=sizes.device).clamp(min=tiny)
    places = ratio.clamp(min=tiny).log10().clamp(LOW, HIGH)
    return tuple(int(count) for count in torch.histc(places.float(), bins=BINS, min=LOW, max=HIGH))
