"""The data matrix as the engine sees it: columns centred and scaled, the matrix itself left as it is.

With mean ``μ`` and scale ``σ`` of each column the engine works on ``(X − 1μᵀ)/σ``. Only the few columns of a working
set are ever made dense in that form; the pass over all columns uses ``Xᵀθ`` and corrects it by ``μ`` and ``σ``, so a
sparse ``X`` stays sparse, and a large dense one (float32, either order, a memory map) is read where it lies: tile by
tile, with sums in float64. That correction loses the digits that mean and spread differ by, so columns far from zero
are moved there first (:mod:`spred.linear.origin`).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse
from scipy.linalg.blas import dgemv

from spred.linear.kernels.columns import Columns, correlate_some
from spred.linear.origin import FAR, FAR_UNCENTRED, SMALLEST, has_tiny, in_range, near_zero

COPIED = 1 << 24
"""Entries up to which a dense matrix is brought into float64 and Fortran order first: 128 MB, and faster after that."""

TILE, TILE_WIDTH = 1 << 17, 1 << 11
"""Entries of a tile, 1 MB in float64, which stays in the cache from its conversion to its use; and how many of them
lie one after another in memory (``scripts/bench memory``)."""

CONSTANT = 1e-26
"""Variance, relative to the squared mean, up to which a column is constant and what is left is rounding."""

CANCELS = 1e-3
"""Variance of a sparse column, relative to its second moment, below which it is summed from deviations once more."""


class Design:
    """A matrix ``(n, p)``, dense or CSC, with implicit centring and scaling.

    Args:
        X: array of float32 or float64 in any order, or scipy sparse matrix.
        s: sample weights ``(n,)`` with sum 1; means and scales are weighted.
        center: subtract each column's mean (right when there is an intercept).
        scale: divide by each column's standard deviation; constant columns are left alone.
        free: ``(m,)``, columns without a penalty, which are brought to about unit size whatever ``scale``: that changes
            no solution, and Newton's method meets them in the same units.
        shifts: whether a number may be subtracted from a column without a change of the problem; by default where
            there is centring.

    Attributes:
        X: the matrix; columns far from zero are moved by ``origin``.
        given: the same as it was given.
        origin: ``(p,)``, what was subtracted from the columns of ``X``.
        mean: ``(p,)``, what is still to be subtracted.
        scale: ``(p,)``, by what columns are divided then.
        finite: whether the means are finite; if not, there may be NaN or infinity, and nothing else here is of use.
        in_range: whether squares of the numbers are in the range of float64.
    """

    def __init__(
        self,
        X: np.ndarray | sparse.spmatrix,
        s: np.ndarray,
        *,
        center: bool,
        scale: bool,
        free: np.ndarray | None = None,
        shifts: bool | None = None,
    ) -> None:
        self.sparse = bool(sparse.issparse(X))
        self.given: Any = sparse.csc_array(X) if self.sparse else _in_memory(np.asarray(X))
        self.X: Any = self.given
        self.origin = np.zeros(X.shape[1])
        self.n, self.p = self.X.shape
        with np.errstate(over="ignore", invalid="ignore"):
            mean = self._product(s)
        self.finite = bool(np.isfinite(mean).all())
        self.in_range = self.finite and in_range(self.X)
        if self.in_range and (center if shifts is None else shifts) and (self.sparse or X.size <= COPIED):
            self.X, self.origin, mean = near_zero(self.X, s, mean, FAR if center else FAR_UNCENTRED)
        self.mean, self.scale = mean if center else np.zeros(self.p), np.ones(self.p)
        if self.in_range and scale:
            self.scale = self._deviations(s, mean, np.arange(self.p))
        elif self.in_range and free is not None and free.size:
            self.scale[free] = _power_of_two(np.hypot(self._deviations(s, mean, free, 0.0), (mean - self.mean)[free]))

    @property
    def location(self) -> np.ndarray:
        """What is subtracted from each column as given, ``(p,)``."""
        return np.asarray(self.origin + self.mean)

    def columns(self, features: np.ndarray) -> np.ndarray:
        """Return the columns ``features``, centred and scaled, ``(n, len(features))``, dense in float64."""
        if self.sparse:
            block = self.X[:, features].toarray(order="F")
        else:
            block = np.asfortranarray(self.X.T[features].T, dtype=np.float64)  # whole columns, where these are whole
        block -= self.mean[features]
        block /= self.scale[features]
        return np.asarray(block)

    def rows(self, part: slice) -> np.ndarray:
        """Return some rows of a dense matrix, centred and scaled, in float64."""
        return np.asarray((self.X[part] - self.mean) / self.scale)

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
        return coef, intercept - self.location[support] @ coef

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

    def _deviations(self, s: np.ndarray, mean: np.ndarray, features: np.ndarray, constant: float = 1.0) -> np.ndarray:
        """Return the standard deviations of some columns; ``constant`` for those that have none."""
        whole = len(features) == self.p
        X, mean = self.X if whole else self.X[:, features], mean[features]
        if self.sparse:
            square = np.asarray(X.power(2).T @ s).ravel()
            variance = square - mean**2
            for j in np.flatnonzero(variance < CANCELS * square):  # a difference that has few digits
                variance[j] = s @ (X[:, [j]].toarray()[:, 0] - mean[j]) ** 2
        else:
            variance = np.zeros(len(features))
            for rows, columns in _tiles(X):
                variance[columns] += s[rows] @ (X[rows, columns] - mean[columns]) ** 2
        scale = np.sqrt(np.maximum(variance, 0.0))
        scale[variance <= CONSTANT * mean**2] = constant
        self.in_range = not has_tiny(X[:, np.flatnonzero(variance < SMALLEST)])
        return np.asarray(scale)


def _power_of_two(size: np.ndarray) -> np.ndarray:
    """Return the power of two nearest to each ``size``, by which a division is exact; 1 for 0."""
    return np.asarray(np.exp2(np.round(np.log2(np.where(size > 0, size, 1.0)))))


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
