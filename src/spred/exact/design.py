"""The data matrix as the engine sees it: columns centred and scaled, the matrix itself left as it is.

With mean ``μ`` and scale ``σ`` of each column the engine works on ``(X − 1μᵀ)/σ``. Only the few columns of a working
set are ever written out in that form; the pass over all columns uses ``Xᵀθ`` and corrects it by ``μ`` and ``σ``, so a
sparse ``X`` stays sparse.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse


class Design:
    """A matrix ``(n, p)``, dense or CSC, with implicit centring and scaling.

    Args:
        X: float64 array or scipy sparse matrix.
        s: sample weights ``(n,)`` with sum 1; means and scales are weighted.
        center: subtract each column's mean (right when there is an intercept).
        scale: divide by each column's standard deviation; constant columns are left alone.
    """

    def __init__(self, X: np.ndarray | sparse.spmatrix, s: np.ndarray, *, center: bool, scale: bool) -> None:
        self.sparse = bool(sparse.issparse(X))
        self.X: Any = sparse.csc_array(X) if self.sparse else np.asfortranarray(X)
        self.n, self.p = self.X.shape
        mean = np.asarray(self.X.T @ s).ravel()
        self.mean = mean if center else np.zeros(self.p)
        self.scale = self._deviations(s, mean) if scale else np.ones(self.p)

    def columns(self, features: np.ndarray) -> np.ndarray:
        """Return the columns ``features``, centred and scaled, ``(n, len(features))``, written out."""
        block = self.X[:, features]
        block = block.toarray() if self.sparse else block
        return np.asfortranarray((block - self.mean[features]) / self.scale[features])

    def correlate(self, theta: np.ndarray) -> np.ndarray:
        """Return ``Xᵀθ`` of the centred and scaled matrix, ``(p,)`` or ``(p, K)``: the one pass over all data."""
        raw = np.asarray(self.X.T @ theta)
        if theta.ndim == 1:
            return (raw - self.mean * theta.sum()) / self.scale
        return (raw - self.mean[:, None] * theta.sum(axis=0)) / self.scale[:, None]

    def original_units(self, v: np.ndarray, intercept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Turn coefficients ``(p, K)`` and intercept ``(K,)`` into those of the matrix as given."""
        coef = v / self.scale[:, None]
        return coef, intercept - self.mean @ coef

    def _deviations(self, s: np.ndarray, mean: np.ndarray) -> np.ndarray:
        if self.sparse:
            square = np.asarray(self.X.power(2).T @ s).ravel()
            variance = square - mean**2
            floor = 1e-14 * square
        else:
            variance, floor = np.empty(self.p), np.empty(self.p)
            for start in range(0, self.p, 1024):  # blocks: no second copy of X
                part = slice(start, start + 1024)
                variance[part] = s @ (self.X[:, part] - mean[part]) ** 2
                floor[part] = 1e-26 * mean[part] ** 2
        scale = np.sqrt(np.maximum(variance, 0.0))
        scale[variance <= floor] = 1.0
        return scale


class GramCache:
    """Weighted inner products ``XᵀSX`` of the columns asked for so far; each pair is computed once in a path."""

    def __init__(self, design: Design, s: np.ndarray) -> None:
        self._root = np.sqrt(s)[:, None]
        self._position = np.full(design.p, -1)
        self._columns = np.empty((design.n, 0), order="F")
        self._gram = np.empty((0, 0))
        self._count = 0

    def get(self, features: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return the Gram matrix of ``features``, whose written-out columns are ``columns``."""
        fresh = np.flatnonzero(self._position[features] < 0)
        if fresh.size:
            self._add(features[fresh], self._root * columns[:, fresh])
        at = self._position[features]
        return self._gram[np.ix_(at, at)]

    def _add(self, features: np.ndarray, columns: np.ndarray) -> None:
        old, new = self._count, self._count + len(features)
        if new > self._columns.shape[1]:
            capacity = max(new, 2 * old)
            grown = np.empty((len(columns), capacity), order="F")
            grown[:, :old] = self._columns[:, :old]
            gram = np.empty((capacity, capacity))
            gram[:old, :old] = self._gram[:old, :old]
            self._columns, self._gram = grown, gram
        self._columns[:, old:new] = columns
        cross = self._columns[:, :new].T @ columns
        self._gram[:new, old:new] = cross
        self._gram[old:new, :new] = cross.T
        self._position[features] = np.arange(old, new)
        self._count = new
