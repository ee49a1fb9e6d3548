"""The preconditioner: why the learning rate of the dense model works for the factors too.

Plain gradient descent on factors moves their product ``v`` at speed ``Σ_k Π_{j≠k} ‖f_j‖²`` (``u² + w²`` at depth 2),
which shrinks with ``v`` itself: small weights hardly move at the dense learning rate. So each factor's gradient, that
of the loss and that of the penalty alike, is divided by this speed plus a damping constant. Large weights then take the
dense step, and small ones a step in proportion to their size. A positive number that multiplies a gradient changes how
fast one gets somewhere, not where: the stationary points stay those of the penalised loss (docs/math.md, §5). The
smaller the damping, the sooner small weights are decided; but steps must not be longer than the factors themselves.

Adam and its kin undo any such division, because they divide by a size of their own: each factor moves by about the
learning rate, and the product by ``Σ_k Π_{j≠k} |f_j|`` times that, ``2√|v|`` at depth 2. For them the learning rate of
each tensor's factors is divided by this number at the typical weight: a typical weight moves as in the dense model.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from spred.core.factorization import Factors
from spred.core.partition import Partition

Precondition = bool | Literal["auto"]

DAMPING_OF_SCALE = 0.2
"""Damping at depth 2, over the speed of a balanced group of typical norm.

Smaller decides small weights sooner, larger leaves noise less power over them; ``scripts/bench torch`` measures it.
"""

DAMPING_OF_STEP = 0.5
"""Least damping at depth 2, over the longest step of the dense model.

Smaller lets steep gradients throw small weights to and fro until the run diverges, larger slows all weights down;
tests/nn/optimizer/test_preconditioner.py trains at three learning rates, and diverges without it.
"""

WARMUP_STEPS, MEASURE_EVERY = 20, 10
"""The largest gradient is measured at every step at first, and then every so many: each pass costs time, and waits for
the device. ``scripts/bench torch-steps`` shows the cost."""

PEAK_DECAY = 0.9
"""What one measurement leaves of the largest gradient before it.

Nearer to 1 a rare steep batch slows training for longer, nearer to 0 the next one comes unprepared;
``scripts/bench torch`` measures it.
"""


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


def damping_constant(scale: float, depth: int, longest_step: float = 0.0) -> float:
    """Return what is added to the speed before gradients are divided by it.

    It is ``D·scale^{2−2/D}``, the speed of a balanced group of norm ``scale``. At depth 2 it is a fifth of that, but no
    less than half of ``longest_step``.

    Args:
        scale: the typical norm of a group at the start.
        depth: the number of factors.
        longest_step: how far a weight of the dense model may move by the largest gradients, the penalty's among them:
            the learning rate over one minus the momentum, times their norm.
    """
    typical_speed: float = depth * scale ** (2.0 - 2.0 / depth)
    if depth > 2:
        return typical_speed
    return max(DAMPING_OF_SCALE * typical_speed, DAMPING_OF_STEP * longest_step)


def learning_rate_scale(scale: float, depth: int, size: float = 1.0) -> float:
    """Return what an adaptive optimiser's learning rate is multiplied by for the factors of a tensor.

    It is ``1/(scale^{1−1/D}·(1 + (D−1)/√size))``, for groups of ``size`` weights and typical norm ``scale``: a typical
    weight of a balanced group then moves by the learning rate itself, as in the dense model.
    """
    factor: float = scale ** (1.0 - 1.0 / depth) * (1.0 + (depth - 1) / size**0.5)
    return 1.0 / factor
