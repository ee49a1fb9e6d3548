"""The second derivative of a loss with several outputs, as products; its ``(n, K, K)`` entries are never made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
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
        if u.ndim == 3:
            return self._times_several(u)
        if self.basis is not None:
            u = u @ self.basis.T
        # A product with ones is several times quicker than NumPy's sum over a short axis.
        out = self.own * u - self.shared * ((self.shared * u) @ self._ones)[:, None]
        return out if self.basis is None else out @ self.basis

    def _times_several(self, u: Array) -> Array:
        xp = array_namespace(u)
        own, shared = self.own[..., None], self.shared[..., None]
        if self.basis is not None:
            u = xp.matmul(self.basis, u)
        out = own * u - shared * xp.sum(shared * u, axis=1, keepdims=True)
        return out if self.basis is None else xp.matmul(self.basis.T, out)

    @cached_property
    def _ones(self) -> Array:
        return array_namespace(self.shared).ones_like(self.shared[0, :])

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
        for k, gram in enumerate(self._grams(columns)):
            turned = basis[k, output]
            total = total + gram[at, :][:, at] * turned[:, None] * turned[None, :]
        return total

    def _grams(self, columns: Array) -> Array:
        """Return ``Σ_i own_ik x_i x_iᵀ`` for every k, ``(K, q, q)``; by classes or by columns, whichever are fewer."""
        xp, q, K = array_namespace(columns), columns.shape[1], self.own.shape[1]
        if q >= K:
            return xp.stack([columns.T @ (self.own[:, k : k + 1] * columns) for k in range(K)])
        rows = [self.own.T @ (columns[:, a : a + 1] * columns) for a in range(q)]
        return xp.stack(rows, axis=1)

    def astype(self, dtype: Any) -> OutputCurvature:
        """Return the same in another precision."""
        xp = array_namespace(self.own)
        basis = None if self.basis is None else xp.astype(self.basis, dtype)
        return OutputCurvature(xp.astype(self.own, dtype), xp.astype(self.shared, dtype), basis)

    def in_basis(self, basis: Array) -> OutputCurvature:
        """Return the curvature in the coordinates ``z`` of ``η = z Qᵀ``."""
        return replace(self, basis=basis if self.basis is None else self.basis @ basis)
