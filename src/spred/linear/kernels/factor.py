"""The Cholesky factor of the support's Hessian, kept from step to step."""
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np

from spred.linear.kernels.columns import along, products, weigh
from spred.linear.kernels.vectors import add, compiled, copy, dot

FLAT = 1e-10
"""Share of a column's own curvature below which what the others leave of it counts as this much, not less."""


BATCH = 16
"""Features added to the factor in one sweep over it: the larger, the fewer sweeps; their columns should stay cached."""


@compiled
def border(columns, new, ridge, bend, intercept, L, order, k, alone, scratch):
    """Add the features ``new`` to the factor in one sweep over the rows it has; return how many rows it has then.

    A feature that the others explain (a twin) is left out, unless it is the first and enters ``alone``.
    """
    old = k
    for b in range(new.size):
        weigh(columns, new[b], bend, intercept, scratch[b])
    for i in range(old):
        for b in range(new.size):
            row = L[old + b]
            row[i] = (along(columns, order[i], scratch[b]) - dot(L[i, :i], row[:i])) / L[i, i]
    for b in range(new.size):
        row = L[k]
        if k < old + b:
            copy(L[old + b, :old], row[:old])
        for i in range(old, k):
            row[i] = (along(columns, order[i], scratch[b]) - dot(L[i, :i], row[:i])) / L[i, i]
        own = along(columns, new[b], scratch[b]) + ridge[new[b]]
        left = own - dot(row[:k], row[:k])
        if left > FLAT * own or (alone and b == 0):
            row[k] = np.sqrt(max(left, FLAT * own)) if own > 0.0 else 1.0
            order[k] = new[b]
            k += 1
    return k


@compiled
def drop(L, order, k, at):
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
def build(columns, work, active, ridge, bend, intercept, L, order):
    """Factorise the Hessian of the ``active`` coordinates from nothing; return how many they are."""
    k = 0
    for a in range(work.size):
        if active[a]:
            order[k] = work[a]
            k += 1
    if k == 0:
        return 0
    H = np.zeros((k, k))
    products(columns, order, k, bend, intercept, H)
    for i in range(k):
        own = H[i, i] + ridge[order[i]]
        H[i, i] = own * (1.0 + FLAT) if own > 0 else 1.0
    lower = np.linalg.cholesky(H)
    for i in range(k):
        for j in range(i + 1):
            L[i, j] = lower[i, j]
    return k


@compiled
def solve(L, k, right, d):
    """Solve ``L Lᵀ d = right``."""
    for i in range(k):
        d[i] = (right[i] - dot(L[i, :i], d[:i])) / L[i, i]
    for i in range(k - 1, -1, -1):
        d[i] /= L[i, i]
        add(d[:i], -d[i], L[i, :i])


@compiled
def synchronise(columns, active, work, ridge, bend, intercept, L, order, k, scratch):
    """Make the factor that of the ``active`` coordinates: rows that are not wanted go, missing ones are added."""
    wanted = np.zeros(ridge.size, np.bool_)
    for a in range(work.size):
        wanted[work[a]] = active[a]
    for i in range(k - 1, -1, -1):
        if wanted[order[i]]:
            wanted[order[i]] = False
        else:
            drop(L, order, k, i)
            k -= 1
    new, count, first = np.empty(len(scratch), np.int64), 0, k
    for a in range(work.size):
        if wanted[work[a]]:
            new[count] = work[a]
            count += 1
        if count == new.size or (a == work.size - 1 and count > 0):
            k = border(columns, new[:count], ridge, bend, intercept, L, order, k, k == first, scratch)
            count = 0
    return k
