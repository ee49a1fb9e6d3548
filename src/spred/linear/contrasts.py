"""Softmax in K − 1 coordinates, exactly.

Softmax does not see a shift common to all classes, and a penalty on the norm of a feature's row is smallest when the
row sums to zero. So nothing is lost by writing each row as ``v = z Qᵀ`` with ``Q`` (K, K − 1) orthonormal and
orthogonal to the vector of ones: ``‖v‖ = ‖z‖``, the minima are the same, and the Hessian is smaller and loses its null
space. (An entrywise penalty is not invariant under rotations and keeps its K coordinates.)
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spred.core.losses import Loss


def contrasts(k: int) -> np.ndarray:
    """Return an orthonormal basis ``(k, k − 1)`` of the vectors that sum to zero (Helmert's)."""
    basis = np.zeros((k, k - 1))
    for j in range(1, k):
        basis[:j, j - 1] = 1.0
        basis[j, j - 1] = -j
    return basis / np.linalg.norm(basis, axis=0)


def in_contrasts(loss: Loss, basis: np.ndarray) -> Loss:
    """Return ``loss`` as a function of ``z`` where ``η = z Qᵀ``; targets stay one-hot over K classes."""
    up = basis.T
    return replace(
        loss,
        value=lambda z, y, s: loss.value(z @ up, y, s),
        gradient=lambda z, y, s: loss.gradient(z @ up, y, s) @ basis,
        curvature=lambda z, y, s: up @ loss.curvature(z @ up, y, s) @ basis,
        conjugate=lambda theta, y, s: loss.conjugate(theta @ up, y, s),
        mean=lambda z: loss.mean(z @ up),
        null=lambda y, s: loss.null(y, s) @ basis,
    )
