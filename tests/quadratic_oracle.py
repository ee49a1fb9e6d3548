"""The penalised quadratic of a Newton step, minimised in plain NumPy: what the compiled loop is compared with.

minimise  ½ vᵀHv − cᵀv + Σ_j λ_j |v_j|,    v_j ≥ 0 where that is asked
"""

from __future__ import annotations

import numpy as np

FLAT = 1e-10  # curvature relative to the largest below which a direction counts as flat


def minimise_l1(
    H: np.ndarray, c: np.ndarray, lam: np.ndarray, v: np.ndarray, *, tol: float, positive: np.ndarray | None = None
) -> np.ndarray:
    """Newton directions on the support, each followed to the minimum of the piecewise quadratic along it."""
    v = v.copy()
    r = H @ v - c
    positive = np.zeros(len(v), dtype=bool) if positive is None else positive
    free = (lam == 0) & ~positive
    for _ in range(10 * len(v) + 20):
        inside = (v != 0) | free
        residual = np.where(inside, np.abs(r + lam * np.sign(v)), np.where(positive, -r, np.abs(r)) - lam)
        if residual.max(initial=0.0) <= tol:
            break
        d = _direction(H, r, lam, v, inside, residual > tol)
        step, zeros = _exact_line_search(H, r, lam, v, d, free, positive)
        if step == 0.0:
            break
        v = v + step * d
        v[zeros] = 0.0
        v[positive & (v < 0)] = 0.0  # by rounding, where a step ends just before zero
        r = H @ v - c
    return v


def _direction(
    H: np.ndarray, r: np.ndarray, lam: np.ndarray, v: np.ndarray, inside: np.ndarray, violated: np.ndarray
) -> np.ndarray:
    """Newton direction on the support and the coordinates that leave zero along the sign of their descent."""
    sign = np.where(v != 0, np.sign(v), -np.sign(r))
    # New coordinates enter only when those inside are optimal; mixed, the two chase each other.
    entering = np.zeros_like(inside) if (violated & inside).any() else violated & ~inside
    worst = int(np.argmax(np.where(entering, np.abs(r) - lam, -1.0)))
    chosen = inside | entering
    while True:
        d = np.zeros(len(v))
        d[chosen] = _newton_or_null_step(H[np.ix_(chosen, chosen)], -(r + lam * sign)[chosen])
        # A coordinate that would leave zero against its own descent direction stays at zero this time.
        wrong = chosen & ~inside & (d * sign <= 0)
        if not wrong.any():
            return d
        alone = (chosen & ~inside).sum() == 1 and chosen[worst] and not inside[worst]
        chosen &= ~wrong
        if not (chosen & entering).any():
            if alone:
                return d  # the worst alone: its sign is right but for rounding
            chosen[worst] = True


def _newton_or_null_step(A: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``A⁻¹b``, or where ``A`` is singular the part of ``b`` in its null space, if there is one."""
    values, vectors = np.linalg.eigh(A)
    flat = values < FLAT * max(float(values[-1]), 1e-300)
    along = vectors.T @ b
    if np.linalg.norm(along[flat]) > 1e-7 * np.linalg.norm(along):
        return vectors[:, flat] @ along[flat]
    return vectors[:, ~flat] @ (along[~flat] / values[~flat])


def _exact_line_search(
    H: np.ndarray,
    r: np.ndarray,
    lam: np.ndarray,
    v: np.ndarray,
    d: np.ndarray,
    free: np.ndarray,
    positive: np.ndarray,
) -> tuple[float, np.ndarray]:
    """Minimise the objective along ``v + t d``, t ≥ 0; return t and the coordinates that are zero there."""
    none = np.empty(0, dtype=int)
    curvature = float(d @ H @ d)
    if curvature <= FLAT * float(np.mean(np.diagonal(H))) * float(d @ d):
        curvature = 0.0  # rounding: the data do not see this direction
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
    after = slope + curvature * at + jumps[1:]
    reached = np.flatnonzero(after >= 0)
    piece = int(reached[0]) if reached.size else len(at)
    if piece < len(at) and slope + curvature * at[piece] + jumps[piece] < 0:
        return float(at[piece]), crossing[at == at[piece]]
    if curvature <= 0:
        return 1.0, none
    return -(slope + float(jumps[piece])) / curvature, none
