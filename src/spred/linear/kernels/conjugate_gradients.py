"""Conjugate gradients for a Hessian with the curvature of groups' norms: the inner loop of ``subproblem.hessian``."""
# mypy: allow-untyped-defs, allow-untyped-decorators

from __future__ import annotations

import numpy as np

from spred.runtime.compiled import compiled


@compiled(nogil=True)
def conjugate_gradients(columns, ridge, diagonal, least, starts, inside, unit, strength, b, accuracy, max_steps):
    """Solve ``(AᵀA + ridge + strength·(I − unit unitᵀ)) d = b`` in the coordinates ``inside`` by conjugate gradients.

    ``columns`` are those of ``A``, one in each row, in single precision; all else is in double. The preconditioner is
    ``diagonal`` (of the first two terms, at least ``least``) and the third. It has rank one in each group besides its
    diagonal ``E``: ``E⁻¹ + E⁻¹uuᵀE⁻¹ · strength / Σ u²·diagonal/E``.

    Returns ``d`` and whether all but a fraction ``accuracy`` of ``b``, by its preconditioned norm, is solved for.
    """
    k = b.size
    inverse, correction = np.zeros(k), np.zeros(starts.size)
    for g in range(starts.size):
        explained = 0.0
        for j in range(starts[g], _end(starts, g, k)):
            if inside[j]:
                inverse[j] = 1.0 / max(diagonal[j] + strength[j], least)
                explained += unit[j] * unit[j] * diagonal[j] * inverse[j]
        if explained > 0.0:
            correction[g] = strength[starts[g]] / explained
    d, residual, z, change = np.zeros(k), b.copy(), np.empty(k), np.empty(k)
    narrow = np.empty(k, columns.dtype)
    _precondition(inverse, unit, correction, starts, residual, z)
    p = z.copy()
    size = np.sum(residual * z)
    target = accuracy * accuracy * size
    for _ in range(max_steps):
        if size <= target:
            return d, True
        top = np.abs(p).max()  # single precision cannot hold very small numbers
        for j in range(k):
            narrow[j] = p[j] / top
        product = np.dot(columns, np.dot(narrow, columns))
        curvature = 0.0
        for g in range(starts.size):
            along = 0.0
            for j in range(starts[g], _end(starts, g, k)):
                along += unit[j] * p[j]
            for j in range(starts[g], _end(starts, g, k)):
                change[j] = top * product[j] + ridge[j] * p[j] + strength[j] * (p[j] - unit[j] * along)
                change[j] *= inside[j]
                curvature += change[j] * p[j]
        if not curvature > 0.0:
            return d, False
        d += size / curvature * p
        residual -= size / curvature * change
        _precondition(inverse, unit, correction, starts, residual, z)
        before, size = size, np.sum(residual * z)
        p *= size / before
        p += z
    return d, size <= target


@compiled(nogil=True)
def _precondition(inverse, unit, correction, starts, x, out):
    for g in range(starts.size):
        along = 0.0
        for j in range(starts[g], _end(starts, g, x.size)):
            out[j] = inverse[j] * x[j]
            along += unit[j] * out[j]
        for j in range(starts[g], _end(starts, g, x.size)):
            out[j] += inverse[j] * unit[j] * correction[g] * along


@compiled(nogil=True)
def _end(starts, g, k):
    return starts[g + 1] if g + 1 < starts.size else k
