"""The second derivative of a loss with several outputs, as products; its ``(n, K, K)`` entries are never made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from array_api_compat import array_namespace

from spred.core.partition import Array


@dataclass(frozen=True, eq=False)
class OutputCurvature:
    """``Λ_i = Qᵀ (diag(own_i) − shared_i shared_iᵀ) Q`` for each sample i.

    Softmax has ``own = s p`` and ``shared = √s p``. ``Q`` is the identity where there is no ``basis``.

    Attributes:
        own: ``(n, K)``.
        shared: ``(n, K)``.
        basis: ``Q``, ``(K, L)``, or None.
    """

    own: Array
    shared: Array
    basis: Array | None = None

    def times(self, u: Array) -> Array:
        """Return ``Λ_i u_i`` for ``u`` ``(n, L)``, or for m of them at once, ``(n, L, m)``."""
        xp = array_namespace(u)
        several = u.ndim == 3
        own, shared = (self.own[..., None], self.shared[..., None]) if several else (self.own, self.shared)
        if self.basis is not None:
            u = xp.matmul(self.basis, u) if several else u @ self.basis.T
        both = shared * u
        # A product is several times quicker than NumPy's sum over a short axis.
        total = xp.sum(both, axis=1, keepdims=True) if several else (both @ xp.ones_like(u[0, :]))[:, None]
        out = own * u - shared * total
        if self.basis is None:
            return out
        return xp.matmul(self.basis.T, out) if several else out @ self.basis

    def diagonal(self) -> Array:
        """Return the diagonals of all ``Λ_i``, ``(n, L)``."""
        if self.basis is None:
            return self.own - self.shared**2
        return self.own @ self.basis**2 - (self.shared @ self.basis) ** 2

    def form(self, columns: Array, at: Array, output: Array) -> Array:
        """Return the Hessian in m coordinates, ``(m, m)``: coefficient ``output[j]`` of the column ``at[j]``.

        Args:
            columns: ``(n, q)``.
            at: ``(m,)``.
            output: ``(m,)``.
        """
        xp = array_namespace(columns)
        basis = xp.eye(self.own.shape[1], dtype=columns.dtype) if self.basis is None else self.basis
        less = columns[:, at] * (self.shared @ basis)[:, output]
        total = -(less.T @ less)
        # Σ_i own_ik x_ia x_ib for all k at once, one column a after the other: (q, K, q)
        grams = xp.stack([self.own.T @ (columns[:, a : a + 1] * columns) for a in range(columns.shape[1])])
        for k in range(basis.shape[0]):
            turned = basis[k, output]
            total = total + grams[:, k, :][at, :][:, at] * turned[:, None] * turned[None, :]
        return total

    def astype(self, dtype: Any) -> OutputCurvature:
        """Return the same in another precision."""
        xp = array_namespace(self.own)
        basis = None if self.basis is None else xp.astype(self.basis, dtype)
        return OutputCurvature(xp.astype(self.own, dtype), xp.astype(self.shared, dtype), basis)

    def in_basis(self, basis: Array) -> OutputCurvature:
        """Return the curvature in the coordinates ``z`` of ``η = z Qᵀ``."""
        return replace(self, basis=basis if self.basis is None else self.basis @ basis)
