"""The data matrix as the engine sees it: columns centred and scaled, the matrix itself left as it is.

With mean ``μ`` and scale ``σ`` of each column the engine works on ``(X − 1μᵀ)/σ``. Only the few columns of a working
set are ever made dense in that form; the pass over all columns uses ``Xᵀθ`` and corrects it by ``μ`` and ``σ``, so a
sparse ``X`` stays sparse, and a large dense one (float32, either order, a memory map) is read where it lies: tile by
tile, with sums in float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse
from scipy.linalg.blas import dgemv

from spred.linear.kernels.columns import Columns, correlate_some

COPIED = 1 << 24
"""Entries up to which a dense matrix is brought into float64 and Fortran order first: 128 MB, and faster after that."""

TILE, TILE_WIDTH = 1 << 17, 1 << 11
"""Entries of a tile, 1 MB in float64, which stays in the cache from its conversion to its use; and how many of them
lie one after another in memory (``scripts/bench memory``)."""

CONSTANT, CONSTANT_SPARSE = 1e-26, 1e-14
"""Variance, relative to the squared mean (for sparse columns, whose variance is a difference, to the second moment) up
to which a column is constant and what is left is rounding."""


class Design:
    """A matrix ``(n, p)``, dense or CSC, with implicit centring and scaling.

    Args:
        X: array of float32 or float64 in any order, or scipy sparse matrix.
        s: sample weights ``(n,)`` with sum 1; means and scales are weighted.
        center: subtract each column's mean (right when there is an intercept).
        scale: divide by each column's standard deviation; constant columns are left alone.

    Attributes:
        finite: whether the means are finite; if not, there may be NaN or infinity, and nothing else here is of use.
    """

    def __init__(self, X: np.ndarray | sparse.spmatrix, s: np.ndarray, *, center: bool, scale: bool) -> None:
        self.sparse = bool(sparse.issparse(X))
        self.X: Any = sparse.csc_array(X) if self.sparse else _in_memory(np.asarray(X))
        self.n, self.p = self.X.shape
        with np.errstate(over="ignore", invalid="ignore"):
            mean = self._product(s)
        self.finite = bool(np.isfinite(mean).all())
        self.mean = mean if center else np.zeros(self.p)
        self.scale = self._deviations(s, mean) if scale and self.finite else np.ones(self.p)

    def columns(self, features: np.ndarray) -> np.ndarray:
        """Return the columns ``features``, centred and scaled, ``(n, len(features))``, dense in float64."""
        if self.sparse:
            block = self.X[:, features].toarray(order="F")
        else:
            block = np.asfortranarray(self.X.T[features].T, dtype=np.float64)  # whole columns, where these are whole
        block -= self.mean[features]
        block /= self.scale[features]
        return np.asarray(block)

    def correlate(self, theta: np.ndarray) -> np.ndarray:
        """Return ``Xᵀθ`` of the centred and scaled matrix, ``(p,)`` or ``(p, K)``: the one pass over all data."""
        raw = self._product(theta)
        if theta.ndim == 1:
            return np.asarray((raw - self.mean * theta.sum()) / self.scale)
        return np.asarray((raw - self.mean[:, None] * theta.sum(axis=0)) / self.scale[:, None])

    def correlate_some(self, theta: np.ndarray, features: np.ndarray) -> np.ndarray:
        """Return ``Xᵀθ`` for a few ``features`` and ``theta`` ``(n,)``, without making their columns dense."""
        return np.asarray(correlate_some(self.matrix, theta, features, self.mean, self.scale))

    @cached_property
    def matrix(self) -> Columns:
        """The matrix as the kernels take it."""
        return (self.X.data, self.X.indices, self.X.indptr) if self.sparse else self.X.T

    def norms(self) -> np.ndarray:
        """Return the Euclidean norm of every column, centred and scaled, ``(p,)``."""
        if self.sparse:
            square = np.asarray(self.X.power(2).sum(axis=0)).ravel()
            square += self.mean * (self.n * self.mean - 2.0 * np.asarray(self.X.sum(axis=0)).ravel())
        else:
            square = np.zeros(self.p)
            for rows, columns in _tiles(self.X):
                part = self.X[rows, columns] - self.mean[columns]
                square[columns] += np.einsum("ij,ij->j", part, part)
        return np.asarray(np.sqrt(np.maximum(square, 0.0)) / self.scale)

    def original_units(
        self, support: np.ndarray, v: np.ndarray, intercept: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Turn coefficients ``(…, m, K)`` of ``support`` and intercepts ``(…, K)`` into the units of X as given."""
        coef = v / self.scale[support, None]
        return coef, intercept - self.mean[support] @ coef

    def _product(self, theta: np.ndarray) -> np.ndarray:
        """Return ``Xᵀθ`` of the matrix as given, in float64."""
        if self.sparse or (self.X.dtype == np.float64 and (self.X.flags.f_contiguous or self.X.flags.c_contiguous)):
            if theta.size != self.n or self.sparse or not self.X.flags.f_contiguous:
                return np.asarray(self.X.T @ theta)
            # SciPy's BLAS has all threads where NumPy's has one (see ``path``).
            return np.asarray(dgemv(1.0, self.X, theta.reshape(-1), trans=1).reshape(-1, *theta.shape[1:]))
        out = np.zeros((self.p, *theta.shape[1:]))
        for rows, columns in _tiles(self.X):
            out[columns] += self.X[rows, columns].astype(np.float64).T @ theta[rows]
        return out

    def _deviations(self, s: np.ndarray, mean: np.ndarray) -> np.ndarray:
        if self.sparse:
            square = np.asarray(self.X.power(2).T @ s).ravel()
            variance = square - mean**2
            floor = CONSTANT_SPARSE * square
        else:
            variance = np.zeros(self.p)
            for rows, columns in _tiles(self.X):
                variance[columns] += s[rows] @ (self.X[rows, columns] - mean[columns]) ** 2
            floor = CONSTANT * mean**2
        scale = np.sqrt(np.maximum(variance, 0.0))
        scale[variance <= floor] = 1.0
        return np.asarray(scale)


def _in_memory(X: np.ndarray) -> np.ndarray:
    return np.asfortranarray(X, dtype=np.float64) if X.size <= COPIED else X


def _tiles(X: np.ndarray) -> Iterator[tuple[slice, slice]]:
    """Cut a matrix into tiles, long in the direction in which it lies in memory."""
    n, p = X.shape
    by_rows = X.strides[1] < X.strides[0]
    width = min(p, TILE_WIDTH) if by_rows else max(1, TILE // min(n, TILE_WIDTH))
    height = min(n, TILE_WIDTH) if not by_rows else max(1, TILE // width)
    for first in range(0, p, width):
        for top in range(0, n, height):
            yield slice(top, top + height), slice(first, first + width)
