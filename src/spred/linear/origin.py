"""Columns far from zero, moved there: time stamps, years, prices in cents, identifiers.

A mean that is a million times the spread costs sums that are corrected by it six digits, and inner products that are
twelve. Subtracting a number near all entries is exact in floating point, and changes nothing but the intercept. Most
data have no such column and keep their memory; where there is one, it is found by a few rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

FAR, FAR_UNCENTRED, FAR_SPARSE = 1e4, 1e2, 30.0
"""Mean over standard deviation from which a column is moved: of dense ones that are centred when they are used (sums
lose as many digits as it has), of those that are not (inner products lose twice as many), and of sparse ones (alike).

Larger loses more digits, smaller copies more matrices.
"""

PIECE = 8192
"""Entries of a sum of squares that are added up together: few enough that BLAS starts no threads for them."""

PROBES = 4
"""Rows in which a column far from zero is looked for first."""

DEVIATION = 10.0
"""Standard deviations up to which the probed rows of such a column lie from its mean; others are not found."""

LARGEST = 1e300
"""Sum of squares up to which products of two columns stay in the range of float64."""


SMALLEST = 1e-280
"""Variance from which it has all digits: smaller ones are squares at the end of the range."""


def has_tiny(X: Any) -> bool:
    """Whether columns whose variance is next to nothing vary all the same, by numbers too small to be squared."""
    if sparse.issparse(X):
        return bool((np.abs(X.data[X.data != 0]) < np.sqrt(SMALLEST)).any())
    return bool((X[:1] != X).any())


def in_range(X: Any) -> bool:
    """Whether squares of the numbers of a matrix are in the range of float64, as those of single precision are."""
    data = X.data if sparse.issparse(X) else X
    if data.dtype == np.float32:
        return True
    flat = data.reshape(-1, order="A") if data.flags.forc else data
    with np.errstate(over="ignore", under="ignore"):
        if flat.ndim == 1:
            parts = (flat[start : start + PIECE] for start in range(0, flat.size, PIECE))
            size = sum(float(part @ part) for part in parts)
        else:
            size = float(np.einsum("ij,ij->", flat, flat))
    return bool(SMALLEST <= size <= LARGEST or not flat.any())


def near_zero(X: Any, s: np.ndarray, mean: np.ndarray, far: float) -> tuple[Any, np.ndarray, np.ndarray]:
    """Return ``X`` with columns far from zero moved there, by what they are moved ``(p,)``, and the new means.

    Args:
        X: ``(n, p)``, dense or CSC, left as it is.
        s: sample weights with sum 1.
        mean: ``(p,)``, weighted means; returned as they are for columns that stay.
        far: mean over standard deviation from which a dense column is moved.
    """
    few = _candidates(X, mean, far)
    if not few.size:
        return X, np.zeros(len(mean)), mean
    columns = X[:, few].toarray() if sparse.issparse(X) else np.asfortranarray(X[:, few], dtype=np.float64)
    rows = np.linspace(0, len(s) - 1, min(PROBES, len(s))).astype(int)
    nearest = rows[np.argmin(np.abs(columns[rows] - mean[few]), axis=0)]
    start = columns[nearest, np.arange(len(few))]
    columns -= start
    rest = s @ columns
    spread = np.sqrt(s @ (columns - rest) ** 2)
    mean, origin = mean.copy(), np.zeros(len(mean))
    varies = columns.any(axis=0)
    mean[few[~varies]] = start[~varies]  # constant, and now to the last digit
    moved = varies & (np.abs(mean[few]) > (FAR_SPARSE if sparse.issparse(X) else far) * spread)
    if not moved.any():
        return X, origin, mean
    at = few[moved]
    origin[at], mean[at] = start[moved], rest[moved]
    return _replaced(X, at, columns[:, moved]), origin, mean


def _candidates(X: Any, mean: np.ndarray, far: float) -> np.ndarray:
    """Columns that may be far from zero: of a sparse matrix those with few zeros, else by a few rows."""
    n = X.shape[0]
    if sparse.issparse(X):
        return np.flatnonzero(2 * np.diff(X.indptr) > n)
    first, *others = np.linspace(0, n - 1, min(PROBES, n)).astype(int)
    width = DEVIATION / far * np.abs(mean)
    left = np.flatnonzero(np.abs(X[first] - mean) <= width)  # few columns, as a rule none
    for row in others:
        left = left[np.abs(X[row, left] - mean[left]) <= width[left]]
    return left


def _replaced(X: Any, at: np.ndarray, columns: np.ndarray) -> Any:
    """Return ``X`` with other ``columns`` at ``at``; ``X`` itself is not changed."""
    if not sparse.issparse(X):
        moved = X.copy(order="F")
        moved[:, at] = columns
        return moved
    others = np.setdiff1d(np.arange(X.shape[1]), at)
    back = np.argsort(np.concatenate([others, at]), kind="stable")
    return sparse.hstack([X[:, others], sparse.csc_array(columns)], format="csc")[:, back]
