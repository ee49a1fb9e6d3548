"""Softmax in K − 1 coordinates, exactly.

Softmax does not see a shift common to all classes, and a penalty on the norm of a feature's row is smallest when the
row sums to zero. So nothing is lost by writing each row as ``v = z Qᵀ`` with ``Q`` (K, K − 1) orthonormal and
orthogonal to the vector of ones: ``‖v‖ = ‖z‖``, the minima are the same, and the Hessian is smaller and loses its null
space. (An entrywise penalty is not invariant under rotations and keeps its K coordinates.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from spred.core.curvature import OutputCurvature
from spred.core.losses import Loss
from spred.core.partition import Array


def contrasts(k: int) -> np.ndarray:
    """Return an orthonormal basis ``(k, k − 1)`` of the vectors that sum to zero (Helmert's)."""
    basis = np.zeros((k, k - 1))
    for j in range(1, k):
        basis[:j, j - 1] = 1.0
        basis[j, j - 1] = -j
    return np.asarray(basis / np.linalg.norm(basis, axis=0))


def in_contrasts(loss: Loss, basis: np.ndarray) -> Loss:
    """Return ``loss`` as a function of ``z`` where ``η = z Qᵀ``; targets stay one-hot over K classes."""
    rotated = _Rotated(loss, basis)
    return replace(
        loss,
        value=rotated.value,
        gradient=rotated.gradient,
        curvature=rotated.curvature if loss.has_curvature else loss.curvature,
        conjugate=rotated.conjugate if loss.has_conjugate else loss.conjugate,
        mean=rotated.mean,
        null=rotated.null,
        compiled=None,
    )


@dataclass(frozen=True, eq=False)
class _Rotated:
    """The functions of ``loss`` at ``z Qᵀ``: a record, so that they pickle."""

    loss: Loss
    basis: np.ndarray

    def value(self, z: np.ndarray, y: np.ndarray, s: np.ndarray) -> Array:
        return self.loss.value(z @ self.basis.T, y, s)

    def gradient(self, z: np.ndarray, y: np.ndarray, s: np.ndarray) -> Array:
        return self.loss.gradient(z @ self.basis.T, y, s) @ self.basis

    def curvature(self, z: np.ndarray, y: np.ndarray, s: np.ndarray) -> OutputCurvature:
        there: OutputCurvature = self.loss.curvature(z @ self.basis.T, y, s)
        return there.in_basis(self.basis)

    def conjugate(self, theta: np.ndarray, y: np.ndarray, s: np.ndarray) -> Array:
        return self.loss.conjugate(theta @ self.basis.T, y, s)

    def mean(self, z: np.ndarray) -> Array:
        return self.loss.mean(z @ self.basis.T)

    def null(self, y: np.ndarray, s: np.ndarray) -> Array:
        return self.loss.null(y, s) @ self.basis
