"""Newton's equations by Cholesky factors, singular ones too, and the Gram matrix of a squared loss.

:class:`GramCache` computes each inner product of two columns once in a path.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs

FLAT = 1e-10
"""Curvature relative to the largest below which a direction counts as flat: larger damps what the data still see,
smaller amplifies rounding (``tests/linear/subproblem``)."""

NULL = 1e-7
"""Part of a right-hand side in the null space, relative to the whole, below which it is rounding."""

PIVOTS = 1e-6
"""Ratio of the smallest to the largest pivot from which a factor is taken without a ridge: below ``√FLAT``, because a
step that is not exact only costs another one there."""

FIRST_RIDGE, RIDGE_FACTOR, RIDGES = 1e-12, 100.0, 8
"""Ridges tried where it is smaller: the first relative to the mean of the diagonal, their ratio, how many."""

TINY = 1e-300
"""Keeps a quotient of zeros finite."""


class GramCache:
    """Weighted inner products ``XᵀSX`` of the columns used so far; each pair is computed once in a path."""

    def __init__(self, p: int, s: np.ndarray) -> None:
        self._root = np.sqrt(s)[:, None]
        self._position = np.full(p, -1)
        self._columns = np.empty((len(s), 0), order="F")
        self._gram = np.empty((0, 0))
        self._count = 0

    def add(self, features: np.ndarray, columns: np.ndarray) -> None:
        """Take in ``features``, whose dense columns are ``columns``, as far as they are new."""
        fresh = np.flatnonzero(self._position[features] < 0)
        if not fresh.size:
            return
        old, new = self._count, self._count + len(fresh)
        self._reserve(new)
        self._columns[:, old:new] = self._root * columns[:, fresh]
        cross = self._columns[:, :new].T @ self._columns[:, old:new]
        self._gram[:new, old:new] = cross
        self._gram[old:new, :new] = cross.T
        self._position[features[fresh]] = np.arange(old, new)
        self._count = new

    def of(self, features: np.ndarray) -> np.ndarray:
        """Return the Gram matrix of ``features``, all of which were added: a copy, in Fortran order."""
        at = self._position[features]
        return self._gram[np.ix_(at, at)].T

    def _reserve(self, needed: int) -> None:
        if needed <= self._columns.shape[1]:
            return
        old, capacity = self._count, max(needed, 2 * self._count)
        columns, gram = np.empty((len(self._columns), capacity), order="F"), np.empty((capacity, capacity))
        columns[:, :old], gram[:old, :old] = self._columns[:, :old], self._gram[:old, :old]
        self._columns, self._gram = columns, gram


def is_regular(lower: np.ndarray) -> bool:
    """Return whether a Cholesky factor is of a matrix that is safely positive definite."""
    pivots = np.diagonal(lower) ** 2
    return bool(pivots.min(initial=np.inf) > FLAT * pivots.max(initial=0.0))


def newton_or_null_step(A: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the Newton step ``A⁻¹b``; where ``A`` is flat, the part of ``b`` that lies in its null space.

    On more columns than samples (or on duplicates) the support can move along a null direction, at constant fit and
    falling penalty, until a coordinate reaches zero.
    """
    lower, info = dpotrf(A, lower=1)
    if info == 0 and is_regular(lower):
        return np.asarray(dpotrs(lower, b, lower=1)[0])
    values, vectors = np.linalg.eigh(A)
    flat = values < FLAT * max(float(values[-1]), TINY)
    along = vectors.T @ b
    if np.linalg.norm(along[flat]) > NULL * np.linalg.norm(along):
        return np.asarray(vectors[:, flat] @ along[flat])
    return np.asarray(vectors[:, ~flat] @ (along[~flat] / values[~flat]))


def solve_damped(A: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Solve ``Ax = b`` for ``A`` positive semidefinite, with a tiny ridge where it is singular."""
    size = float(np.trace(A)) / len(A)
    ridge = 0.0
    for _ in range(RIDGES):
        lower, info = dpotrf(A + ridge * np.eye(len(A)) if ridge else A, lower=1)
        pivots = np.diagonal(lower)
        if info == 0 and (ridge > 0.0 or pivots.min() > PIVOTS * pivots.max()):
            return np.asarray(dpotrs(lower, b, lower=1)[0])
        ridge = max(ridge * RIDGE_FACTOR, FIRST_RIDGE * size, TINY)
    return np.asarray(np.linalg.lstsq(A, b, rcond=None)[0])
