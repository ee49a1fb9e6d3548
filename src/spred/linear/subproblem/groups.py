"""The small problem inside every Newton step where coordinates come in groups.

    minimise  ½ vᵀHv − cᵀv + Σ_g ( λ_g ‖v_g‖₂ + μ_g ‖v_g‖₁ ),    v_j ≥ 0 where that is asked

Three moves, the quickest first: a semismooth Newton step, which settles who is in and who is out; Newton's step on the
support with its signs kept, followed to the minimum along it; and groups minimised one after the other, exactly.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq

from spred.core.penalties import soft
from spred.linear.subproblem.cholesky import solve_or_slide
from spred.linear.subproblem.hessian import Bend, Curvature, Dense
from spred.linear.subproblem.l1 import minimise_l1
from spred.linear.subproblem.penalty import Blocks

Point = tuple[np.ndarray, np.ndarray]
"""Coordinates ``v`` and ``r = Hv − c`` there."""

ROUGH = 3e-3
"""Share of a Newton direction's right-hand side that may be left where it is solved for by iteration."""


def minimise_groups(H: np.ndarray, c: np.ndarray, blocks: Blocks, v: np.ndarray, *, tol: float) -> np.ndarray:
    """Solve the problem.

    Args:
        H: ``(k, k)``, positive semidefinite.
        c: ``(k,)``.
        blocks: the groups and their levels.
        v: start, ``(k,)``, admissible.
        tol: largest KKT residual (norm over a group) allowed.
    """
    return settle_groups(Dense(H), blocks, v, H @ v - c, tol=tol)[0]


def settle_groups(
    H: Curvature, blocks: Blocks, v: np.ndarray, r: np.ndarray, *, tol: float, most: int = 300
) -> tuple[np.ndarray, np.ndarray, int]:
    """Solve the problem from ``v`` and ``r = Hv − c``; return both at its solution, and the number of moves made.

    Args:
        H: curvature in the coordinates of ``v``.
        blocks: see :func:`minimise_groups`.
        v: start, ``(k,)``, admissible.
        r: gradient of the quadratic there, ``(k,)``.
        tol: see :func:`minimise_groups`.
        most: moves at most.
    """
    model = _GroupModel(H, blocks)
    for count in range(most):
        residual = blocks.residuals(v, r)
        worst = residual.max(initial=0.0)
        if worst <= tol:
            return v, r, count
        closed = model.closed(v, residual)
        accuracy = max(0.3 * tol / worst, ROUGH)
        moved = model.descent(v, r, model.newton_direction(v, r, closed, accuracy))
        moved = moved or model.follow(v, r, model.support_direction(v, r, at_rest=0.1 * worst))
        if moved is None:
            moved = model.sweep(v, r, np.flatnonzero((residual > tol) & ~blocks.free & ~closed))
        if (np.abs(moved[0] - v) <= 1e-15 * np.abs(v)).all():
            return v, r, count  # no move finds descent: the residual left is rounding
        v, r = moved
    return v, r, most


class _GroupModel:
    """The quadratic with its groups: what the moves of :func:`settle_groups` share."""

    def __init__(self, H: Curvature, blocks: Blocks) -> None:
        self.H, self.blocks = H, blocks
        self.bound = H.bounds(blocks)

    def closed(self, v: np.ndarray, residual: np.ndarray) -> np.ndarray:
        """Groups at zero that stay there this round: none enters while those inside are much further from rest."""
        zero = (self.blocks.norms(v) == 0) & ~self.blocks.free
        outside, inside = np.where(zero, residual, 0.0).max(), np.where(zero, 0.0, residual).max()
        return zero & (inside > 5.0 * outside)

    def newton_direction(self, v: np.ndarray, r: np.ndarray, closed: np.ndarray, accuracy: float) -> np.ndarray:
        """Solve the linearised fixed point ``v = prox(v − r/L)``.

        With ``z = soft(v − r/L, μ/L)`` and ``κ = λ/(L‖z‖)`` the prox of a group that is in is ``(1 − κ)z``, and on the
        coordinates with ``z ≠ 0`` it has the inverse Jacobian ``I + κ/(1−κ)·(I − zzᵀ/‖z‖²)``: the bend of the norm,
        measured where the prox lands and so never infinite. All other coordinates go to zero.
        """
        blocks, group, bound = self.blocks, self.blocks.group, self.bound[self.blocks.group]
        z = blocks.left(v - r / bound, 1.0 / bound)
        size = blocks.norms(z)
        safe = np.where(size > 0, size, 1.0)
        entered = ((size * self.bound > blocks.lam) | blocks.free) & ~closed
        inside = entered[group] & ((z != 0) | blocks.free[group])
        kappa = np.where(entered, blocks.lam / (self.bound * safe), 0.0)[group]
        unit = np.where(inside, z / safe[group], 0.0)
        miss = v - (1.0 - kappa) * z
        radial = np.add.reduceat(miss * unit, blocks.starts)[group] * unit
        leaving = np.where(inside, 0.0, -v)
        right = -bound * ((miss - radial) / (1.0 - kappa) + radial)
        if leaving.any():
            right -= self.H.times(leaving)
        bend = Bend(inside, unit, np.where(inside, bound * kappa / (1.0 - kappa), 0.0))
        d = leaving + self.H.solve(blocks, bend, np.where(inside, right, 0.0), accuracy)
        # Groups that enter together can push one of them off against its own descent: it stays at zero this round.
        wrong = (blocks.norms(v) == 0) & (np.add.reduceat(r * d, blocks.starts) >= 0) & ~blocks.free
        return np.where(wrong[group], 0.0, d)

    def descent(self, v: np.ndarray, r: np.ndarray, d: np.ndarray) -> Point | None:
        """Return the first point 1, ½, ¼ … along ``d`` that lowers the objective, or None."""
        for halvings in range(6):
            there = self.blocks.admissible(v + 0.5**halvings * d)
            move = there - v
            change = self.H.times(move)
            if r @ move + 0.5 * move @ change + self.blocks.change(v, move) < 0:
                return there, r + change
        return None

    def support_direction(self, v: np.ndarray, r: np.ndarray, at_rest: float) -> np.ndarray:
        """Return Newton's direction on the support, where the problem is smooth as long as signs are kept.

        It is zero if the support is at rest but for ``at_rest``: what is unsettled is then off it.
        """
        blocks, group = self.blocks, self.blocks.group
        size = blocks.norms(v)
        safe = np.where(size > 0, size, 1.0)
        unit, strength = v / safe[group], (blocks.lam / safe)[group]
        slope = r + blocks.lam[group] * unit + blocks.thresholds * np.sign(v)
        inside = (v != 0) | blocks.free[group]
        d = np.zeros(len(v))
        if np.abs(slope[inside]).max(initial=0.0) > at_rest:
            bend = Bend(inside, unit, strength)
            d[inside] = solve_or_slide(bend.added_to(self.H, blocks), -slope[inside])
        return d

    def follow(self, v: np.ndarray, r: np.ndarray, d: np.ndarray) -> Point | None:
        """Return ``v`` and ``r`` at the minimum along ``v + t d``, t ≥ 0; None if it is at t = 0.

        The slope rises, and jumps where a coordinate crosses zero. Where a jump turns its sign the minimum is there.
        """
        line = _Line(self.blocks, v, r, d, self.H.times(d))
        if line.slope(0.0, after=True) >= 0:
            return None
        points = np.unique(line.crossing[np.isfinite(line.crossing)])
        low, high = 0, len(points)
        while low < high:  # the first point after which the slope is not negative
            middle = (low + high) // 2
            low, high = (low, middle) if line.slope(points[middle], after=True) >= 0 else (middle + 1, high)
        start = points[low - 1] if low else 0.0
        end = points[low] if low < len(points) else max(2.0 * start, 1.0)
        while low == len(points) and line.slope(end, after=False) < 0 and end < 1e9:
            end *= 2.0
        if low == len(points) and line.slope(end, after=False) < 0:
            end = max(start, 1.0)  # neither the data nor the penalty sees the direction: the slope is rounding
        elif line.slope(end, after=False) > 0:
            end = brentq(lambda t: line.slope(t, after=t < end), start, end, xtol=1e-15 * end, rtol=1e-15, maxiter=500)
        there = line.at(end)
        return there, r + self.H.times(there - v)

    def sweep(self, v: np.ndarray, r: np.ndarray, groups: np.ndarray) -> Point:
        """Return ``v`` and ``r`` when each of ``groups`` in turn has been minimised over, with all others held."""
        v, r = v.copy(), r.copy()
        for g in groups:
            part = self.blocks.slices[g]
            before = v[part].copy()
            v[part] = self.minimum_over(int(g), v[part], r[part])
            r += self.H.part(slice(None), part) @ (v[part] - before)
        return v, r

    def minimum_over(self, g: int, v: np.ndarray, r: np.ndarray) -> np.ndarray:
        """Return the minimum over group ``g``, whose coordinates are ``v`` now, with all others held."""
        part = self.blocks.slices[g]
        H, lam, mu = self.H.part(part, part), float(self.blocks.lam[g]), float(self.blocks.mu[g])
        positive = self.blocks.positive[part]
        sparse = mu > 0 or positive.any()
        return _sparse_block(H, H @ v - r, lam, mu, positive) if sparse else _dense_block(H, H @ v - r, lam)


class _Line:
    """The objective along ``v + t d``, with ``change = Hd``."""

    def __init__(self, blocks: Blocks, v: np.ndarray, r: np.ndarray, d: np.ndarray, change: np.ndarray) -> None:
        self.blocks, self.v, self.d = blocks, v, d
        self.start, self.bend = float(r @ d), float(d @ change)
        towards = (v * d < 0) & ~blocks.free[blocks.group]
        self.crossing = np.where(towards, -v / np.where(towards, d, 1.0), np.inf)

    def at(self, t: float) -> np.ndarray:
        """Return the point at ``t``, with exact zeros where coordinates cross there."""
        return self.blocks.admissible(np.where(self.crossing == t, 0.0, self.v + t * self.d))

    def slope(self, t: float, after: bool) -> float:
        """Return the slope just after or just before ``t``; infinite where a bound would be crossed."""
        blocks, d = self.blocks, self.d
        crossed = (self.crossing <= t) if after else (self.crossing < t)
        if (crossed & blocks.positive).any():
            return np.inf
        there = np.where(self.crossing == t, 0.0, self.v + t * d)
        size = blocks.norms(there)
        steep = np.add.reduceat(there * d, blocks.starts) / np.where(size > 0, size, 1.0)
        steep = np.where(size > 0, steep, blocks.norms(d) if after else -blocks.norms(d))
        sign = np.sign(np.where(crossed, d, self.v))
        return self.start + t * self.bend + float(blocks.lam @ steep + blocks.thresholds @ (sign * d))


def _dense_block(H: np.ndarray, a: np.ndarray, lam: float) -> np.ndarray:
    """Return the minimum of ``½ vᵀHv − a·v + λ‖v‖``."""
    values, vectors = np.linalg.eigh(H)
    along = vectors.T @ a
    size = _secular(np.maximum(values, 0.0), along, lam)
    return vectors @ (along * size / (values * size + lam)) if size > 0 else np.zeros(len(a))


def _sparse_block(H: np.ndarray, a: np.ndarray, lam: float, mu: float, positive: np.ndarray) -> np.ndarray:
    """Return the minimum of ``½ vᵀHv − a·v + λ‖v‖ + μ‖v‖₁``, not negative where ``positive``.

    By the identity of the factors ``λ‖v‖ = min_t (λ/2)(‖v‖²/t + t)`` (docs/math.md, §4): at a given t the block is a
    quadratic with an L1 penalty, solved exactly, and its t is the root of ``‖v(t)‖ = t``. ``‖v(t)‖/t`` falls.
    """
    mus, eye, rounding = np.full(len(a), mu), np.eye(len(a)), 1e-15 * float(np.abs(a).max())

    def at(t: float) -> np.ndarray:
        return minimise_l1(H + lam / t * eye, a, mus, np.zeros(len(a)), tol=rounding, positive=positive)

    left = float(np.linalg.norm(soft(a, mu, positive)))
    if left <= lam:
        return np.zeros(len(a))
    if lam == 0:
        return at(1.0)

    def excess(t: float) -> float:
        return float(np.linalg.norm(at(t))) / t - 1.0

    low = high = (left - lam) / max(float(np.trace(H)), 1e-300)  # H bends no more than its trace
    while excess(high) > 0 and high < 1e100:
        low, high = high, 2.0 * high
    return at(brentq(excess, low, high, xtol=1e-15 * high, rtol=1e-15, maxiter=500)) if high > low else at(high)


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
