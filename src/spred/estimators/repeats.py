"""Samples that repeat: each distinct one once, with the sum of its weights, in an order that is theirs.

What is fitted to them cannot depend on whether a sample came twice or with a weight of 2, nor on the order in which the
samples came, not even by rounding. That matters where an objective has several minima: a network's descent turns
rounding into another path.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse


def distinct(X: Any, target: np.ndarray, weight: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray]:
    """Return the distinct samples ``(X, target)``, sorted by their bytes, with the sums of their weights.

    >>> X, y, weight = distinct(np.array([[1.0], [2.0], [1.0]]), np.array([5.0, 5.0, 5.0]), np.array([1.0, 1.0, 2.0]))
    >>> sorted(zip(X[:, 0].tolist(), weight.tolist()))
    [(1.0, 3.0), (2.0, 1.0)]
    """
    if sparse.issparse(X):
        X = _cleaned(X)
    keys = [row + own for row, own in zip(_row_keys(X), _target_keys(target), strict=True)]
    order = np.array(sorted(range(len(keys)), key=keys.__getitem__))
    first = np.array([i == 0 or keys[order[i]] != keys[order[i - 1]] for i in range(len(order))])
    rows = order[first]
    kept = X[rows].tocsc() if sparse.issparse(X) else X[rows]
    return kept, target[rows], np.add.reduceat(weight[order], np.flatnonzero(first))


def _cleaned(X: Any) -> sparse.csr_array:
    """Return a sparse matrix by rows, as it would be stored that has each entry once, in order, and no zeros."""
    rows = sparse.csr_array(X, copy=True)
    rows.sum_duplicates()
    rows.eliminate_zeros()
    return rows


def _row_keys(X: Any) -> list[bytes]:
    """Return the numbers of each row as bytes; −0 is 0."""
    if not sparse.issparse(X):
        return [row.tobytes() for row in np.ascontiguousarray(X + X.dtype.type(0))]
    ends = zip(X.indptr[:-1], X.indptr[1:], strict=True)
    return [X.indices[a:b].tobytes() + X.data[a:b].tobytes() for a, b in ends]


def _target_keys(target: np.ndarray) -> list[bytes]:
    if target.dtype.names:  # survival times and strata: the number of each distinct one
        target = np.unique(target, return_inverse=True)[1]
    return [own.tobytes() for own in np.ascontiguousarray(target + target.dtype.type(0))]
