"""The small problem inside every Newton step: a penalised quadratic on the support and what may enter it.

    minimise  ½ vᵀHv − cᵀv + Σ_g λ_g ‖v_g‖₂

with ``H`` positive semidefinite and a few hundred coordinates at most. ``λ_g = 0`` marks free coordinates. A
coordinate at zero leaves it exactly when the factors have negative curvature there, ``|r| > λ`` (docs/math.md, §3);
on the support the problem is smooth and Newton's method solves it.
"""

from __future__ import annotations

import numpy as np

from spred.exact.support import FLAT, System, solve_damped


def minimise_l1(
    H: np.ndarray,
    c: np.ndarray,
    lam: np.ndarray,
    v: np.ndarray,
    *,
    tol: float,
    system: System | None = None,
) -> np.ndarray:
    """Solve the problem when every group is one coordinate; exact, in finitely many steps.

    Newton directions of the smooth problem on the support, each followed to the minimum of the piecewise quadratic
    along it, so signs change where they should and coordinates stop at exact zeros.

    Args:
        H: ``(k, k)``.
        c: ``(k,)``.
        lam: ``(k,)``, 0 for free coordinates.
        v: start, ``(k,)``.
        tol: largest KKT residual allowed.
        system: ``H`` with its factor, where the caller has it already.
    """
    v = v.copy()
    r = H @ v - c
    system = system or System(H)
    for _ in range(10 * len(v) + 20):
        inside = (v != 0) | (lam == 0)
        residual = np.where(inside, np.abs(r + lam * np.sign(v)), np.abs(r) - lam)
        if residual.max(initial=0.0) <= tol:
            break
        direction = _l1_direction(system, r, lam, v, inside, residual > tol)
        change = H @ direction
        step, stops = _follow(r, lam, v, direction, _bend(H, direction, change))
        if step == 0.0:
            break
        v = v + step * direction
        v[stops] = 0.0
        r = H @ v - c
    return v


def _l1_direction(
    system: System, r: np.ndarray, lam: np.ndarray, v: np.ndarray, inside: np.ndarray, unsettled: np.ndarray
) -> np.ndarray:
    """Newton direction on the support and the coordinates that leave zero along the sign of their descent."""
    sign = np.where(v != 0, np.sign(v), -np.sign(r)) * (lam > 0)
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


def _follow(r: np.ndarray, lam: np.ndarray, v: np.ndarray, d: np.ndarray, bend: float) -> tuple[float, np.ndarray]:
    """Minimise the objective along ``v + t d``, t ≥ 0; return t and the coordinates that are zero there."""
    none = np.empty(0, dtype=int)
    slope = float(r @ d + lam @ np.where(v != 0, d * np.sign(v), np.abs(d)))
    if slope >= 0:
        return 0.0, none
    crossing = np.flatnonzero((v * d < 0) & (lam > 0))
    at = -v[crossing] / d[crossing]
    order = np.argsort(at)
    crossing, at = crossing[order], at[order]
    jumps = np.concatenate([[0.0], np.cumsum(2.0 * lam[crossing] * np.abs(d[crossing]))])
    after = slope + bend * at + jumps[1:]
    reached = np.flatnonzero(after >= 0)
    piece = int(reached[0]) if reached.size else len(at)
    if piece < len(at) and slope + bend * at[piece] + jumps[piece] < 0:
        return float(at[piece]), crossing[at == at[piece]]
    if bend <= 0:
        return 1.0, none
    return -(slope + float(jumps[piece])) / bend, none


def minimise_groups(
    H: np.ndarray, c: np.ndarray, lam: np.ndarray, starts: np.ndarray, v: np.ndarray, *, tol: float
) -> np.ndarray:
    """Solve the problem for groups of consecutive coordinates.

    A semismooth Newton step on ``v = prox(v − ∇/L)``: the proximal map of each group says whether it is in or out and
    how the norm bends, one linear system moves all groups that are in. Where that finds no descent, groups that are
    not at rest are minimised exactly one after the other, which always does.

    Args:
        H: ``(k, k)``.
        c: ``(k,)``.
        lam: ``(G,)``, 0 for free groups.
        starts: ``(G,)``, index of each group's first coordinate, rising.
        v: start, ``(k,)``.
        tol: largest KKT residual (norm over a group) allowed.
    """
    model = _GroupModel(H, lam, starts)
    v = v.copy()
    r = H @ v - c
    for _ in range(300):
        residual = model.residuals(v, r)
        if residual.max(initial=0.0) <= tol:
            break
        d = model.newton_direction(v, r, closed := model.closed(v, residual))
        change = H @ d
        step = model.descent(v, r, d, change)
        if step > 0:
            v = v + step * d
            r = r + step * change
            continue
        before = v.copy()
        for g in np.flatnonzero((residual > tol) & (lam > 0) & ~closed):
            model.minimise_block(int(g), v, r)
        r = H @ v - c
        if np.allclose(v, before, rtol=1e-15, atol=0.0):
            break  # neither move finds descent: the residual left is rounding
    return v


class _GroupModel:
    """The quadratic with its groups: what the two moves of :func:`minimise_groups` share."""

    def __init__(self, H: np.ndarray, lam: np.ndarray, starts: np.ndarray) -> None:
        self.H, self.lam, self.starts = H, lam, starts
        ends = np.append(starts[1:], len(H))
        self.slices = [slice(a, b) for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
        self.group = np.repeat(np.arange(len(lam)), ends - starts)
        # The Frobenius norm of a group's own block bounds its largest eigenvalue.
        own = [float(np.linalg.norm(H[part, part])) for part in self.slices]
        self.bound = np.maximum(np.array(own), 1e-300)
        self.pairs = np.nonzero(self.group[:, None] == self.group)

    def norms(self, x: np.ndarray) -> np.ndarray:
        return np.sqrt(np.add.reduceat(x * x, self.starts))

    def residuals(self, v: np.ndarray, r: np.ndarray) -> np.ndarray:
        size = self.norms(v)
        unit = v / np.where(size > 0, size, 1.0)[self.group]
        on = self.norms(r + self.lam[self.group] * unit)
        return np.where((size > 0) | (self.lam == 0), on, self.norms(r) - self.lam)

    def closed(self, v: np.ndarray, residual: np.ndarray) -> np.ndarray:
        """Groups at zero that stay there this round: new ones enter when those inside are nearer to rest."""
        zero = (self.norms(v) == 0) & (self.lam > 0)
        outside, inside = np.where(zero, residual, 0.0).max(), np.where(zero, 0.0, residual).max()
        return zero & (inside > 0.5 * outside)

    def newton_direction(self, v: np.ndarray, r: np.ndarray, closed: np.ndarray) -> np.ndarray:
        """Solve the linearised fixed point ``v = prox(z)``, ``z = v − r/L``.

        With ``κ = λ/(L‖z‖)`` the prox of a group that is in has the inverse Jacobian
        ``I + κ/(1−κ)·(I − zzᵀ/‖z‖²)``: the bend of the norm, measured where the prox lands and so never infinite.
        """
        group, bound = self.group, self.bound[self.group]
        z = v - r / bound
        size = self.norms(z)
        inside = ((size * self.bound > self.lam) | (self.lam == 0)) & ~closed
        unit = z / np.where(size > 0, size, 1.0)[group]
        kappa = np.where(inside, self.lam / (self.bound * np.where(size > 0, size, 1.0)), 0.0)[group]
        index = np.flatnonzero(inside[group])
        d = np.where(inside[group], 0.0, -v)
        if not index.size:
            return d
        unit, kappa, bound = unit[index], kappa[index], bound[index]
        miss = v[index] - (1.0 - kappa) * z[index]
        local = group[index]
        radial = np.bincount(local, weights=miss * unit, minlength=len(self.lam))[local] * unit
        right = -bound * ((miss - radial) / (1.0 - kappa) + radial)
        leaving = np.flatnonzero(d)
        right -= self.H[np.ix_(index, leaving)] @ d[leaving]
        bend = bound * kappa / (1.0 - kappa)
        whole = len(index) == len(self.H)  # the usual case near the end, and a copy is quicker than a selection
        hessian = self.H.copy() if whole else self.H[np.ix_(index, index)]
        row, column = self.pairs if whole else np.nonzero(local[:, None] == local)
        hessian[row, column] -= bend[row] * unit[row] * unit[column]
        hessian[np.diag_indices_from(hessian)] += bend
        d[index] = solve_damped(hessian, right)
        return d

    def descent(self, v: np.ndarray, r: np.ndarray, d: np.ndarray, change: np.ndarray) -> float:
        """Return the first step 1, ½, ¼ … along ``d`` that lowers the objective, or 0; ``change = Hd``."""
        slope, bend = float(r @ d), float(d @ change)
        size = self.norms(v)
        for halvings in range(6):
            step = 0.5**halvings
            if step * slope + 0.5 * step * step * bend + self.lam @ (self.norms(v + step * d) - size) < 0:
                return step
        return 0.0

    def minimise_block(self, g: int, v: np.ndarray, r: np.ndarray) -> None:
        """Minimise over group ``g`` with all others held; updates ``v`` and ``r = Hv − c`` in place."""
        part = self.slices[g]
        values, vectors = np.linalg.eigh(self.H[part, part])
        pull = vectors.T @ (self.H[part, part] @ v[part] - r[part])
        size = _secular(np.maximum(values, 0.0), pull, float(self.lam[g]))
        fresh = vectors @ (pull * size / (values * size + self.lam[g])) if size > 0 else np.zeros(len(pull))
        r += self.H[:, part] @ (fresh - v[part])
        v[part] = fresh


def _secular(d: np.ndarray, a: np.ndarray, lam: float) -> float:
    """Return ``t = ‖x‖`` at the minimum of ``½ Σ d x² − a·x + λ‖x‖``: the root of ``Σ a²/(d t + λ)² = 1``.

    Newton's method on ``1/√(…) − 1`` from 0, where it converges from one side.
    """
    if a @ a <= lam * lam:
        return 0.0
    t = 0.0
    for _ in range(60):
        scale = 1.0 / (d * t + lam)
        share = a * a * scale * scale
        total = float(share.sum())
        if abs(total - 1.0) <= 1e-14:
            break
        slope = float((share * d * scale).sum())
        if slope <= 0:
            break
        t += total * (1.0 - total**-0.5) * total**0.5 / slope
    return t
