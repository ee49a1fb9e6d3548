"""The compiled inner loop of ``curvature``: conjugate gradients where coordinates come in groups."""
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def solve_bent(columns, ridge, diagonal, least, starts, inside, unit, strength, b, accuracy, most):
    """Solve ``(AᵀA + ridge + strength·(I − unit unitᵀ)) d = b`` in the coordinates ``inside`` by conjugate gradients.

    ``columns`` are those of ``A``, one in each row, in single precision; all else is in double. The preconditioner is
    ``diagonal`` (of the first two terms, at least ``least``) and the third. It has rank one in each group besides its
    diagonal ``E``: ``E⁻¹ + E⁻¹uuᵀE⁻¹ · strength / Σ u²·diagonal/E``.

    Returns ``d`` and whether all but a share ``accuracy`` of ``b``, by its preconditioned norm, is solved for.
    """
    k = b.size
    inverse, lift = np.zeros(k), np.zeros(starts.size)
    for g in range(starts.size):
        kept = 0.0
        for j in range(starts[g], _end(starts, g, k)):
            if inside[j]:
                inverse[j] = 1.0 / max(diagonal[j] + strength[j], least)
                kept += unit[j] * unit[j] * diagonal[j] * inverse[j]
        if kept > 0.0:
            lift[g] = strength[starts[g]] / kept
    d, left, z, change = np.zeros(k), b.copy(), np.empty(k), np.empty(k)
    narrow = np.empty(k, columns.dtype)
    _precondition(inverse, unit, lift, starts, left, z)
    p = z.copy()
    size = np.sum(left * z)
    goal = accuracy * accuracy * size
    for _ in range(most):
        if size <= goal:
            return d, True
        top = np.abs(p).max()  # single precision cannot hold very small numbers
        for j in range(k):
            narrow[j] = p[j] / top
        product = np.dot(columns, np.dot(narrow, columns))
        bent = 0.0
        for g in range(starts.size):
            along = 0.0
            for j in range(starts[g], _end(starts, g, k)):
                along += unit[j] * p[j]
            for j in range(starts[g], _end(starts, g, k)):
                change[j] = top * product[j] + ridge[j] * p[j] + strength[j] * (p[j] - unit[j] * along)
                change[j] *= inside[j]
                bent += change[j] * p[j]
        if not bent > 0.0:
            return d, False
        d += size / bent * p
        left -= size / bent * change
        _precondition(inverse, unit, lift, starts, left, z)
        before, size = size, np.sum(left * z)
        p *= size / before
        p += z
    return d, size <= goal


@njit(cache=True, nogil=True)
def _precondition(inverse, unit, lift, starts, x, out):
    for g in range(starts.size):
        along = 0.0
        for j in range(starts[g], _end(starts, g, x.size)):
            out[j] = inverse[j] * x[j]
            along += unit[j] * out[j]
        for j in range(starts[g], _end(starts, g, x.size)):
            out[j] += inverse[j] * unit[j] * lift[g] * along


@njit(cache=True, nogil=True)
def _end(starts, g, k):
    return starts[g + 1] if g + 1 < starts.size else k
