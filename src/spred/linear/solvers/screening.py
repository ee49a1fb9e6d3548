"""Which features could violate their bound, without a pass over all of them.

The gradient of a feature is ``x_jᵀθ``. If it was ``g_j`` when the dual point was ``θ₀``, then at ``θ``, for any number
``c``, Cauchy and Schwarz give

    |x_jᵀθ| ≤ |c| |g_j| + ‖x_j‖ ‖θ − c θ₀‖.

Along a path θ moves little from one alpha to the next, so most features stay proven inactive for many alphas without
being evaluated again. Only those that the bound cannot rule out are. Nothing is lost: every feature is either
evaluated or proven to lie inside, and so the KKT residual and the duality gap are those of a full pass.
(docs/math.md, §4. Safe screening in this spirit: El Ghaoui et al. 2012; Ndiaye et al. 2017.)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spred.linear.design import Design
from spred.linear.kernels.screening import update
from spred.linear.kernels.state import forget, new_screening

SLOTS = 64
"""Dual points kept at most; features last evaluated at an older one are evaluated anew.

More are more memory and more distances at every step, fewer are more evaluations. Measured by ``scripts/bench linear``.
"""


class Bounds:
    """Features with the gradient that each had when it was last evaluated.

    Args:
        design: the data.
        weights: ``(p,)``, ω; the level of a feature is α ρ ω_j, that of a free one 0.
        positive: ``(p,)``, features that only a negative gradient moves away from zero.
        theta: dual point ``(n,)``.
        grad: ``Xᵀθ``, ``(p,)``.

    Attributes:
        values: ``(p,)``, the gradient of each feature where it was last evaluated.
        norms: ``(p,)``, of the columns.
        record: all of it as the compiled loops take it; see ``kernels.state.Screening``.
    """

    def __init__(
        self, design: Design, weights: np.ndarray, positive: np.ndarray, theta: np.ndarray, grad: np.ndarray
    ) -> None:
        self.values, self.norms = grad.copy(), design.norms()
        thetas, count = np.empty((SLOTS, len(theta))), np.zeros(SLOTS, dtype=np.int64)
        thetas[0], count[0] = theta, design.p
        slot = np.zeros(design.p, dtype=np.int64)
        data = design.matrix, design.mean, design.scale
        self.record: Any = new_screening(self.values, slot, count, thetas, self.norms, weights, positive, *data)

    def update(self, theta: np.ndarray, level: float, known: np.ndarray, grad: np.ndarray) -> np.ndarray:
        """Move to ``theta``; return the features that no bound rules out, now evaluated: the others stay below.

        Args:
            theta: the new dual point.
            level: α ρ; the gradient of a feature is compared to ``level · ω``.
            known: features whose gradient at ``theta`` is known already.
            grad: that gradient.
        """
        unproven: np.ndarray = update(self.record, theta, level, known, grad)
        return unproven

    def forget(self) -> None:
        """Note that the dual point goes elsewhere than to the last one: no gradient is current any more."""
        forget(self.record)
