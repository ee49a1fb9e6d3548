"""The compiled road of the exact engine: one output, a penalty on single coefficients, a loss with compiled slopes.

It solves what ``newton.advance`` solves, with the same certificate, and is the road of most problems that are solved:
Lasso, elastic net, sparse logistic and Poisson regression, non-negative or not. Two things make it fast: the loops of
``kernels`` with a factor of the support's Hessian that lives as long as it is of use, and the ``bounds`` that spare
the pass over all features.
"""

from __future__ import annotations

import time
from functools import cached_property
from typing import NamedTuple

import numpy as np

from spred.core.certificate import FLAT, Certificate, free_newton_step, is_admissible
from spred.core.losses import compiled_form
from spred.linear.kernels.columns import Columns
from spred.linear.kernels.losses import CODES
from spred.linear.kernels.newton import objectives, refine
from spred.linear.kernels.screening import expect
from spred.linear.problem import Problem
from spred.linear.results import Status
from spred.linear.solvers.newton import Limits, Model, Outcome, State, strongest
from spred.linear.solvers.screening import Bounds

ROUGH = 1e-2
"""KKT residual over alpha at which the features outside are looked at first."""

QUICK = 100_000
"""Entries of a working set up to which an exact solution is as quick as a rough one."""

TRIFLE = 1e-14
"""Curvature, in mean squares of a column, that every coordinate has at least."""

ROOM = 1 << 24
"""Entries that the columns written out have room for from the start: memory that is not touched costs nothing."""

RESERVE = 1 << 15
"""Entries of columns that are written out ahead of their time, whenever one is needed."""

STEPS = 10
"""Newton steps between two looks at the clock."""


class Round(NamedTuple):
    """What ``kernels.refine`` returns: see there."""

    moved: float
    steps: int
    worst: float
    now: int
    seen: np.ndarray
    outside: np.ndarray
    excess: np.ndarray
    beyond: float


def is_compiled(problem: Problem) -> bool:
    """Whether the compiled road takes ``problem``: its loss must be a row of the table, not one of the same name."""
    return compiled_form(problem.loss) in CODES and problem.groups.singles


class Compiled:
    """A walk along falling alphas; ``advance`` is the next stop.

    Features that were ever of interest have their columns written out, one after another (those of a sparse matrix are
    used where they lie); *positions* number them.

    Args:
        problem: what :func:`is_compiled` accepts.
        null: the model with free coefficients alone, from ``newton.null_state``.
        null_objective: the unit of the gap.
    """

    def __init__(self, problem: Problem, null: State, null_objective: float) -> None:
        self.problem, self.null_objective = problem, null_objective
        loss, n, p = problem.loss, problem.design.n, problem.design.p
        self.code, self.weights, self.positive = CODES[str(loss.compiled)], problem.groups.weights, problem.positive
        self.y = np.ascontiguousarray(problem.y, dtype=np.float64)
        self.offset = np.zeros(n) if loss.offset is None else np.asarray(loss.offset, dtype=np.float64)
        self.eta, self.b = null.eta + self.offset, float(null.b[0])
        self.theta = loss.gradient(null.eta, problem.y, problem.s)
        self.bounds = Bounds(problem.design, self.weights, self.positive, self.theta, null.grad[:, 0])
        self.alphas: tuple[float, ...] = (null.alpha,)
        self.position = np.full(p, -1)
        self.features = np.empty(0, dtype=np.int64)
        self.written_out = np.empty((0, n))
        self.x, self.g, self.last, self.before = np.empty(0), np.empty(0), np.empty(0), np.empty(0)
        self.omega, self.bounded, self.trifle = np.empty(0), np.empty(0, dtype=bool), np.empty(0)
        self.lam, self.ridge = np.empty(0), np.empty(0)
        self.L, self.order = np.empty((0, 0)), np.empty(0, dtype=np.int64)
        self.bend, self.memory = np.array(problem.s), np.zeros(2)
        self.seen = np.arange(p)
        inside = np.flatnonzero(null.v[:, 0])
        self._write_out(np.union1d(inside, np.flatnonzero(self.weights == 0)))
        self.x[self.position[inside]] = null.v[inside, 0]

    def advance(self, alpha: float, limits: Limits) -> Outcome:
        """Minimise at ``alpha`` from the last stop; see ``newton.advance``."""
        problem, level = self.problem, alpha * self.problem.l1_ratio
        work, ahead = self._expected(alpha), self._ahead(alpha)
        if problem.l1_ratio < 1.0:
            self.memory[0] = 0  # the ridge is part of the Hessian
        # Newton is quadratic: a KKT residual this small costs at most one more step, and settles the gap at once.
        finest = min(max(10.0 * limits.tol, 1e-12), 1e-2)
        quick = problem.loss.quadratic or problem.design.n * len(work) < QUICK
        kkt_tol = finest if quick else max(finest, ROUGH)  # rough until the working set is right
        seen, n_iter = [], 0
        while True:
            most = min(STEPS, limits.max_iter - n_iter)
            near = level if kkt_tol <= finest else (1.0 - kkt_tol) * level
            here = self._refine(work, alpha, ahead, kkt_tol, most, near)
            ahead, n_iter = 0.0, n_iter + here.steps
            seen.append(here.seen)
            late, spent = time.perf_counter() > limits.deadline, n_iter >= limits.max_iter
            if not (late or spent):
                if here.steps == STEPS and here.worst > kkt_tol * alpha:
                    continue
                if here.beyond > kkt_tol * level:
                    violators = here.excess > kkt_tol * level
                    work = self._joined(work, here.outside[violators], here.excess[violators], alpha)
                    continue
                if kkt_tol > finest:
                    work = self._joined(work, here.outside, here.excess, alpha)
                    kkt_tol = finest
                    continue
            data, certificate = self._certify(here, alpha, work)
            if certificate.gap <= limits.tol or late or spent or kkt_tol < 1e-14:
                break
            kkt_tol = finest = 0.01 * kkt_tol
        self.seen = _distinct(seen)
        status = Status.CONVERGED if certificate.gap <= limits.tol else Status.TIME if late else Status.ITERATIONS
        return Outcome(self._model(), certificate, status, n_iter, data)

    def _expected(self, alpha: float) -> np.ndarray:
        """Positions to begin with: the support, free features, and those that the sequential strong rule expects."""
        price, bounds = alpha * self.problem.l1_ratio, self.bounds
        while True:
            work, missing = expect(
                bounds.values,
                self.weights,
                self.positive,
                self.seen,
                max(2.0 * alpha - self.alphas[-1], 0.0) * self.problem.l1_ratio,
                self.x,
                self.position,
                self.omega,
                price,
                alpha - price,
                self.lam,
                self.ridge,
            )
            if not missing.size:
                return work
            self._write_out(missing)

    def _joined(self, work: np.ndarray, features: np.ndarray, excess: np.ndarray, alpha: float) -> np.ndarray:
        """Return ``work`` and the positions of the strongest of ``features``, all of them priced at ``alpha``."""
        work = np.concatenate([work, self._write_out(strongest(features, excess, len(work)))])
        self._price(alpha)
        return work

    def _price(self, alpha: float) -> None:
        """Set what the penalty takes at ``alpha`` for each position."""
        level = alpha * self.problem.l1_ratio
        self.lam, self.ridge = level * self.omega, (alpha - level) * self.omega

    def _ahead(self, alpha: float) -> float:
        """How far to follow the path's own direction, in units of its last stretch, for a better start; 0 for not."""
        self.before, self.last = self.last, self.x.copy()
        first, last = self.alphas[-2:] if len(self.alphas) > 1 else (np.inf, self.alphas[-1])
        self.alphas = (last, alpha)
        straight = first > last > alpha and first < np.inf
        return 0.0 if self.problem.loss.quadratic or not straight else min((last - alpha) / (first - last), 1.0)

    def _refine(self, work: np.ndarray, alpha: float, ahead: float, kkt_tol: float, most: int, near: float) -> Round:
        """Newton on the positions ``work``, ``most`` steps at most, and what it means for everything else."""
        problem, design, bounds, level = self.problem, self.problem.design, self.bounds, alpha * self.problem.l1_ratio
        self._make_room(len(work))
        here = Round(
            *refine(
                self.code,
                problem.fit_intercept,
                self.bounded,
                self._columns(),
                work,
                self.lam,
                self.ridge,
                self.ridge + self.trifle,
                self.y,
                problem.s,
                self.x,
                self.eta,
                self.theta,
                self.g,
                self.before,
                ahead,
                self.L,
                self.order,
                self.bend,
                self.memory,
                kkt_tol * alpha,
                most,
                self.features,
                design.matrix,
                design.mean,
                design.scale,
                bounds.values,
                bounds.slot,
                bounds.count,
                bounds.thetas,
                bounds.now,
                bounds.norms,
                self.weights,
                self.positive,
                level,
                near,
            )
        )
        self.b += here.moved
        bounds.now = here.now
        return here

    def _write_out(self, features: np.ndarray) -> np.ndarray:
        """Make sure that ``features`` have positions, new ones without a price yet; return these."""
        new = features[self.position[features] < 0]
        if new.size:
            new = np.append(new, self._next(new))
            old, count = len(self.features), len(self.features) + len(new)
            if not self.problem.design.sparse:
                if count > len(self.written_out):
                    n, p = self.problem.design.n, self.problem.design.p
                    grown = np.empty((max(count, 2 * old, min(p, ROOM // n)), n))
                    grown[:old] = self.written_out[:old]
                    self.written_out = grown
                self.written_out[old:count] = self.problem.design.columns(new).T
            self.position[new] = np.arange(old, count)
            self.features = np.append(self.features, new)
            self.x, self.g = (np.append(array, np.zeros(len(new))) for array in (self.x, self.g))
            self.omega, self.bounded = self.weights[self.features], self.positive[self.features]
            self.lam, self.ridge = np.empty(count), np.empty(count)
            self.trifle = TRIFLE * self.bounds.norms[self.features] ** 2 / self.problem.design.n
        return self.position[features]

    def _next(self, new: np.ndarray) -> np.ndarray:
        """Features that may well be of interest soon: short columns cost less when they are written out together."""
        values = np.abs(self.bounds.values) / np.maximum(self.weights, 1e-300)
        values[self.features], values[new] = 0.0, 0.0
        count = min(256, RESERVE // self.problem.design.n, int(np.count_nonzero(values)))
        return np.argpartition(-values, count - 1)[:count] if count else np.empty(0, dtype=np.int64)

    def _columns(self) -> Columns:
        """The columns by position, in the form that the kernels take (see there)."""
        design = self.problem.design
        if not design.sparse:
            return self.written_out
        X, features = design.X, self.features
        return X.data, X.indices, X.indptr, features, design.scale[features], design.mean[features]

    def _make_room(self, active: int) -> None:
        """Make sure that the factor can hold ``active`` coordinates."""
        if active > len(self.order):
            size, kept = max(active, 2 * len(self.order), 64), int(self.memory[0])
            L, order = np.zeros((size, size)), np.zeros(size, dtype=np.int64)
            L[:kept, :kept], order[:kept] = self.L[:kept, :kept], self.order[:kept]
            self.L, self.order = L, order

    def _certify(self, here: Round, alpha: float, work: np.ndarray) -> tuple[float, Certificate]:
        """The data term, and the certificate; features that the bounds settled cannot change it."""
        problem, level = self.problem, alpha * self.problem.l1_ratio
        theta, features = self._projected(level) if self._more_free else (self.theta, here.seen)
        data, primal, dual = objectives(
            self.code,
            self.eta,
            theta,
            self.y,
            problem.s,
            self.offset,
            self.x,
            self.lam,
            self.ridge,
            work,
            self.bounds.values,
            self.weights,
            self.positive,
            features,
            level,
            alpha - level,
        )
        unit = self.null_objective if self.null_objective > 0 else 1.0
        return data, Certificate(max(primal - dual, 0.0) / unit, max(here.worst, here.beyond) / alpha, primal, dual)

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
        if not is_admissible(theta, free, FLAT):  # a flat curvature cannot be stepped along; θ = 0 is always allowed
            theta = np.zeros_like(theta)
        support = self.features[self.x != 0]
        unsettled = bounds.update(theta, level, support, problem.design.correlate_some(theta, support))
        bounds.forget()
        return theta, np.append(support, unsettled)

    def _model(self) -> Model:
        support = self.x.nonzero()[0]
        return Model(self.features[support], self.x[support, None], np.array([self.b]))


def _distinct(parts: list[np.ndarray]) -> np.ndarray:
    """Return every feature of ``parts``, each without repetitions, once. (``np.unique`` takes seven times as long.)"""
    if len(parts) == 1:
        return parts[0]
    every = np.sort(np.concatenate(parts))
    return every[np.append(True, every[1:] != every[:-1])]
