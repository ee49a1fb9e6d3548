"""Reweighting: what a weight pays follows its size, so that large weights shrink less, and fewer do the work.

L1 takes the same slope ``alpha`` from every weight. Reweighted L1 multiplies it by

    ω_g = ((1 + φ)·s / (‖v_g‖ + φ·s))^q,    s = Σ‖v_g‖² / Σ‖v_g‖,    φ = ``OFFSET``,

so that a weight of the tensor's size s pays alpha, a larger one less, and one at zero ``(1 + 1/φ)^q`` times as much.
With ω held, this is weighted L1, and the stationary points are those of ``L(v) + α Σ ω_g‖v_g‖``. Renewed until it
agrees with the weights, it is at a stationary point of the concave penalty whose slope at size t is the α·ω of t; each
weighted L1 is an upper bound of that penalty, up to a constant, and touches it where it was renewed. The slope at zero
is finite, so what noise has brought to zero regrows wherever its gradient exceeds it, as for L1.

Source: Candès, Wakin and Boyd, "Enhancing Sparsity by Reweighted ℓ₁ Minimization", J. Fourier Anal. Appl. 14 (2008),
with q = 1; the exponent is from Foucart and Lai, Appl. Comput. Harmon. Anal. 26 (2009).
"""

from __future__ import annotations

import torch
from torch import Tensor

from spred.core.partition import norms
from spred.nn.optimizer.factored import Factored
from spred.nn.sharding import size_in_use

OFFSET = 0.1
"""φ: the part of the tensor's size that is added to each group's.

Smaller is sparser, and makes it harder for a weight at zero to regrow; ``scripts/bench torch`` measures it
(``--methods "spred reweighted"``).
"""


@torch.no_grad()
def renewed_weights(entry: Factored, power: float) -> Tensor | float:
    """Return ω of a tensor as it is now, in the gate shape, times the weights of the penalty's own.

    A tensor of zeros keeps the penalty's own.
    """
    penalty, place = entry.target.penalty, entry.place
    own = penalty.group_weights(place, entry.partition)
    lengths = norms(entry.factors[-1], entry.partition) * entry.factors[0].abs()
    size = size_in_use(lengths)
    if power == 0.0 or size == 0.0:
        return own
    renewed: Tensor = own * ((1.0 + OFFSET) * size / (lengths + OFFSET * size)) ** power
    return renewed
