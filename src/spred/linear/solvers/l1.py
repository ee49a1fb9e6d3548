"""The compiled path solver: one output, a penalty on single coefficients, a loss with a compiled gradient.

It solves what ``newton.Newton`` solves, with the same certificate, and takes most problems that are solved: Lasso,
elastic net, sparse logistic and Poisson regression, non-negative or not. Two things make it fast: the loops of
``kernels`` with a factor of the support's Hessian that is kept as long as it is of use, and the screening bounds that
spare the pass over all features.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from spred.core.certificate import FLAT, Certificate, free_newton_step, is_admissible, relative_gap
from spred.core.losses import compiled_form
from spred.linear.kernels.columns import Columns
from spred.linear.kernels.losses import CODES
from spred.linear.kernels.newton import objectives, refine
from spred.linear.kernels.screening import starting_set
from spred.linear.kernels.state import extend, new_iterate
from spred.linear.kernels.vectors import TINY
from spred.linear.problem import Problem
from spred.linear.solvers.outer import Limits, Model, Outcome, Stage, State, converge, first_tolerance, path_ratio
from spred.linear.solvers.screening import Bounds
from spred.linear.solvers.working_set import strongest

ROUGH_KKT = 1e-2
"""KKT residual over alpha at which the features outside are first evaluated: a wrong working set is found early.

Smaller solves wrong working sets too well, larger evaluates more often. Measured by ``scripts/bench linear``.
"""

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


class Round(NamedTuple):
    """What ``kernels.newton.refine`` returns: see there."""

    moved: float
    steps: int
    violation: float
    evaluated: np.ndarray
    outside: np.ndarray
    excess: np.ndarray
    beyond: float


class Compiled:
    """A path solver along falling alphas; ``advance`` solves the next.

    Features that were ever of interest get a *position*, and their columns are copied, one after another (those of a
    sparse matrix are used where they lie).

    Args:
        problem: one that :meth:`needs` nothing.
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
        self.alphas = (np.inf, null.alpha)  # the last one, and the present one
        self.position = np.full(p, -1)
        self.features = np.empty(0, dtype=np.int64)
        self.dense = np.empty((0, n))
        self.x, self.g, self.last, self.before = np.empty(0), np.empty(0), np.empty(0), np.empty(0)
        self.evaluated = np.arange(p)
        self.ratio, self.data_term, self.work = 0.0, null_objective, np.empty(0, dtype=np.int64)
        self.rounds: list[np.ndarray] = []
        self.here: Round
        # What the compiled loops work on: it shares these arrays.
        state = problem.fit_intercept, y, problem.s, offset, self.eta, self.theta, self.position, self.bounds.record
        self.iterate: Any = new_iterate(CODES[str(loss.compiled)], *state, self._columns())
        inside = np.flatnonzero(null.v[:, 0])
        self._place(np.union1d(inside, np.flatnonzero(self.weights == 0)))
        self.x[self.position[inside]] = null.v[inside, 0]

    @staticmethod
    def needs(problem: Problem) -> str | None:
        """Say what ``problem`` lacks for this solver; None where it takes it."""
        if problem.l1_ratio == 0.0:
            return "it needs an L1 part in the penalty"
        takes = compiled_form(problem.loss) in CODES and problem.groups.singles
        return None if takes else "it needs a loss with a compiled gradient, and no groups"

    def advance(self, alpha: float, limits: Limits) -> Outcome:
        """Minimise at ``alpha`` from the last solution."""
        problem = self.problem
        self.work, self.ratio, self.rounds = self._starting_set(alpha), self._extrapolation(alpha), []
        finest = first_tolerance(limits.tol)
        small = problem.loss.quadratic or problem.design.n * len(self.work) < SMALL
        # Rough until the working set is right.
        found = converge(self, limits, [finest] if small or finest >= ROUGH_KKT else [ROUGH_KKT, finest])
        self.evaluated = _distinct(self.rounds)
        return Outcome(self._model(), *found, self.data_term)

    def refine(self, stage: Stage, max_steps: int, deadline: float) -> int:
        """Newton on the working set, and what it means for the features outside; see ``outer.Inner``."""
        alpha, level = self.alphas[-1], self._level
        least, steps = (1.0 - stage.tol) * level if stage.rough else level, min(STEPS, max_steps)
        limits = level, alpha - level, least, stage.tol * alpha, steps
        self.here = Round(*refine(self.iterate, self.work, self.before, self.ratio, *limits))
        self.b += self.here.moved
        self.ratio = 0.0
        self.rounds.append(self.here.evaluated)
        return self.here.steps

    def extend(self, stage: Stage) -> bool:
        """Add violators, and at the end of a rough stage all features near their level; see ``outer.Inner``."""
        here, slack = self.here, stage.tol * self._level
        if here.steps == STEPS and here.violation > stage.tol * self.alphas[-1]:
            return True
        violated = bool(here.beyond > slack)
        if violated or stage.rough:
            joining = here.excess > slack if violated else np.full(len(here.excess), True)
            new = strongest(here.outside[joining], here.excess[joining], len(self.work))
            self.work = np.concatenate([self.work, self._place(new)])
        return violated

    def certify(self) -> Certificate:
        """See ``outer.Inner``; features that the bounds rule out cannot change the certificate."""
        theta, features = self._projected() if self._more_free else (self.theta, self.here.evaluated)
        self.data_term, primal, dual = objectives(self.iterate, theta, self.work, features)
        kkt = max(self.here.violation, self.here.beyond) / self.alphas[-1]
        return Certificate(relative_gap(primal, dual, self.null_objective), kkt, primal, dual)

    @property
    def _level(self) -> float:
        """The L1 level of a weight of 1: α ρ."""
        return self.alphas[-1] * self.problem.l1_ratio

    def _starting_set(self, alpha: float) -> np.ndarray:
        """Positions to begin with: the support, free features, and those that the sequential strong rule keeps."""
        threshold = max(2.0 * alpha - self.alphas[-1], 0.0) * self.problem.l1_ratio
        work: np.ndarray
        while True:
            work, missing = starting_set(self.iterate, self.evaluated, threshold)
            if not missing.size:
                return work
            self._place(missing)

    def _extrapolation(self, alpha: float) -> float:
        """How far to extrapolate the path, in units of its last stretch, for a better start; 0 for not."""
        self.before, self.last = self.last, self.x.copy()
        first, last = self.alphas
        self.alphas = (last, alpha)
        return 0.0 if self.problem.loss.quadratic else path_ratio(first, last, alpha)

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

    @cached_property
    def _more_free(self) -> bool:
        """Whether anything but the intercept is free."""
        return bool((self.weights == 0).any())

    def _projected(self) -> tuple[np.ndarray, np.ndarray]:
        """The dual point at right angles to the free columns, and the features that may lie outside there."""
        problem, bounds = self.problem, self.bounds
        free = problem.design.columns(np.flatnonzero(self.weights == 0))
        if problem.fit_intercept:
            free = np.column_stack([free, np.ones(len(free))])
        shift = free_newton_step(problem.loss, self.theta, self.eta - self.offset, problem.y, problem.s, free)
        theta = self.theta + shift
        if not is_admissible(theta, free, FLAT):  # a flat curvature gives no step along it; θ = 0 is always allowed
            theta = np.zeros_like(theta)
        support = self.features[self.x != 0]
        unproven = bounds.update(theta, self._level, support, problem.design.correlate_some(theta, support))
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
    if not every.size:
        return every
    distinct: np.ndarray = every[np.append(True, every[1:] != every[:-1])]
    return distinct
