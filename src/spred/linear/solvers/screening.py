"""Which features could break their bound, without a pass over all of them.

The gradient of a feature is ``x_jᵀθ``. If it was ``g_j`` when the dual point was ``θ₀``, then at ``θ``, for any number
``c``, Cauchy and Schwarz give

    |x_jᵀθ| ≤ |c| |g_j| + ‖x_j‖ ‖θ − c θ₀‖.

Along a path θ moves little from one alpha to the next, so most features stay proven inactive for many alphas without
being looked at again. Only those that the bound cannot settle are evaluated. Nothing is lost: every feature is either
evaluated or proven to lie inside, and so the KKT residual and the duality gap are those of a full pass.
(docs/math.md, §4. Safe screening in this spirit: El Ghaoui et al. 2012; Ndiaye et al. 2017.)
"""

from __future__ import annotations

import numpy as np

from spred.linear.design import Design
from spred.linear.kernels.screening import update

SLOTS = 64
"""Dual points kept at most; features last seen at an older one are evaluated anew."""


class Bounds:
    """Features with the gradient that each had when it was last evaluated.

    Args:
        design: the data.
        weights: ``(p,)``, ω; the level of a feature is α ρ ω_j, that of a free one 0.
        positive: ``(p,)``, features that only a negative gradient pulls away from zero.
        theta: dual point ``(n,)``.
        grad: ``Xᵀθ``, ``(p,)``.

    Attributes:
        values: ``(p,)``, the gradient of each feature where it was last evaluated.
        slot, count, thetas: at which dual point that was, a row of ``thetas``; how many features each row has.
        now: the row of the last dual point; −1 for none.
    """

    def __init__(
        self, design: Design, weights: np.ndarray, positive: np.ndarray, theta: np.ndarray, grad: np.ndarray
    ) -> None:
        self.design, self.weights, self.positive = design, weights, positive
        self.norms = design.norms()
        self.values = grad.copy()
        self.thetas = np.empty((SLOTS, len(theta)))
        self.thetas[0] = theta
        self.slot, self.count = np.zeros(design.p, dtype=np.int64), np.zeros(SLOTS, dtype=np.int64)
        self.count[0] = design.p
        self.now = 0

    def update(self, theta: np.ndarray, level: float, known: np.ndarray, grad: np.ndarray) -> np.ndarray:
        """Move to ``theta``; return the features that no bound settles, now evaluated: the others stay below.

        Args:
            theta: the new dual point.
            level: α ρ; the pull on a feature is to be held against ``level · ω``.
            known: features whose gradient at ``theta`` is known already.
            grad: that gradient.
        """
        design = self.design
        self.now, unsettled = update(
            design.matrix,
            design.mean,
            design.scale,
            self.values,
            self.slot,
            self.count,
            self.thetas,
            self.norms,
            self.weights,
            self.positive,
            theta,
            level,
            known,
            grad,
        )
        return unsettled

    def forget(self) -> None:
        """Say that the dual point goes elsewhere than to the last one: no gradient is current any more."""
        self.now = -1
