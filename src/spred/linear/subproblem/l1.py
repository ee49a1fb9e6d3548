"""The small problem inside every Newton step: a penalised quadratic on the support and what may enter it.

    minimise  ½ vᵀHv − cᵀv + Σ_j λ_j |v_j|,    v_j ≥ 0 where that is asked

with ``H`` positive semidefinite and a few hundred coordinates at most. ``λ_j = 0`` marks free coordinates. A
coordinate at zero leaves it exactly when the factors have negative curvature there, ``|r| > λ`` (docs/math.md, §3);
on the support the problem is smooth and Newton's method solves it. ``grouped`` has the same for groups.
"""

from __future__ import annotations

import numpy as np

from spred.linear.subproblem.cholesky import FLAT, System


def minimise_l1(
    H: np.ndarray,
    c: np.ndarray,
    lam: np.ndarray,
    v: np.ndarray,
    *,
    tol: float,
    positive: np.ndarray | None = None,
) -> np.ndarray:
    """Solve the problem exactly, in finitely many steps.

    Newton directions of the smooth problem on the support, each followed to the minimum of the piecewise quadratic
    along it, so signs change where they should and coordinates stop at exact zeros.

    Args:
        H: ``(k, k)``.
        c: ``(k,)``.
        lam: ``(k,)``, 0 for free coordinates (those that are not ``positive``).
        v: start, ``(k,)``.
        tol: largest KKT residual allowed.
        positive: ``(k,)``, coordinates that must not be negative, nor are at the start; none by default.
    """
    v = v.copy()
    r = H @ v - c
    system = System(H)
    positive = np.zeros(len(v), dtype=bool) if positive is None else positive
    free = (lam == 0) & ~positive
    for _ in range(10 * len(v) + 20):
        inside = (v != 0) | free
        residual = np.where(inside, np.abs(r + lam * np.sign(v)), np.where(positive, -r, np.abs(r)) - lam)
        if residual.max(initial=0.0) <= tol:
            break
        direction = _l1_direction(system, r, lam, v, inside, residual > tol)
        change = H @ direction
        step, stops = _follow(r, lam, v, direction, _bend(H, direction, change), free, positive)
        if step == 0.0:
            break
        v = v + step * direction
        v[stops] = 0.0
        v[positive & (v < 0)] = 0.0  # by rounding, where a step ends just before a stop
        r = H @ v - c
    return v


def _l1_direction(
    system: System, r: np.ndarray, lam: np.ndarray, v: np.ndarray, inside: np.ndarray, unsettled: np.ndarray
) -> np.ndarray:
    """Newton direction on the support and the coordinates that leave zero along the sign of their descent."""
    sign = np.where(v != 0, np.sign(v), -np.sign(r))
    # New coordinates enter only when those inside are at rest; mixed, the two chase each other.
    entering = np.zeros_like(inside) if (unsettled & inside).any() else unsettled & ~inside
    worst = int(np.argmax(np.where(entering, np.abs(r) - lam, -1.0)))
    chosen = inside | entering
    while True:
        direction = system.step(-(r + lam * sign), chosen)
        # A coordinate that would leave zero against its own descent direction stays at zero this time.
        wrong = chosen & ~inside & (direction * sign <= 0)
        if not wrong.any():
            return direction
        alone = (chosen & ~inside).sum() == 1 and chosen[worst] and not inside[worst]
        chosen &= ~wrong
        if not (chosen & entering).any():
            if alone:
                return direction  # the worst alone: its sign is right but for rounding
            chosen[worst] = True


def _bend(H: np.ndarray, d: np.ndarray, change: np.ndarray) -> float:
    """Curvature ``dᵀHd`` along ``d``, with ``change = Hd``; 0 where the data cannot see ``d`` and rounding is left."""
    bend = float(d @ change)
    return bend if bend > FLAT * float(np.mean(np.diagonal(H))) * float(d @ d) else 0.0


def _follow(
    r: np.ndarray,
    lam: np.ndarray,
    v: np.ndarray,
    d: np.ndarray,
    bend: float,
    free: np.ndarray,
    positive: np.ndarray,
) -> tuple[float, np.ndarray]:
    """Minimise the objective along ``v + t d``, t ≥ 0; return t and the coordinates that are zero there."""
    none = np.empty(0, dtype=int)
    slope = float(r @ d + lam @ np.where(v != 0, d * np.sign(v), np.abs(d)))
    if slope >= 0 or (positive & (v == 0) & (d < 0)).any():
        return 0.0, none
    crossing = np.flatnonzero((v * d < 0) & ~free)
    at = -v[crossing] / d[crossing]
    order = np.argsort(at)
    crossing, at = crossing[order], at[order]
    # The slope jumps by 2λ|d| where a coordinate changes sign, and without bound where it must not.
    jump = np.where(positive[crossing], np.inf, 2.0 * lam[crossing] * np.abs(d[crossing]))
    jumps = np.concatenate([[0.0], np.cumsum(jump)])
    after = slope + bend * at + jumps[1:]
    reached = np.flatnonzero(after >= 0)
    piece = int(reached[0]) if reached.size else len(at)
    if piece < len(at) and slope + bend * at[piece] + jumps[piece] < 0:
        return float(at[piece]), crossing[at == at[piece]]
    if bend <= 0:
        return 1.0, none
    return -(slope + float(jumps[piece])) / bend, none
