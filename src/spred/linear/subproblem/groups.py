"""The small problem inside every Newton step where coordinates come in groups.

    minimise  ½ vᵀHv − cᵀv + Σ_g ( λ_g ‖v_g‖₂ + μ_g ‖v_g‖₁ ),    v_j ≥ 0 where that is asked

Three kinds of steps, the quickest first: a semismooth Newton step, which finds the support; Newton's step on the
support with its signs kept, with an exact line search; and groups minimised one after the other, exactly.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq

from spred.core.line_search import backtrack
from spred.core.penalties import soft
from spred.linear.subproblem.cholesky import newton_or_null_step
from spred.linear.subproblem.hessian import TINY, Dense, Hessian, NormCurvature
from spred.linear.subproblem.l1 import minimise_l1
from spred.linear.subproblem.penalty import Blocks

Point = tuple[np.ndarray, np.ndarray]
"""Coordinates ``v`` and ``r = Hv − c`` there."""

FORCING = 3e-3
"""Residual of a Newton direction, relative to its right-hand side, where it is solved for by iteration: larger saves
conjugate gradients and costs steps (``scripts/bench linear``, group lasso)."""

LAST_FORCING = 0.3
"""The same relative to the tolerance, near the end: no direction is solved better than the answer needs."""

MAX_STEPS = 300
"""Steps at most for one quadratic; a handful is usual, and the outer loop goes on where they do not do."""

FIRST_INSIDE = 5.0
"""Ratio of the largest residual on the support to that off it above which no group enters: those that would enter then
mostly leave again."""

OPTIMAL_SUPPORT = 0.1
"""Residual on the support, relative to the largest of all, below which a step on the support alone is not worth it."""

LEAST_STEP = 2.0**-6
"""Steps of a semismooth direction are halved down to here: beyond, another kind of step gets further."""

ROUNDING = 1e-15
"""Relative error of coordinates and of roots: nothing smaller can be asked for."""

FARTHEST, LARGEST_ROOT = 1e9, 1e100
"""Where the search for the end of an interval gives up: along a direction without curvature, and for a block's norm."""

ROOT_STEPS, SECULAR_STEPS, SECULAR_TOL = 500, 60, 1e-14
"""Iterations of the two root finders, far more than they take, and what the secular equation may leave."""


def minimise_groups(H: np.ndarray, c: np.ndarray, blocks: Blocks, v: np.ndarray, *, tol: float) -> np.ndarray:
    """Solve the problem.

    Args:
        H: ``(k, k)``, positive semidefinite.
        c: ``(k,)``.
        blocks: the groups and their levels.
        v: start, ``(k,)``, admissible.
        tol: largest KKT residual (norm over a group) allowed.
    """
    return solve_groups(Dense(H), blocks, v, H @ v - c, tol=tol)[0]


def solve_groups(
    H: Hessian, blocks: Blocks, v: np.ndarray, r: np.ndarray, *, tol: float, max_steps: int = MAX_STEPS
) -> tuple[np.ndarray, np.ndarray, int]:
    """Solve the problem from ``v`` and ``r = Hv − c``; return both at its solution, and the number of steps made.

    Args:
        H: the Hessian in the coordinates of ``v``.
        blocks: see :func:`minimise_groups`.
        v: start, ``(k,)``, admissible.
        r: gradient of the quadratic there, ``(k,)``.
        tol: see :func:`minimise_groups`.
        max_steps: steps at most.
    """
    model = _GroupModel(H, blocks)
    for count in range(max_steps):
        residual = blocks.residuals(v, r)
        worst = residual.max(initial=0.0)
        if worst <= tol:
            return v, r, count
        kept_zero = model.kept_zero(v, residual)
        accuracy = max(LAST_FORCING * tol / worst, FORCING)
        moved = model.descent(v, r, model.newton_direction(v, r, kept_zero, accuracy))
        moved = moved or model.follow(v, r, model.support_direction(v, r, optimal=OPTIMAL_SUPPORT * worst))
        if moved is None:
            moved = model.sweep(v, r, np.flatnonzero((residual > tol) & ~blocks.free & ~kept_zero))
        if (np.abs(moved[0] - v) <= ROUNDING * np.abs(v)).all():
            return v, r, count  # no step finds descent: the residual left is rounding
        v, r = moved
    return v, r, max_steps


class _GroupModel:
    """The quadratic with its groups: what the steps of :func:`solve_groups` share."""

    def __init__(self, H: Hessian, blocks: Blocks) -> None:
        self.H, self.blocks = H, blocks
        self.bound = H.bounds(blocks)

    def kept_zero(self, v: np.ndarray, residual: np.ndarray) -> np.ndarray:
        """Groups at zero that stay there this round: none enters while the residual on the support is much larger."""
        zero = (self.blocks.norms(v) == 0) & ~self.blocks.free
        outside, inside = np.where(zero, residual, 0.0).max(), np.where(zero, 0.0, residual).max()
        return np.asarray(zero & (inside > FIRST_INSIDE * outside))

    def newton_direction(self, v: np.ndarray, r: np.ndarray, kept_zero: np.ndarray, accuracy: float) -> np.ndarray:
        """Solve the linearised fixed point ``v = prox(v − r/L)``.

        With ``z = soft(v − r/L, μ/L)`` and ``κ = λ/(L‖z‖)`` the prox of a group that is in is ``(1 − κ)z``, and on the
        coordinates with ``z ≠ 0`` it has the inverse Jacobian ``I + κ/(1−κ)·(I − zzᵀ/‖z‖²)``: the curvature of the
        norm, taken where the prox lands and so never infinite. All other coordinates go to zero.
        """
        blocks, group, bound = self.blocks, self.blocks.group, self.bound[self.blocks.group]
        z = blocks.soft(v - r / bound, 1.0 / bound)
        size = blocks.norms(z)
        safe = np.where(size > 0, size, 1.0)
        entered = ((size * self.bound > blocks.lam) | blocks.free) & ~kept_zero
        inside = entered[group] & ((z != 0) | blocks.free[group])
        kappa = np.where(entered, blocks.lam / (self.bound * safe), 0.0)[group]
        unit = np.where(inside, z / safe[group], 0.0)
        step = v - (1.0 - kappa) * z  # the prox residual
        radial = np.add.reduceat(step * unit, blocks.starts)[group] * unit
        leaving = np.where(inside, 0.0, -v)
        right = -bound * ((step - radial) / (1.0 - kappa) + radial)
        if leaving.any():
            right -= self.H.times(leaving)
        norms = NormCurvature(inside, unit, np.where(inside, bound * kappa / (1.0 - kappa), 0.0))
        d = leaving + self.H.solve(blocks, norms, np.where(inside, right, 0.0), accuracy)
        # Groups that enter together can push one of them off against its own descent: it stays at zero this round.
        wrong = (blocks.norms(v) == 0) & (np.add.reduceat(r * d, blocks.starts) >= 0) & ~blocks.free
        return np.where(wrong[group], 0.0, d)

    def descent(self, v: np.ndarray, r: np.ndarray, d: np.ndarray) -> Point | None:
        """Return the first point 1, ½, ¼ … along ``d`` that lowers the objective, or None."""

        def trial(step: float) -> tuple[float, Point]:
            there = self.blocks.admissible(v + step * d)
            move = there - v
            change = self.H.times(move)
            return float(r @ move + 0.5 * move @ change + self.blocks.change(v, move)), (there, r + change)

        found = backtrack(trial, 0.0, 0.0, least=LEAST_STEP)
        return None if found is None else found[1]

    def support_direction(self, v: np.ndarray, r: np.ndarray, optimal: float) -> np.ndarray:
        """Return Newton's direction on the support, where the problem is smooth as long as signs are kept.

        It is zero if no residual on the support exceeds ``optimal``: what violates KKT is then off it.
        """
        blocks, group = self.blocks, self.blocks.group
        size = blocks.norms(v)
        safe = np.where(size > 0, size, 1.0)
        unit, strength = v / safe[group], (blocks.lam / safe)[group]
        slope = r + blocks.lam[group] * unit + blocks.thresholds * np.sign(v)
        inside = (v != 0) | blocks.free[group]
        d = np.zeros(len(v))
        if np.abs(slope[inside]).max(initial=0.0) > optimal:
            norms = NormCurvature(inside, unit, strength)
            d[inside] = newton_or_null_step(norms.added_to(self.H, blocks), -slope[inside])
        return d

    def follow(self, v: np.ndarray, r: np.ndarray, d: np.ndarray) -> Point | None:
        """Return ``v`` and ``r`` at the minimum along ``v + t d``, t ≥ 0; None if it is at t = 0.

        The slope rises, and jumps where a coordinate crosses zero. Where a jump turns its sign the minimum is there.
        """
        line = _Line(self.blocks, v, r, d, self.H.times(d))
        if line.slope(0.0, after=True) >= 0:
            return None
        points = np.unique(line.breakpoints[np.isfinite(line.breakpoints)])
        low, high = 0, len(points)
        while low < high:  # the first point after which the slope is not negative
            middle = (low + high) // 2
            low, high = (low, middle) if line.slope(points[middle], after=True) >= 0 else (middle + 1, high)
        start = points[low - 1] if low else 0.0
        end = points[low] if low < len(points) else max(2.0 * start, 1.0)
        while low == len(points) and line.slope(end, after=False) < 0 and end < FARTHEST:
            end *= 2.0
        if low == len(points) and line.slope(end, after=False) < 0:
            end = max(start, 1.0)  # neither the data nor the penalty changes along the direction: the slope is rounding
        elif line.slope(end, after=False) > 0:
            end = _root(lambda t: line.slope(t, after=t < end), start, end)
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
        self.start, self.curvature = float(r @ d), float(d @ change)
        towards = (v * d < 0) & ~blocks.free[blocks.group]
        self.breakpoints = np.where(towards, -v / np.where(towards, d, 1.0), np.inf)

    def at(self, t: float) -> np.ndarray:
        """Return the point at ``t``, with exact zeros where coordinates change sign there."""
        return self.blocks.admissible(np.where(self.breakpoints == t, 0.0, self.v + t * self.d))

    def slope(self, t: float, after: bool) -> float:
        """Return the slope just after or just before ``t``; infinite where a bound would be crossed."""
        blocks, d = self.blocks, self.d
        crossed = (self.breakpoints <= t) if after else (self.breakpoints < t)
        if (crossed & blocks.positive).any():
            return np.inf
        there = np.where(self.breakpoints == t, 0.0, self.v + t * d)
        size = blocks.norms(there)
        steep = np.add.reduceat(there * d, blocks.starts) / np.where(size > 0, size, 1.0)
        steep = np.where(size > 0, steep, blocks.norms(d) if after else -blocks.norms(d))
        sign = np.sign(np.where(crossed, d, self.v))
        return self.start + t * self.curvature + float(blocks.lam @ steep + blocks.thresholds @ (sign * d))


def _root(f: Callable[[float], float], low: float, high: float) -> float:
    """Return the root of ``f`` between ``low`` and ``high``, to the last digit of ``high``."""
    return float(brentq(f, low, high, xtol=ROUNDING * high, rtol=ROUNDING, maxiter=ROOT_STEPS))


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
    mus, eye, rounding = np.full(len(a), mu), np.eye(len(a)), ROUNDING * float(np.abs(a).max())

    def at(t: float) -> np.ndarray:
        return minimise_l1(H + lam / t * eye, a, mus, np.zeros(len(a)), tol=rounding, positive=positive)

    left = float(np.linalg.norm(soft(a, mu, positive)))
    if left <= lam:
        return np.zeros(len(a))
    if lam == 0:
        return at(1.0)

    def excess(t: float) -> float:
        return float(np.linalg.norm(at(t))) / t - 1.0

    low = high = (left - lam) / max(float(np.trace(H)), TINY)  # the curvature of H is at most its trace
    while excess(high) > 0 and high < LARGEST_ROOT:
        low, high = high, 2.0 * high
    return at(_root(excess, low, high)) if high > low else at(high)


def _secular(d: np.ndarray, a: np.ndarray, lam: float) -> float:
    """Return ``t = ‖x‖`` at the minimum of ``½ Σ d x² − a·x + λ‖x‖``: the root of ``Σ a²/(d t + λ)² = 1``.

    Newton's method on ``1/√(…) − 1`` from 0, where it converges from one side.
    """
    if a @ a <= lam * lam:
        return 0.0
    t = 0.0
    for _ in range(SECULAR_STEPS):
        scale = 1.0 / (d * t + lam)
        terms = a * a * scale * scale
        total = float(terms.sum())
        if abs(total - 1.0) <= SECULAR_TOL:
            break
        slope = float((terms * d * scale).sum())
        if slope <= 0:
            break
        t += total * (1.0 - total**-0.5) * total**0.5 / slope
    return t
