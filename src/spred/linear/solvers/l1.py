"""The compiled path solver: one output, a penalty on single coefficients, a loss with a compiled gradient.

It solves what ``newton.advance`` solves, with the same certificate, and takes most problems that are solved: Lasso,
elastic net, sparse logistic and Poisson regression, non-negative or not. Two things make it fast: the loops of
``kernels`` with a factor of the support's Hessian that is kept as long as it is of use, and the screening bounds that
spare the pass over all features.
"""

from __future__ import annotations

import time
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from spred.core.certificate import Certificate, at_rest, free_newton_step
from spred.core.losses import LOSSES
from spred.linear.kernels.columns import Columns
from spred.linear.kernels.losses import CODES
from spred.linear.kernels.newton import objectives, refine
from spred.linear.kernels.screening import starting_set
from spred.linear.kernels.state import extend, new_iterate
from spred.linear.kernels.vectors import TINY
from spred.linear.problem import Problem
from spred.linear.results import Status
from spred.linear.solvers.newton import Limits, Model, Outcome, State, strongest
from spred.linear.solvers.screening import Bounds

KKT_OF_GAP, LEAST_KKT, MOST_KKT = 10.0, 1e-12, 1e-2
"""KKT residual over alpha that is aimed at, in units of the gap asked for, and its limits.

Newton is quadratic: a residual this small costs at most one more step, and decides the gap at once. Measured by
``scripts/bench linear``.
"""

ROUGH_KKT = 1e-2
"""KKT residual over alpha at which the features outside are first evaluated: a wrong working set is found early.

Smaller solves wrong working sets too well, larger evaluates more often. Measured by ``scripts/bench linear``.
"""

TIGHTER, FINEST_KKT = 1e-2, 1e-14
"""Factor of the next KKT residual where one has not brought the gap, and where nothing smaller is tried."""

SMALL = 100_000
"""Entries of a working set up to which an exact solution is as quick as a rough one. Measured as ``ROUGH_KKT`` is."""

CAPACITY = 1 << 24
"""Entries that the dense columns have memory for from the start: what is not touched costs nothing.

Growing copies them. Measured by ``scripts/bench memory``.
"""

RESERVE, MOST_RESERVED = 1 << 15, 256
"""Entries of columns, and columns at most, that are copied ahead of their time whenever one is needed.

Short columns cost less when they are copied together; those that are never needed are wasted. Measured by
``scripts/bench linear``.
"""

STEPS = 10
"""Newton steps between two readings of the clock: at most so many go beyond the time limit."""

FLAT_SLACK = 1e6
"""Rounding, in units of its own, up to which a projected dual point counts as feasible; beyond it is set to zero.

Where the curvature is flat the projection fails altogether. Measured by the tests of separable classes.
"""


class Round(NamedTuple):
    """What ``kernels.newton.refine`` returns: see there."""

    moved: float
    steps: int
    violation: float
    evaluated: np.ndarray
    outside: np.ndarray
    excess: np.ndarray
    beyond: float


def is_compiled(problem: Problem) -> bool:
    """Whether this solver takes ``problem``: its loss must be a row of the table, not one of the same name."""
    origin = problem.loss.origin or problem.loss
    return origin.name in CODES and origin is LOSSES[origin.name] and problem.groups.singles


class Compiled:
    """A path solver along falling alphas; ``advance`` solves the next.

    Features that were ever of interest get a *position*, and their columns are copied, one after another (those of a
    sparse matrix are used where they lie).

    Args:
        problem: what :func:`is_compiled` accepts.
        null: the model with free coefficients alone, from ``newton.null_state``.
        null_objective: the unit of the gap.
    """

    def __init__(self, problem: Problem, null: State, null_objective: float) -> None:
        self.problem, self.null_objective = problem, null_objective
        loss, n, p = problem.loss, problem.design.n, problem.design.p
        self.weights = problem.groups.weights
        y = np.ascontiguousarray(problem.y, dtype=np.float64)
        offset = np.zeros(n) if loss.offset is None else np.asarray(loss.offset, dtype=np.float64)
        self.eta, self.offset, self.b = null.eta + offset, offset, float(null.b[0])
        self.theta = loss.gradient(null.eta, problem.y, problem.s)
        self.bounds = Bounds(problem.design, self.weights, problem.positive, self.theta, null.grad[:, 0])
        self.alphas: tuple[float, ...] = (null.alpha,)
        self.position = np.full(p, -1)
        self.features = np.empty(0, dtype=np.int64)
        self.dense = np.empty((0, n))
        self.x, self.g, self.last, self.before = np.empty(0), np.empty(0), np.empty(0), np.empty(0)
        self.evaluated = np.arange(p)
        # What the compiled loops work on: it shares these arrays.
        state = problem.fit_intercept, y, problem.s, offset, self.eta, self.theta, self.position, self.bounds.record
        self.iterate: Any = new_iterate(CODES[loss.name], *state, self._columns())
        inside = np.flatnonzero(null.v[:, 0])
        self._place(np.union1d(inside, np.flatnonzero(self.weights == 0)))
        self.x[self.position[inside]] = null.v[inside, 0]

    def advance(self, alpha: float, limits: Limits) -> Outcome:
        """Minimise at ``alpha`` from the last solution; see ``newton.advance``."""
        problem, level = self.problem, alpha * self.problem.l1_ratio
        work, ratio = self._starting_set(alpha), self._extrapolation(alpha)
        finest = min(max(KKT_OF_GAP * limits.tol, LEAST_KKT), MOST_KKT)
        small = problem.loss.quadratic or problem.design.n * len(work) < SMALL
        kkt_tol = finest if small else max(finest, ROUGH_KKT)  # rough until the working set is right
        evaluated, n_iter = [], 0
        while True:
            most = min(STEPS, limits.max_iter - n_iter)
            least = level if kkt_tol <= finest else (1.0 - kkt_tol) * level
            here = self._refine(work, alpha, ratio, kkt_tol, most, least)
            ratio, n_iter = 0.0, n_iter + here.steps
            evaluated.append(here.evaluated)
            late, spent = time.perf_counter() > limits.deadline, n_iter >= limits.max_iter
            if not (late or spent):
                if here.steps == STEPS and here.violation > kkt_tol * alpha:
                    continue
                if here.beyond > kkt_tol * level:
                    violators = here.excess > kkt_tol * level
                    work = self._joined(work, here.outside[violators], here.excess[violators])
                    continue
                if kkt_tol > finest:
                    work = self._joined(work, here.outside, here.excess)
                    kkt_tol = finest
                    continue
            data, certificate = self._certify(here, alpha, work)
            if certificate.gap <= limits.tol or late or spent or kkt_tol < FINEST_KKT:
                break
            kkt_tol = finest = TIGHTER * kkt_tol
        self.evaluated = _distinct(evaluated)
        status = Status.CONVERGED if certificate.gap <= limits.tol else Status.TIME if late else Status.ITERATIONS
        return Outcome(self._model(), certificate, status, n_iter, data)

    def _starting_set(self, alpha: float) -> np.ndarray:
        """Positions to begin with: the support, free features, and those that the sequential strong rule keeps."""
        threshold = max(2.0 * alpha - self.alphas[-1], 0.0) * self.problem.l1_ratio
        work: np.ndarray
        while True:
            work, missing = starting_set(self.iterate, self.evaluated, threshold)
            if not missing.size:
                return work
            self._place(missing)

    def _joined(self, work: np.ndarray, features: np.ndarray, excess: np.ndarray) -> np.ndarray:
        """Return ``work`` and the positions of the strongest of ``features``."""
        return np.concatenate([work, self._place(strongest(features, excess, len(work)))])

    def _extrapolation(self, alpha: float) -> float:
        """How far to extrapolate the path, in units of its last stretch, for a better start; 0 for not."""
        self.before, self.last = self.last, self.x.copy()
        first, last = self.alphas[-2:] if len(self.alphas) > 1 else (np.inf, self.alphas[-1])
        self.alphas = (last, alpha)
        falling = first > last > alpha and first < np.inf
        return 0.0 if self.problem.loss.quadratic or not falling else min((last - alpha) / (first - last), 1.0)

    def _refine(self, work: np.ndarray, alpha: float, ratio: float, kkt_tol: float, most: int, least: float) -> Round:
        """Newton on the positions ``work``, ``most`` steps at most, and what it means for everything else."""
        level = alpha * self.problem.l1_ratio
        tol = kkt_tol * alpha
        here = Round(*refine(self.iterate, work, self.before, ratio, level, alpha - level, least, tol, most))
        self.b += here.moved
        return here

    def _place(self, features: np.ndarray) -> np.ndarray:
        """Make sure that ``features`` have positions, new ones without a penalty yet; return these."""
        new = features[self.position[features] < 0]
        if new.size:
            new = np.append(new, self._next(new))
            old, count = len(self.features), len(self.features) + len(new)
            if not self.problem.design.sparse:
                if count > len(self.dense):
                    n, p = self.problem.design.n, self.problem.design.p
                    grown = np.empty((max(count, 2 * old, min(p, CAPACITY // n)), n))
                    grown[:old] = self.dense[:old]
                    self.dense = grown
                self.dense[old:count] = self.problem.design.columns(new).T
            self.position[new] = np.arange(old, count)
            self.features = np.append(self.features, new)
            self.x, self.g = (np.append(array, np.zeros(len(new))) for array in (self.x, self.g))
            extend(self.iterate, self._columns(), self.features, self.x, self.g)
        positions: np.ndarray = self.position[features]
        return positions

    def _next(self, new: np.ndarray) -> np.ndarray:
        """Features that may well be of interest soon: short columns cost less when they are copied together."""
        values = np.abs(self.bounds.values) / np.maximum(self.weights, TINY)
        values[self.features], values[new] = 0.0, 0.0
        count = min(MOST_RESERVED, RESERVE // self.problem.design.n, int(np.count_nonzero(values)))
        return np.argpartition(-values, count - 1)[:count] if count else np.empty(0, dtype=np.int64)

    def _columns(self) -> Columns:
        """The columns by position, in the form that the kernels take (see there)."""
        design = self.problem.design
        if not design.sparse:
            return self.dense
        X, features = design.X, self.features
        return X.data, X.indices, X.indptr, features, design.scale[features], design.mean[features]

    def _certify(self, here: Round, alpha: float, work: np.ndarray) -> tuple[float, Certificate]:
        """The data term, and the certificate; features that the bounds rule out cannot change it."""
        projected = self._more_free
        theta, features = self._projected(alpha * self.problem.l1_ratio) if projected else (self.theta, here.evaluated)
        data, primal, dual = objectives(self.iterate, theta, work, features)
        unit = self.null_objective if self.null_objective > 0 else 1.0
        kkt = max(here.violation, here.beyond) / alpha
        return data, Certificate(max(primal - dual, 0.0) / unit, kkt, primal, dual)

    @cached_property
    def _more_free(self) -> bool:
        """Whether anything but the intercept is free."""
        return bool((self.weights == 0).any())

    def _projected(self, level: float) -> tuple[np.ndarray, np.ndarray]:
        """The dual point at right angles to the free columns, and the features that may lie outside there."""
        problem, bounds = self.problem, self.bounds
        free = problem.design.columns(np.flatnonzero(self.weights == 0))
        if problem.fit_intercept:
            free = np.column_stack([free, np.ones(len(free))])
        shift = free_newton_step(problem.loss, self.theta, self.eta - self.offset, problem.y, problem.s, free)
        theta = self.theta + shift
        # A flat curvature gives no step along it; θ = 0 is always allowed.
        if not at_rest(theta, free, slack=FLAT_SLACK):
            theta = np.zeros_like(theta)
        support = self.features[self.x != 0]
        unproven = bounds.update(theta, level, support, problem.design.correlate_some(theta, support))
        bounds.forget()
        return theta, np.append(support, unproven)

    def _model(self) -> Model:
        support = self.x.nonzero()[0]
        return Model(self.features[support], self.x[support, None], np.array([self.b]))


def _distinct(parts: list[np.ndarray]) -> np.ndarray:
    """Return every feature of ``parts``, each without repetitions, once. (``np.unique`` takes seven times as long.)"""
    if len(parts) == 1:
        return parts[0]
    every = np.sort(np.concatenate(parts))
    distinct: np.ndarray = every[np.append(True, every[1:] != every[:-1])]
    return distinct
