"""The metric: why the learning rate of the dense model works for the factors too.

Plain gradient descent on factors moves their product ``v`` at speed ``Σ_k Π_{j≠k} ‖f_j‖²`` (``u² + w²`` at depth 2),
which shrinks with ``v`` itself: small weights hardly move at the dense learning rate. Dividing each factor's gradient,
that of the loss and that of the penalty alike, by this speed plus a constant gives large weights the dense step, and
small ones a step in proportion to their size. A positive number that multiplies a gradient changes how fast one gets
somewhere, not where: the stationary points stay those of the penalised loss. The smaller the constant, the sooner small
weights are decided; but steps must not be longer than the factors themselves.

Adam and its kin undo any such division, because they divide by a size of their own: each factor moves by about the
learning rate, and the product by ``Σ_k Π_{j≠k} |f_j|`` times that, ``2√|v|`` at depth 2. For them the learning rate of
each tensor's factors is divided by this number at the typical weight, so that it keeps the pace of the dense model.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from spred.core.factorization import Factors
from spred.core.partition import Partition
from spred.errors import InputError

Metric = bool | Literal["auto"]

SLOW, STEADY = 0.2, 0.5
"""The constant of the metric at depth 2: over the speed of a typical group, and at least so much of a jolt."""

LOOKS, FIRST_LOOKS, FADE = 10, 20, 0.9
"""Steps between two looks at the gradients, looks at every step at first, what a look leaves of the steepest."""

ADAPTIVE = (
    torch.optim.Adagrad,
    torch.optim.Adam,
    torch.optim.Adamax,
    torch.optim.AdamW,
    torch.optim.NAdam,
    torch.optim.RAdam,
    torch.optim.RMSprop,
)
"""Optimisers whose step does not depend on the scale of the gradients."""


def speed(factors: Factors, partition: Partition) -> Tensor:
    """Return ``Σ_k Π_{j≠k} ‖f_j‖²`` of each group, in the gate shape.

    A unit of the loss's gradient moves the product by at most this much; where each coordinate is alone, by just this.
    """
    *gates, full = factors
    squares = [*(gate * gate for gate in gates), partition.gather(full * full)]
    total = torch.zeros_like(squares[0])
    for k in range(len(squares)):
        others = torch.ones_like(total)
        for square in squares[:k] + squares[k + 1 :]:
            others = others * square
        total = total + others
    return total


def saturation(scale: float, depth: int, jolt: float = 0.0) -> float:
    """Return the constant of the metric.

    It is ``D·scale^{2−2/D}``, the speed of a balanced group of norm ``scale``. At depth 2 a fifth of that will often
    do, and small groups are decided five times as fast; but it is no less than half of ``jolt``, or steps would throw
    small groups to and fro.

    Args:
        scale: the typical norm of a group at the start.
        depth: the number of factors.
        jolt: how far a weight of the dense model may move by the steepest gradients, the penalty's among them: the
            learning rate over one minus the momentum, times their norm.
    """
    whole = depth * scale ** (2.0 - 2.0 / depth)
    return max(SLOW * whole, STEADY * jolt) if depth == 2 else whole


def pace(scale: float, depth: int, size: float = 1.0) -> float:
    """Return what an adaptive optimiser's learning rate is multiplied by for the factors of a tensor.

    It is ``1/(scale^{1−1/D}·(1 + (D−1)/√size))``, for groups of ``size`` weights and typical norm ``scale``: a typical
    weight of a balanced group then moves by the learning rate itself, as in the dense model.
    """
    return 1.0 / (scale ** (1.0 - 1.0 / depth) * (1.0 + (depth - 1) / size**0.5))


def wants_metric(base: torch.optim.Optimizer, metric: Metric) -> bool:
    """Return whether the gradients of ``base`` go through the metric.

    ``"auto"`` is yes for SGD. Adaptive optimisers undo it, and get :func:`pace` instead; LBFGS must see the plain
    gradient, because it builds its curvature from it.

    Raises:
        InputError: something else than a bool or ``"auto"``; True for LBFGS.
    """
    if metric not in (True, False, "auto"):
        raise InputError(f"metric is {metric!r}; give True, False or 'auto'")
    if metric is True and isinstance(base, torch.optim.LBFGS):
        raise InputError("LBFGS needs plain gradients; leave metric at 'auto' for it")
    if isinstance(base, ADAPTIVE):
        return False
    return isinstance(base, torch.optim.SGD) if metric == "auto" else bool(metric)


def wants_pace(base: torch.optim.Optimizer, metric: Metric) -> bool:
    """Return whether the learning rates of the factors are paced: for adaptive optimisers, unless metric is False."""
    return metric is not False and isinstance(base, ADAPTIVE)
