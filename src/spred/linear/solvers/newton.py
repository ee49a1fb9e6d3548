"""Newton's method on working sets: the solver that takes every problem.

Three loops, one inside the other:

1. ``outer.converge``: a working set from sequential screening; when Newton is done on it, one pass over *all* features
   finds violators and, when there are none, the certificate is made.
2. ``_newton``: Newton steps on the working set, with a line search; groups at zero enter where the factors have
   negative curvature, ``‖g_g‖ > α ω_g`` (docs/math.md, §3).
3. ``subproblem``: the penalised quadratic model of each step, solved exactly.

Screening only orders the work: no solution leaves before the pass over all features agrees.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from spred.core.certificate import Certificate, is_admissible
from spred.core.line_search import backtrack
from spred.core.penalties import alpha_max
from spred.linear.problem import Problem
from spred.linear.solvers.outer import (
    Limits,
    Outcome,
    Stage,
    State,
    certificate_of,
    converge,
    first_tolerance,
    free_columns,
    full_gradient,
    keep_signs,
    outcome_of,
    path_ratio,
)
from spred.linear.solvers.working_set import Curvature, WorkingSet, strongest
from spred.linear.subproblem.cholesky import solve_damped
from spred.linear.subproblem.groups import minimise_groups, solve_groups
from spred.linear.subproblem.l1 import minimise_l1

NULL_TOL, NULL_STEPS = 1e-14, 100
"""KKT residual of the model with free coefficients alone, relative to the gradient without them (free columns are of
unit size), and steps to it: as exact as float64 allows, because the largest alpha and the unit of the gap are made from
it."""

STALLED = 1e-9
"""Step, relative to the coefficients, below which the residual must fall for another step to be made."""

PROGRESS = 0.9
"""Ratio of residuals above which such a step counts as no progress; a Newton step that works is far below it."""

SLOW = 3
"""Steps in a row without progress after which the Hessian in factors, whose products are in single precision, gives way
to a matrix: its directions are then no longer Newton's, as along free columns without curvature."""

FREE_STEPS = 2
"""Newton steps of the free coefficients before a pass over all data: quadratic convergence needs no third."""

CHEAP_PASS = 1e6
"""Multiply-adds of a pass over all data below which it takes no longer than such a step."""

SMALL_MATRIX = 1e7
"""Multiply-adds of a matrix and its factor up to which they take no longer than the products of conjugate gradients."""

LARGEST_MATRIX = 6000
"""Coordinates up to which a Hessian may be a matrix: 288 MB."""

FORCING = 0.05
"""KKT residual that a quadratic model may leave, relative to that of the loss: an inexact Newton method's forcing term.
Larger saves work in the model and costs Newton steps (``scripts/bench linear``, multinomial and Cox)."""

MODEL_TOL = 0.1
"""The same relative to the final tolerance: what the model leaves must not decide whether it is met."""

ENTERING = 20
"""Groups that may enter the model at once beside a small support; a larger support lets in as many as it has."""

ROUNDING = 1e-15
"""Relative error of an objective, and of a gradient of the model: nothing smaller can be asked for."""


def null_state(problem: Problem, limits: Limits) -> State:
    """Return the model in which only free coefficients (intercept, ``penalty_weights = 0``) are fitted.

    Its alpha is the smallest one at which every penalised coefficient is zero, infinite for a ridge.
    """
    k, p = problem.n_outputs, problem.design.p
    v, b = np.zeros((p, k)), np.zeros(k)
    if problem.fit_intercept:
        b = np.atleast_1d(np.asarray(problem.loss.null(problem.y, problem.s), dtype=float))
    eta = problem.as_target(np.broadcast_to(b, (problem.design.n, k)).copy())
    free = np.flatnonzero(problem.groups.weights == 0)
    if free.size:
        work = WorkingSet(problem, free, alpha=0.0)
        size = float(np.abs(problem.loss.gradient(eta, problem.y, problem.s)).sum())
        x, eta, _ = _newton(problem, work, work.take(v, b), eta, NULL_TOL * size, limits.deadline, NULL_STEPS)
        v, b = work.put(x)
    grad = full_gradient(problem, eta)
    return State(v, b, eta, grad, alpha=alpha_max(grad, problem.penalty(1.0)))


class Newton:
    """A solver for falling alphas that takes every problem; the others are tested against it.

    Args:
        problem: any.
        null: the model with free coefficients alone.
        null_objective: the unit of the gap.
    """

    def __init__(self, problem: Problem, null: State, null_objective: float) -> None:
        self.problem, self.state, self.null_objective = problem, null, null_objective
        self.alpha, self.last = null.alpha, null
        self.chosen = np.empty(0, dtype=np.int64)

    @staticmethod
    def needs(problem: Problem) -> str | None:
        """Return None: there is nothing that it needs."""
        return None

    def advance(self, alpha: float, limits: Limits) -> Outcome:
        """Minimise at ``alpha`` from the last solution."""
        start = self.state
        self.alpha, self.last = alpha, replace(start, before=None)
        self.state = _extrapolated(self.problem, alpha, start)
        self.chosen = _screen(self.problem, alpha, start)
        found = converge(self, limits, [first_tolerance(limits.tol)])
        return outcome_of(self.problem, self.state, *found)

    def refine(self, stage: Stage, max_steps: int, deadline: float) -> int:
        """Newton on the chosen groups; see ``outer.Inner``."""
        problem, alpha, state = self.problem, self.alpha, self.state
        work = WorkingSet(problem, self.chosen, alpha)
        here = work.take(state.v, state.b)
        x, eta, steps = _newton(problem, work, here, state.eta, stage.tol * alpha, deadline, max_steps)
        x, eta = _free_solved(problem, work, x, eta)
        v, b = work.put(x)
        self.state = State(v, b, eta, full_gradient(problem, eta), alpha, self.last)
        return steps

    def extend(self, stage: Stage) -> bool:
        """Choose the strongest groups that violate KKT too; see ``outer.Inner``."""
        level = self.alpha * self.problem.l1_ratio * (1.0 + stage.tol)
        excess = self.problem.excess_at_zero(self.state.grad, level)
        excess[self.chosen] = -np.inf
        violators = np.flatnonzero(excess > 0)
        if violators.size:
            self.chosen = _join(self.chosen, violators, excess)
        return bool(violators.size)

    def certify(self) -> Certificate:
        """See ``outer.Inner``."""
        return certificate_of(self.problem, self.state, self.null_objective)


def _extrapolated(problem: Problem, alpha: float, start: State) -> State:
    """Go on along the path from the last two solutions, where that lowers the objective: a better start."""
    before = start.before
    ratio = 0.0 if before is None else path_ratio(before.alpha, start.alpha, alpha)
    if before is None or ratio == 0.0 or problem.loss.quadratic:
        return start
    line = np.where(before.v != 0, start.v + ratio * (start.v - before.v), start.v)
    v = keep_signs(line, start.v)
    eta = problem.eta(v, b := start.b + ratio * (start.b - before.b))
    ahead = replace(start, v=v, b=b, eta=eta)
    return ahead if _objective(problem, alpha, ahead) < _objective(problem, alpha, start) else start


def _objective(problem: Problem, alpha: float, state: State) -> float:
    return float(problem.loss.value(state.eta, problem.y, problem.s) + problem.penalty(alpha).value(state.v))


def _screen(problem: Problem, alpha: float, start: State) -> np.ndarray:
    """Groups to start with: the support, free ones, and those that the sequential strong rule keeps.

    A ridge sets nothing to zero, so all groups are chosen at once.
    """
    weights = problem.groups.weights
    if problem.l1_ratio == 0.0:
        return np.arange(len(weights))
    inside = (problem.groups.norms(start.v) > 0) | (weights == 0)
    excess = problem.excess_at_zero(start.grad, problem.l1_ratio * max(2 * alpha - start.alpha, 0.0))
    excess[inside] = -np.inf
    return _join(np.flatnonzero(inside), np.flatnonzero(excess > 0), excess)


def _join(chosen: np.ndarray, candidates: np.ndarray, excess: np.ndarray) -> np.ndarray:
    """Add the strongest candidates, at most as many as there are already (but ``FEW`` at least)."""
    return np.sort(np.concatenate([chosen, strongest(candidates, excess[candidates], len(chosen))]))


def _newton(
    problem: Problem,
    work: WorkingSet,
    x: np.ndarray,
    eta: np.ndarray,
    tol: float,
    deadline: float,
    max_steps: int,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Newton steps on the working set until every KKT residual is at most ``tol``; return ``x, eta, steps``."""
    loss, y, s = problem.loss, problem.y, problem.s
    steps, before, stalled, slow, exact = 0, np.inf, False, 0, False
    while steps < max_steps:
        g = work.gradient(problem.as_matrix(loss.gradient(eta, y, s))) + work.ridge * x
        residual = work.blocks.residuals(x, g)
        worst = residual.max(initial=0.0)
        if worst <= tol or time.perf_counter() > deadline:
            break
        if stalled and worst > PROGRESS * before:
            break  # the objective is too flat for this arithmetic: free columns that separate the classes
        slow = slow + 1 if worst > PROGRESS * before else 0
        exact = exact or slow >= SLOW
        steps, before = steps + 1, worst
        active = _active(work, x, residual, tol)
        index = np.flatnonzero(active[work.blocks.group])
        curvature = np.empty(0) if loss.quadratic else loss.curvature(eta, y, s)
        rough = 0.0 if loss.quadratic else FORCING * worst
        size = len(index)
        in_factors = size > LARGEST_MATRIX or (not exact and size * size * (problem.design.n + size) > SMALL_MATRIX)
        d = _model_step(work, active, index, curvature, x, g, max(MODEL_TOL * tol, rough), in_factors)
        stalled = bool(np.abs(d).max() <= STALLED * np.abs(x).max())
        moved = _line_search(problem, work, x, eta, g, index, d) if d.any() else None
        if moved is not None:
            x, eta = moved
        elif exact or not in_factors or work.blocks.separable:
            break  # the residual left is rounding
        else:
            exact = True
    return x, eta, steps


def _free_solved(problem: Problem, work: WorkingSet, x: np.ndarray, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ``x, eta`` with the free coefficients solved for to rounding, all others held.

    A dual point is projected where their gradient is not zero, which takes a second pass over all data.
    """
    loss, y, s = problem.loss, problem.y, problem.s
    index = np.flatnonzero(work.blocks.free[work.blocks.group])
    cheap = problem.design.n * problem.design.p * problem.n_outputs < CHEAP_PASS
    if cheap or loss.quadratic or loss.stand_in or work.blocks.separable or not index.size:
        return x, eta
    free = free_columns(problem)
    for _ in range(FREE_STEPS):
        theta = problem.as_matrix(loss.gradient(eta, y, s))
        if is_admissible(theta, free):
            break
        d = solve_damped(work.hessian(index, loss.curvature(eta, y, s)), -work.gradient(theta)[index])
        moved = eta + problem.as_target(work.predictor(index, d))
        if not np.isfinite(d).all() or loss.value(moved, y, s) > loss.value(eta, y, s):
            break
        x, eta = x.copy(), moved
        x[index] += d
    return x, eta


def _active(work: WorkingSet, x: np.ndarray, residual: np.ndarray, tol: float) -> np.ndarray:
    """Groups of the quadratic model: the support, free ones, and the strongest of those that enter the support.

    While the residual on the support is larger than theirs, none enters: most would leave again once it has converged.
    """
    inside = (work.blocks.norms(x) > 0) | work.blocks.free
    violation = residual[inside].max(initial=0.0)
    entering = np.flatnonzero(~inside & (residual > tol))
    if violation > max(tol, residual[entering].max(initial=0.0)):
        return np.asarray(inside)
    # Without a ridge a support beyond the number of samples has no unique solution: it may fill up, not flow over.
    count, limit = int(inside.sum()), work.problem.design.n if work.problem.l1_ratio > 0 else len(inside)
    capacity = max(min(max(ENTERING, count), limit - count), 1)
    if entering.size > capacity:
        entering = entering[np.argpartition(-residual[entering], capacity)[:capacity]]
    inside[entering] = True
    return np.asarray(inside)


def _model_step(
    work: WorkingSet,
    active: np.ndarray,
    index: np.ndarray,
    curvature: Curvature,
    x: np.ndarray,
    g: np.ndarray,
    tol: float,
    in_factors: bool,
) -> np.ndarray:
    """Return the step to the minimum of the quadratic model in the coordinates ``index``."""
    here, blocks = x[index], work.blocks.of(active)
    if in_factors and not (blocks.separable or work.problem.loss.quadratic):
        return np.asarray(solve_groups(work.factored(index, curvature), blocks, here, g[index], tol=tol)[0] - here)
    hessian = work.hessian(index, curvature)
    c = hessian @ here - g[index]
    tol = max(tol, ROUNDING * float(np.abs(c).max(initial=0.0)))
    if blocks.separable:
        return np.asarray(minimise_l1(hessian, c, blocks.levels, here, tol=tol, positive=blocks.positive) - here)
    return np.asarray(minimise_groups(hessian, c, blocks, here, tol=tol) - here)


def _line_search(
    problem: Problem,
    work: WorkingSet,
    x: np.ndarray,
    eta: np.ndarray,
    g: np.ndarray,
    index: np.ndarray,
    d: np.ndarray,
) -> tuple[np.ndarray, np.ndarray] | None:
    """Halve the step ``d`` until the objective falls enough; return ``x, eta`` there, or None if it never does."""
    change = problem.as_target(work.predictor(index, d))
    full = x.copy()
    full[index] += d
    if problem.loss.quadratic:
        return full, eta + change
    loss, y, s = problem.loss, problem.y, problem.s
    before = float(loss.value(eta, y, s)) + work.value(x)
    linear = float((g - work.ridge * x)[index] @ d)
    promised = linear + work.value(full) - work.value(x)

    def trial(step: float) -> tuple[float, tuple[np.ndarray, np.ndarray]]:
        there = full if step == 1.0 else x + step * (full - x)
        moved = eta + step * change
        return float(loss.value(moved, y, s)) + work.value(there), (there, moved)

    found = backtrack(trial, before, promised, rounding=ROUNDING)
    return None if found is None else found[1]
