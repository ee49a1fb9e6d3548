"""The compiled road of the exact engine: one output, a penalty on single coefficients, a loss with compiled slopes.

It solves what ``newton.Newton`` solves, with the same certificate, and is the road of most problems that are solved:
Lasso, elastic net, sparse logistic and Poisson regression, non-negative or not. Two things make it fast: the loops of
``kernels`` with a factor of the support's Hessian that lives as long as it is of use, and the ``bounds`` that spare
the pass over all features.
"""

from __future__ import annotations

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
from spred.linear.solvers.outer import Limits, Model, Outcome, Stage, State, converge, first_tolerance, path_ratio
from spred.linear.solvers.screening import Bounds
from spred.linear.solvers.working_set import strongest

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
        self.alpha, self.ahead, self.data_term, self.work = null.alpha, 0.0, null_objective, np.empty(0, dtype=np.int64)
        self.evaluated: list[np.ndarray] = []
        self.here: Round
        inside = np.flatnonzero(null.v[:, 0])
        self._write_out(np.union1d(inside, np.flatnonzero(self.weights == 0)))
        self.x[self.position[inside]] = null.v[inside, 0]

    @staticmethod
    def needs(problem: Problem) -> str | None:
        """Say what ``problem`` lacks for this solver; None where it takes it."""
        if problem.l1_ratio == 0.0:
            return "it needs an L1 part in the penalty"
        return None if is_compiled(problem) else "it needs a loss with compiled slopes, and no groups"

    def advance(self, alpha: float, limits: Limits) -> Outcome:
        """Minimise at ``alpha`` from the last solution."""
        problem = self.problem
        self.alpha, self.work, self.ahead, self.evaluated = alpha, self._expected(alpha), self._ahead(alpha), []
        if problem.l1_ratio < 1.0:
            self.memory[0] = 0  # the ridge is part of the Hessian
        finest = first_tolerance(limits.tol)
        quick = problem.loss.quadratic or problem.design.n * len(self.work) < QUICK
        # Rough until the working set is right.
        found = converge(self, limits, [finest] if quick or finest >= ROUGH else [ROUGH, finest])
        self.seen = _distinct(self.evaluated)
        return Outcome(self._model(), *found, self.data_term)

    def refine(self, stage: Stage, max_steps: int, deadline: float) -> int:
        """Newton on the working set, and what it means for the features outside; see ``outer.Inner``."""
        level = self.alpha * self.problem.l1_ratio
        near = (1.0 - stage.tol) * level if stage.rough else level
        self.here = self._refine(self.work, self.alpha, self.ahead, stage.tol, min(STEPS, max_steps), near)
        self.ahead = 0.0
        self.evaluated.append(self.here.seen)
        return self.here.steps

    def extend(self, stage: Stage) -> bool:
        """Add violators, and at the end of a rough stage all features near their level; see ``outer.Inner``."""
        here, slack = self.here, stage.tol * self.alpha * self.problem.l1_ratio
        if here.steps == STEPS and here.worst > stage.tol * self.alpha:
            return True
        violated = bool(here.beyond > slack)
        if violated or stage.rough:
            joining = here.excess > slack if violated else np.full(len(here.excess), True)
            self.work = self._joined(self.work, here.outside[joining], here.excess[joining], self.alpha)
        return violated

    def certify(self) -> Certificate:
        """See ``outer.Inner``."""
        self.data_term, certificate = self._certify(self.here, self.alpha, self.work)
        return certificate

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
        return 0.0 if self.problem.loss.quadratic else path_ratio(first, last, alpha)

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
