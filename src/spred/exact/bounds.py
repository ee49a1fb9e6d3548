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

from spred.exact.design import Design
from spred.exact.kernels import Columns, above, collect, settle

SLOTS = 64
"""Dual points kept at most; features last seen at an older one are evaluated anew."""

SLACK = 1e-9
"""Relative room for rounding: a bound this close to the level counts as above it."""


class Bounds:
    """Features with the gradient that each had when it was last evaluated.

    Args:
        design: the data.
        weights: ``(p,)``, ω; the level of a feature is α ρ ω_j, that of a free one 0.
        positive: ``(p,)``, features that only a negative gradient pulls away from zero.
        theta: dual point ``(n,)``.
        grad: ``Xᵀθ``, ``(p,)``.
    """

    def __init__(
        self, design: Design, weights: np.ndarray, positive: np.ndarray, theta: np.ndarray, grad: np.ndarray
    ) -> None:
        self.design, self.weights, self.positive = design, weights, positive
        self.norms = design.norms()
        self.values = grad.copy()
        self._thetas = np.empty((SLOTS, len(theta)))
        self._thetas[0] = theta
        self._slot, self._count = np.zeros(design.p, dtype=np.int64), np.zeros(SLOTS, dtype=np.int64)
        self._count[0] = design.p
        self._now = 0

    def update(self, theta: np.ndarray, level: float, known: np.ndarray, grad: np.ndarray) -> np.ndarray:
        """Move to ``theta``; return the features that no bound settles, now evaluated: the others stay below.

        Args:
            theta: the new dual point.
            level: α ρ; the pull on a feature is to be held against ``level · ω``.
            known: features whose gradient at ``theta`` is known already.
            grad: that gradient.
        """
        self._now, unsettled = settle(
            self.values,
            self._slot,
            self._count,
            self._thetas,
            self.norms,
            self.weights,
            self.positive,
            theta,
            level * (1.0 - SLACK),
            known,
            grad,
        )
        self.values[unsettled] = self.design.correlate_some(theta, unsettled)
        return unsettled

    def above(self, features: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
        """Return those of ``features`` whose pull away from zero is beyond ``level · ω``, and by how much."""
        return above(self.values, self.weights, self.positive, features, level)

    def gradient(
        self, columns: Columns, features: np.ndarray, work: np.ndarray, theta: np.ndarray, g: np.ndarray
    ) -> None:
        """Write the gradient at ``theta``, the last dual point, of the positions ``work`` into ``g``.

        That of features not evaluated there is computed from ``columns``; ``features`` are those of the positions.
        """
        collect(columns, self.values, self._slot, self._now, features, work, theta, g)

    def forget(self) -> None:
        """Say that the dual point goes elsewhere than to the last one: no gradient is current any more."""
        self._now = -1
