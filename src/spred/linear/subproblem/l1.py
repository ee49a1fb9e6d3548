"""The small problem inside every Newton step: a penalised quadratic on the support and what may enter it.

    minimise  ½ vᵀHv − cᵀv + Σ_j λ_j |v_j|,    v_j ≥ 0 where that is asked

with ``H`` positive semidefinite and a few hundred coordinates at most. ``λ_j = 0`` marks free coordinates. A
coordinate at zero leaves it exactly when the factors have negative curvature there, ``|r| > λ`` (docs/math.md, §3);
on the support the problem is smooth and Newton's method solves it, in the compiled loop that ``solvers.l1`` uses too.
``groups`` has the same for groups; the tests' oracle is a form in NumPy that shares no code.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dpotrf

from spred.linear.kernels.quadratic import minimise_model
from spred.linear.subproblem.cholesky import FLAT, TINY

ROUNDS, MORE_ROUNDS = 10, 20
"""Supports at most, for each coordinate and besides: a guard against rounding, far above what is needed."""

FIRMER, RETRIES = 100.0, 8
"""Factor of the damping where a factorisation fails in spite of it, and how often; then, scaled gradient steps."""


def minimise_l1(
    H: np.ndarray,
    c: np.ndarray,
    lam: np.ndarray,
    v: np.ndarray,
    *,
    tol: float,
    positive: np.ndarray | None = None,
) -> np.ndarray:
    """Solve the problem in finitely many steps.

    Newton directions of the smooth problem on the support, each followed to the minimum of the piecewise quadratic
    along it, so signs change where they should and coordinates end at exact zeros. The diagonal is damped by a
    relative ``FLAT``, which changes the steps and not the solution (a proximal point method): where ``H`` is singular,
    they move along its null space until the penalty ends it.

    Args:
        H: ``(k, k)``.
        c: ``(k,)``.
        lam: ``(k,)``, 0 for free coordinates (those that are not ``positive``).
        v: start, ``(k,)``.
        tol: largest KKT residual allowed.
        positive: ``(k,)``, coordinates that must not be negative, nor are at the start; none by default.
    """
    v = v.copy()
    positive = np.zeros(len(v), dtype=bool) if positive is None else positive
    free = (lam == 0) & ~positive
    lam = np.where(positive, np.maximum(lam, TINY), lam)  # to the kernel a coordinate without a penalty is free
    for _ in range(ROUNDS * len(v) + MORE_ROUNDS):
        r = H @ v - c
        inside = (v != 0) | free
        residual = np.where(inside, np.abs(r + lam * np.sign(v)), np.where(positive, -r, np.abs(r)) - lam)
        violated = residual > tol
        if not violated.any():
            break
        # New coordinates enter only when the support is optimal; mixed, the two chase each other.
        index = np.flatnonzero(inside if (violated & inside).any() else inside | violated)
        before = v.copy()
        minimise_model(v, r, lam, positive, _factor(H, index), index, len(index))
        if (v == before).all():
            break
    return v


def _factor(H: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Return the Cholesky factor of ``H`` in the coordinates ``index``, damped, in the layout of the kernels."""
    part = H[np.ix_(index, index)]
    diagonal = np.diagonal(part)
    diagonal = np.where(diagonal > 0, diagonal, 1.0)  # an empty column: nothing moves there
    for damping in FLAT * FIRMER ** np.arange(RETRIES):
        part[np.diag_indices_from(part)] = diagonal * (1.0 + damping)
        lower, info = dpotrf(part, lower=1, clean=1)
        if info == 0:
            return np.ascontiguousarray(lower)
    return np.diag(np.sqrt(diagonal * (1.0 + damping)))
