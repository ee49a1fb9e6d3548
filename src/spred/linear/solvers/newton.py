"""Newton's method on the support: one alpha, from a warm start, to a certified solution.

Three loops, one inside the other:

1. ``advance``: a working set from sequential screening; when Newton is done on it, one pass over *all* features finds
   violators and, when there are none, makes the certificate.
2. ``_newton``: Newton steps on the working set, with a line search; groups at zero enter where the factors have
   negative curvature, ``‖g_g‖ > α ω_g`` (docs/math.md, §3).
3. ``quadratic``, ``grouped``: the penalised quadratic model of each step, solved exactly.

Screening only orders the work: no solution leaves before the pass over all features agrees.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from spred._defaults import MAX_ITER, TOL
from spred.core.certificate import Certificate, certify
from spred.errors import InputError
from spred.linear.kernels.screening import FEW
from spred.linear.problem import Problem
from spred.linear.results import Status
from spred.linear.solvers.working_set import WorkingSet
from spred.linear.subproblem.groups import minimise_groups
from spred.linear.subproblem.l1 import minimise_l1

CRAWL = 1e-9
"""Step, as a share of the coefficients, below which the residual must fall for another step to be made."""


@dataclass(frozen=True, eq=False)
class State:
    """A point to start from: coefficients ``(p, K)``, intercept ``(K,)``, linear predictor, gradient, its alpha."""

    v: np.ndarray
    b: np.ndarray
    eta: np.ndarray
    grad: np.ndarray
    alpha: float
    before: State | None = None


@dataclass(frozen=True)
class Limits:
    """When to stop: relative duality gap, Newton steps for one alpha, a clock reading (``time.perf_counter``)."""

    tol: float = TOL
    max_iter: int = MAX_ITER
    deadline: float = np.inf

    def __post_init__(self) -> None:
        if not self.tol > 0:
            raise InputError(f"tol is {self.tol}; give a positive number")


@dataclass(frozen=True, eq=False)
class Model:
    """A solution: the features of its ``support`` ``(m,)``, their coefficients ``(m, K)``, the intercept ``(K,)``."""

    support: np.ndarray
    v: np.ndarray
    b: np.ndarray

    def dense(self, p: int) -> np.ndarray:
        """Return the coefficients of all ``p`` features, ``(p, K)``."""
        full = np.zeros((p, self.v.shape[1]))
        full[self.support] = self.v
        return full


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a walk gives for one alpha; ``data_term`` is the loss without its penalty."""

    model: Model
    certificate: Certificate
    status: Status
    n_iter: int
    data_term: float


def null_state(problem: Problem, limits: Limits) -> State:
    """Return the model in which only free coefficients (intercept, ``penalty_weights = 0``) are fitted."""
    k, p = problem.n_outputs, problem.design.p
    v, b = np.zeros((p, k)), np.zeros(k)
    if problem.fit_intercept:
        b = np.atleast_1d(np.asarray(problem.loss.null(problem.y, problem.s), dtype=float))
    eta = problem.as_target(np.broadcast_to(b, (problem.design.n, k)).copy())
    free = np.flatnonzero(problem.groups.weights == 0)
    if free.size:
        work = WorkingSet(problem, free, alpha=0.0)
        x, eta, _ = _newton(problem, work, work.take(v, b), eta, 1e-14, limits)
        v, b = work.put(x)
    grad = full_gradient(problem, eta)
    return State(v, b, eta, grad, alpha=float(problem.penalty(1.0).dual_norm(-grad)))


class Plain:
    """A walk along falling alphas that takes every problem; the compiled one (``compiled.py``) is tested against it."""

    def __init__(self, problem: Problem, null: State, null_objective: float) -> None:
        self.problem, self.state, self.null_objective = problem, null, null_objective

    def advance(self, alpha: float, limits: Limits) -> Outcome:
        """Minimise at ``alpha`` from the last stop."""
        self.state, outcome = advance(self.problem, alpha, self.state, self.null_objective, limits)
        return outcome


def advance(
    problem: Problem, alpha: float, start: State, null_objective: float, limits: Limits
) -> tuple[State, Outcome]:
    """Minimise at ``alpha`` from ``start``, usually the solution at a slightly larger alpha."""
    state = _ahead(problem, alpha, start)
    chosen = _screen(problem, alpha, start)
    # Newton is quadratic: a KKT residual this small costs at most one more step, and settles the gap at once.
    kkt_tol = min(max(10.0 * limits.tol, 1e-12), 1e-2)
    n_iter = 0
    while True:
        work = WorkingSet(problem, chosen, alpha)
        x, eta, steps = _newton(
            problem,
            work,
            work.take(state.v, state.b),
            state.eta,
            kkt_tol * alpha,
            limits,
            limits.max_iter - n_iter,
        )
        n_iter += steps
        v, b = work.put(x)
        grad = full_gradient(problem, eta)
        state = State(v, b, eta, grad, alpha, replace(start, before=None))
        late, spent = time.perf_counter() > limits.deadline, n_iter >= limits.max_iter
        excess = problem.leaving(grad, alpha * problem.l1_ratio * (1.0 + kkt_tol))
        excess[chosen] = -np.inf
        violators = np.flatnonzero(excess > 0)
        if violators.size and not (late or spent):
            chosen = _join(chosen, violators, excess)
            continue
        certificate = certificate_of(problem, state, null_objective)
        if certificate.gap <= limits.tol or late or spent or kkt_tol < 1e-14:
            break
        kkt_tol *= 0.01
    status = Status.CONVERGED if certificate.gap <= limits.tol else Status.TIME if late else Status.ITERATIONS
    return state, outcome_of(problem, state, certificate, status, n_iter)


def outcome_of(problem: Problem, state: State, certificate: Certificate, status: Status, n_iter: int) -> Outcome:
    """Return the :class:`Outcome` that says that ``state`` was reached."""
    support = np.flatnonzero(state.v.any(axis=1))
    data_term = float(problem.loss.value(state.eta, problem.y, problem.s))
    return Outcome(Model(support, state.v[support], state.b), certificate, status, n_iter, data_term)


def _ahead(problem: Problem, alpha: float, start: State) -> State:
    """Follow the path's own direction from the last two solutions, where that lowers the objective: a better start."""
    before = start.before
    if before is None or problem.loss.quadratic or not before.alpha > start.alpha > alpha:
        return start
    ratio = min((start.alpha - alpha) / (before.alpha - start.alpha), 1.0)
    v = start.v + ratio * (start.v - before.v)
    kept = (before.v != 0) & (v * start.v > 0)
    v = np.where(kept, v, start.v)
    eta = problem.eta(v, b := start.b + ratio * (start.b - before.b))
    ahead = replace(start, v=v, b=b, eta=eta)
    return ahead if _objective(problem, alpha, ahead) < _objective(problem, alpha, start) else start


def _objective(problem: Problem, alpha: float, state: State) -> float:
    return float(problem.loss.value(state.eta, problem.y, problem.s) + problem.penalty(alpha).value(state.v))


def _screen(problem: Problem, alpha: float, start: State) -> np.ndarray:
    """Groups to start with: the support, free ones, and those that the sequential strong rule keeps."""
    weights = problem.groups.weights
    inside = (problem.groups.norms(start.v) > 0) | (weights == 0)
    excess = problem.leaving(start.grad, problem.l1_ratio * max(2 * alpha - start.alpha, 0.0))
    excess[inside] = -np.inf
    return _join(np.flatnonzero(inside), np.flatnonzero(excess > 0), excess)


def _join(chosen: np.ndarray, candidates: np.ndarray, excess: np.ndarray) -> np.ndarray:
    """Add the strongest candidates, at most as many as there are already (but ``FEW`` at least)."""
    return np.sort(np.concatenate([chosen, strongest(candidates, excess[candidates], len(chosen))]))


def strongest(candidates: np.ndarray, excess: np.ndarray, count: int) -> np.ndarray:
    """Return the ``count`` candidates (but ``FEW`` at least) with the largest excess, or all where they are fewer."""
    room = max(FEW, count)
    return candidates[np.argpartition(-excess, room)[:room]] if candidates.size > room else candidates


def _newton(
    problem: Problem,
    work: WorkingSet,
    x: np.ndarray,
    eta: np.ndarray,
    tol: float,
    limits: Limits,
    max_iter: int = 100,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Newton steps on the working set until every KKT residual is at most ``tol``; return ``x, eta, steps``."""
    loss, y, s = problem.loss, problem.y, problem.s
    steps, before, crawls = 0, np.inf, False
    while steps < max_iter:
        g = work.pull(problem.as_matrix(loss.gradient(eta, y, s))) + work.ridge * x
        residual = work.blocks.residuals(x, g)
        worst = residual.max(initial=0.0)
        if worst <= tol or time.perf_counter() > limits.deadline:
            break
        if crawls and worst > 0.9 * before:
            break  # the way left is too flat for this arithmetic: free columns that separate the classes
        steps, before = steps + 1, worst
        active = _active(work, x, residual, tol)
        index = np.flatnonzero(active[work.blocks.group])
        hessian = work.hessian(index, np.empty(0) if loss.quadratic else loss.curvature(eta, y, s))
        rough = 0.0 if loss.quadratic else 0.05 * worst
        d = _model_step(work, active, index, hessian, x, g, max(0.1 * tol, rough))
        if not d.any():
            break  # the residual left is rounding
        crawls = bool(np.abs(d).max() <= CRAWL * np.abs(x).max())
        change = problem.as_target(work.push(index, d))
        x, eta, moved = _line_search(problem, work, x, eta, g, index, d, change)
        if not moved:
            break
    return x, eta, steps


def _active(work: WorkingSet, x: np.ndarray, residual: np.ndarray, tol: float) -> np.ndarray:
    """Groups of the quadratic model: the support, free ones, and the strongest of those that want to leave zero.

    While the support is further from rest than they are, none enters: most would leave again once it has settled.
    """
    inside = (work.blocks.norms(x) > 0) | work.blocks.free
    unrest = residual[inside].max(initial=0.0)
    entering = np.flatnonzero(~inside & (residual > tol))
    if unrest > max(tol, residual[entering].max(initial=0.0)):
        return inside
    # A support beyond the number of samples has no unique solution; let it fill up, not flow over.
    count, limit = int(inside.sum()), work.problem.design.n
    room = max(min(max(20, count), limit - count), 1)
    if entering.size > room:
        entering = entering[np.argpartition(-residual[entering], room)[:room]]
    inside[entering] = True
    return inside


def _model_step(
    work: WorkingSet,
    active: np.ndarray,
    index: np.ndarray,
    hessian: np.ndarray,
    x: np.ndarray,
    g: np.ndarray,
    tol: float,
) -> np.ndarray:
    """Return the step to the minimum of the quadratic model in the coordinates ``index``."""
    here = x[index]
    c = hessian @ here - g[index]
    tol = max(tol, 1e-15 * float(np.abs(c).max(initial=0.0)))
    blocks = work.blocks.of(active)
    if blocks.separable:
        return minimise_l1(hessian, c, blocks.levels, here, tol=tol, positive=blocks.positive) - here
    return minimise_groups(hessian, c, blocks, here, tol=tol) - here


def _line_search(
    problem: Problem,
    work: WorkingSet,
    x: np.ndarray,
    eta: np.ndarray,
    g: np.ndarray,
    index: np.ndarray,
    d: np.ndarray,
    change: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Halve the step until the objective falls by its share of what the model promised (Armijo)."""
    full = x.copy()
    full[index] += d
    if problem.loss.quadratic:
        return full, eta + change, True
    loss, y, s = problem.loss, problem.y, problem.s
    before = float(loss.value(eta, y, s)) + work.value(x)
    linear = float((g - work.ridge * x)[index] @ d)
    promised = linear + work.value(full) - work.value(x)
    step = 1.0
    while step > 1e-9:
        trial = full if step == 1.0 else x + step * (full - x)
        there = eta + step * change
        after = float(loss.value(there, y, s)) + work.value(trial)
        if after <= before + 1e-4 * step * promised + 1e-15 * abs(before):
            return trial, there, True
        step *= 0.5
    return x, eta, False


def certificate_of(problem: Problem, state: State, null_objective: float) -> Certificate:
    """Return the certificate of ``state`` at its alpha; see ``core.certificate``."""
    return certify(
        problem.loss,
        problem.penalty(state.alpha),
        state.v,
        state.eta,
        problem.y,
        problem.s,
        correlate=lambda theta: _correlate(problem, theta),
        grad=state.grad,
        free=_free_columns(problem),
        null_objective=null_objective,
    )


def _correlate(problem: Problem, theta: np.ndarray) -> np.ndarray:
    return problem.design.correlate(problem.as_matrix(theta))


def full_gradient(problem: Problem, eta: np.ndarray) -> np.ndarray:
    """Return the gradient of the loss in all coefficients, ``(p, K)``: the pass over all data."""
    return _correlate(problem, problem.loss.gradient(eta, problem.y, problem.s))


def _free_columns(problem: Problem) -> np.ndarray | None:
    k = problem.n_outputs
    free_groups = np.flatnonzero(problem.groups.weights == 0)
    features = np.unique(problem.groups.members(free_groups)[0] // k) if free_groups.size else free_groups
    parts = [problem.design.columns(features)] if features.size else []
    if problem.fit_intercept:
        parts.append(np.ones((problem.design.n, 1)))
    return np.column_stack(parts) if parts else None
