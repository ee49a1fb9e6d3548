"""The Cholesky factor of the support's Hessian, updated from step to step."""
# mypy: allow-untyped-defs, allow-untyped-decorators, allow-untyped-calls

from __future__ import annotations

import numpy as np

from spred.linear.kernels.columns import column_dot, gram, weighted_column
from spred.linear.kernels.vectors import add, compiled, copy, dot

FLAT = 1e-10
"""Least pivot, as a fraction of a column's own curvature; a smaller one is set to this.

Smaller admits columns that are nearly combinations of others, with a factor that rounding spoils; larger leaves out
columns that matter. Measured by the tests of duplicates in ``tests/linear/solvers/test_l1.py``.
"""


BATCH = 16
"""Features added to the factor in one pass over it: the larger, the fewer passes; their columns should stay cached.

Measured by ``scripts/bench linear``.
"""


@compiled
def append_rows(iterate, new, keep_first):
    """Add the features ``new`` to the factor in one pass over the rows it has.

    A feature that the others explain (a duplicate) is left out, unless it is the first and ``keep_first``.
    """
    columns, curvature, intercept = iterate.columns, iterate.curvature, iterate.intercept
    diagonal, L, order, k = iterate.diagonal, iterate.L, iterate.order, iterate.size
    old, weighted = k, np.empty((new.size, curvature.size))
    for b in range(new.size):
        weighted_column(columns, new[b], curvature, intercept, weighted[b])
    for i in range(old):
        for b in range(new.size):
            row = L[old + b]
            row[i] = (column_dot(columns, order[i], weighted[b]) - dot(L[i, :i], row[:i])) / L[i, i]
    for b in range(new.size):
        row = L[k]
        if k < old + b:
            copy(L[old + b, :old], row[:old])
        for i in range(old, k):
            row[i] = (column_dot(columns, order[i], weighted[b]) - dot(L[i, :i], row[:i])) / L[i, i]
        own = column_dot(columns, new[b], weighted[b]) + diagonal[new[b]]
        pivot = own - dot(row[:k], row[:k])
        if pivot > FLAT * own or (keep_first and b == 0):
            row[k] = np.sqrt(max(pivot, FLAT * own)) if own > 0.0 else 1.0
            order[k] = new[b]
            k += 1
    iterate.size = k


@compiled
def remove_row(L, order, k, at):
    """Take row ``at`` out of the factor: rows move up and rotations make them triangular again, row by row."""
    cosine, sine = np.empty(k), np.empty(k)
    for r in range(at + 1, k):
        order[r - 1] = order[r]
        for c in range(r + 1):
            L[r - 1, c] = L[r, c]
        row = L[r - 1]
        for c in range(at, r - 1):
            a, b = row[c], row[c + 1]
            row[c] = cosine[c] * a + sine[c] * b
            row[c + 1] = cosine[c] * b - sine[c] * a
        size = np.hypot(row[r - 1], row[r])
        cosine[r - 1], sine[r - 1] = row[r - 1] / size, row[r] / size
        row[r - 1] = size


@compiled
def build(iterate, work, active):
    """Factorise the Hessian of the ``active`` coordinates of ``work`` from nothing, at the kept curvature."""
    L, order, diagonal, k = iterate.L, iterate.order, iterate.diagonal, 0
    for a in range(work.size):
        if active[a]:
            order[k] = work[a]
            k += 1
    iterate.size = k
    if k == 0:
        return
    H = np.zeros((k, k))
    gram(iterate.columns, order, k, iterate.curvature, iterate.intercept, H)
    for i in range(k):
        own = H[i, i] + diagonal[order[i]]
        H[i, i] = own * (1.0 + FLAT) if own > 0 else 1.0
    lower = np.linalg.cholesky(H)
    for i in range(k):
        for j in range(i + 1):
            L[i, j] = lower[i, j]


@compiled
def solve(L, k, right, d):
    """Solve ``L Lᵀ d = right``."""
    for i in range(k):
        d[i] = (right[i] - dot(L[i, :i], d[:i])) / L[i, i]
    for i in range(k - 1, -1, -1):
        d[i] /= L[i, i]
        add(d[:i], -d[i], L[i, :i])


@compiled
def synchronise(iterate, work, active):
    """Make the factor that of the ``active`` coordinates: rows of others are removed, missing ones are added."""
    wanted = np.zeros(iterate.x.size, np.bool_)
    for a in range(work.size):
        wanted[work[a]] = active[a]
    L, order, k = iterate.L, iterate.order, iterate.size
    for i in range(k - 1, -1, -1):
        if wanted[order[i]]:
            wanted[order[i]] = False
        else:
            remove_row(L, order, k, i)
            k -= 1
    iterate.size = k
    new, count = np.empty(BATCH, np.int64), 0
    for a in range(work.size):
        if wanted[work[a]]:
            new[count] = work[a]
            count += 1
        if count == BATCH or (a == work.size - 1 and count > 0):
            append_rows(iterate, new[:count], iterate.size == k)
            count = 0
