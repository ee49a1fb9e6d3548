"""The solver for a squared loss with groups: the whole problem is one quadratic, seen through its columns.

It solves what ``newton.Newton`` solves, with the same certificate. Groups that were ever of interest have dense
columns, materialised once in a path, one after another; an alpha starts from the extrapolation of the last two
solutions, and ``subproblem.groups`` does the rest with the Hessian left in factors.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np
from scipy import sparse

from spred.core.certificate import Certificate
from spred.core.losses import compiled_form
from spred.linear.problem import Problem
from spred.linear.solvers.outer import (
    Limits,
    Outcome,
    Stage,
    State,
    certificate_of,
    converge,
    first_tolerance,
    full_gradient,
    keep_signs,
    outcome_of,
    path_ratio,
)
from spred.linear.solvers.working_set import penalty_of, strongest
from spred.linear.subproblem.groups import solve_groups
from spred.linear.subproblem.hessian import Factored, matvec, rmatvec
from spred.linear.subproblem.penalty import Blocks

KKT_PER_GAP = 3.0
"""Tolerance on KKT over the gap asked for: conjugate gradients converge linearly, so what is not needed is not asked
for (``scripts/bench linear``, group lasso)."""

SLACK = 1e-3
"""How far below its level, relative to it, a group's extrapolated gradient may lie for the group to join at once: wider
saves rounds and makes more columns dense (``scripts/bench linear``, group lasso)."""

LARGEST = 128
"""Features of a group up to which its columns are rotated to their principal directions: the cost of its eigenvectors
grows with the cube."""

MOVES = 10
"""Steps between two readings of the clock."""

FEW = 0.25
"""Fraction of the columns up to which the product with a change of coefficients copies those that changed."""


class LeastSquaresGroups:
    """A solver for falling alphas.

    Args:
        problem: one that :meth:`needs` nothing.
        null: the model with free coefficients alone, from ``newton.null_state``.
        null_objective: the unit of the gap.
    """

    def __init__(self, problem: Problem, null: State, null_objective: float) -> None:
        self.problem, self.null_objective = problem, null_objective
        self.root = np.sqrt(problem.s)
        self.columns = _Columns(problem, self.root)
        self.columns.materialise(np.flatnonzero(problem.groups.weights == 0))
        self.x = self.columns.rotated(null.v)
        self.residual = self.root * (null.eta - problem.y)
        self.eta, self.grad, self.alpha = null.eta, null.grad, null.alpha
        self.before: _Point | None = None

    @staticmethod
    def needs(problem: Problem) -> str | None:
        """Say what ``problem`` lacks for this solver; None where it takes it."""
        if compiled_form(problem.loss) != "squared" or problem.fit_intercept:
            return "it needs the squared loss, its intercept taken out by presolve"
        if problem.groups.singles:
            return "it needs groups of features"
        return "it needs an L1 part in the penalty" if problem.l1_ratio == 0.0 else None

    def advance(self, alpha: float, limits: Limits) -> Outcome:
        """Minimise at ``alpha`` from the last solution."""
        self._join(self._extrapolate(alpha), alpha * self.problem.l1_ratio * (1.0 - SLACK))
        found = converge(self, limits, [first_tolerance(limits.tol, KKT_PER_GAP)])
        return outcome_of(self.problem, self._state(), *found)

    def refine(self, stage: Stage, max_steps: int, deadline: float) -> int:
        """Minimise over the groups with dense columns; see ``outer.Inner``."""
        steps = self._minimise(stage.tol * self.alpha, max_steps, deadline) if self.columns.count else 0
        self.eta = self.problem.y + self.residual / self.root
        self.grad = full_gradient(self.problem, self.eta)
        return steps

    def extend(self, stage: Stage) -> bool:
        """Take in groups that violate KKT; see ``outer.Inner``."""
        return self._join(self.grad, self.alpha * self.problem.l1_ratio * (1.0 + stage.tol))

    def certify(self) -> Certificate:
        """See ``outer.Inner``."""
        return certificate_of(self.problem, self._state(), self.null_objective)

    def _state(self) -> State:
        return State(self.columns.rotated_back(self.x), np.zeros(1), self.eta, self.grad, self.alpha)

    def _extrapolate(self, alpha: float) -> np.ndarray:
        """Go on along the path from the last two solutions; return the gradient to expect at ``alpha``."""
        here, before = _Point(self.alpha, self.x, self.residual, self.grad), self.before
        self.alpha, self.before = alpha, here
        ratio = 0.0 if before is None else path_ratio(before.alpha, here.alpha, alpha)
        if before is None or ratio == 0.0:
            return self.grad
        line = here.x + ratio * (here.x - _padded(before.x, len(here.x)))
        self.x = keep_signs(line, here.x)
        self.residual = here.residual + ratio * (here.residual - before.residual) + self.columns.matvec(self.x - line)
        return np.asarray(here.grad + ratio * (here.grad - before.grad))

    def _join(self, grad: np.ndarray, level: float) -> bool:
        """Take in the groups whose gradient exceeds ``level``, the strongest first; say whether there was any."""
        excess = self.problem.excess_at_zero(grad, level)
        excess[self.columns.groups] = -np.inf
        outside = np.flatnonzero(excess > 0)
        new = strongest(outside, excess[outside], len(self.columns.groups))
        self.columns.materialise(new)
        self.x = _padded(self.x, self.columns.count)
        return bool(new.size)

    def _minimise(self, tol: float, max_steps: int, deadline: float) -> int:
        """Minimise over the groups with dense columns, reading the clock in between; return the steps taken."""
        blocks, ridge = self.columns.penalty(self.alpha)
        H = self.columns.hessian(ridge)
        x, slope = self.x, self.columns.rmatvec(self.residual) + ridge * self.x
        steps = 0
        while True:
            x, slope, made = solve_groups(H, blocks, x, slope, tol=tol, max_steps=min(MOVES, max_steps - steps))
            steps += made
            if made < MOVES or steps >= max_steps or time.perf_counter() > deadline:
                break
        self.residual = self.residual + self.columns.matvec(x - self.x)
        self.x = x
        return steps


class _Point(NamedTuple):
    """A solution on the path: coefficients of the dense columns, weighted residual, gradient in all features."""

    alpha: float
    x: np.ndarray
    residual: np.ndarray
    grad: np.ndarray


class _Columns:
    """The dense columns of groups of interest, weighted by ``root``, group after group in the order of their coming.

    A group without a penalty on single coefficients has its columns rotated: ``X_g v_g = (X_g Q)(Qᵀ v_g)`` with the
    principal directions Q, which keeps ``‖v_g‖`` and makes the group's own block of the Hessian diagonal.
    """

    def __init__(self, problem: Problem, root: np.ndarray) -> None:
        self.problem, self.root = problem, root[:, None]
        self.rotates = problem.within_ratio == 0 and not problem.positive.any()
        self.groups = self.features = self.starts = np.empty(0, dtype=np.int64)
        self.diagonal = np.empty(0)
        self._A, self._single = np.empty((0, len(root))), np.empty((0, len(root)), dtype=np.float32)
        # Q of all groups as one matrix, column by column.
        self._values, self._rows, self._ends = np.empty(0), np.empty(0, dtype=np.int64), np.zeros(1, dtype=np.int64)

    @property
    def count(self) -> int:
        """How many columns there are."""
        return len(self.features)

    def materialise(self, groups: np.ndarray) -> None:
        """Add the columns of ``groups``, which are new."""
        if not groups.size:
            return
        features, starts = self.problem.groups.members(groups)
        old, new = self.count, self.count + len(features)
        self._reserve(new)
        A = self._A[old:new]
        A[:] = (self.root * self.problem.design.columns(features)).T
        rotations, rows = [], []
        for part in np.split(np.arange(len(features)), starts[1:]):
            rotation = np.eye(len(part))
            if self.rotates and len(part) <= LARGEST:
                rotation = np.linalg.eigh(A[part] @ A[part].T)[1]
                A[part] = rotation.T @ A[part]
            rotations.append(rotation.T.reshape(-1))
            rows.append(np.tile(old + part, len(part)))
        self._single[old:new] = A
        self._values, self._rows = np.concatenate([self._values, *rotations]), np.concatenate([self._rows, *rows])
        sizes = np.diff(np.append(starts, len(features)))
        self._ends = np.append(self._ends, self._ends[-1] + np.cumsum(np.repeat(sizes, sizes)))
        self.diagonal = np.append(self.diagonal, np.einsum("ij,ij->i", A, A))
        self.starts = np.append(self.starts, old + starts)
        self.groups, self.features = np.append(self.groups, groups), np.append(self.features, features)

    def penalty(self, alpha: float) -> tuple[Blocks, np.ndarray]:
        """Return the levels of the groups and the ridge of each column."""
        weights = self.problem.groups.weights[self.groups]
        return penalty_of(self.problem, alpha, self.starts, weights, self.problem.positive[self.features])

    def hessian(self, ridge: np.ndarray) -> Factored:
        """Return the Hessian of loss and ridge."""
        return Factored(self._A[: self.count], self._single[: self.count], self.diagonal, ridge)

    def matvec(self, d: np.ndarray) -> np.ndarray:
        """Return what a change ``d`` of the coefficients adds to the weighted linear predictor, ``(n,)``."""
        moved = np.flatnonzero(d)
        if len(moved) < FEW * self.count:
            return matvec(self._A[moved], d[moved])
        return matvec(self._A[: self.count], d)

    def rmatvec(self, residual: np.ndarray) -> np.ndarray:
        """Return the gradient in the columns, given the weighted residual ``(n,)``."""
        return rmatvec(self._A[: self.count], residual)

    def rotated(self, v: np.ndarray) -> np.ndarray:
        """Return coefficients ``(p, 1)`` in the dense columns."""
        return np.asarray(self._rotation().T @ v[self.features, 0])

    def rotated_back(self, x: np.ndarray) -> np.ndarray:
        """Return coefficients ``(p, 1)``: those of the dense columns, rotated back, and zeros."""
        v = np.zeros((self.problem.design.p, 1))
        v[self.features, 0] = self._rotation() @ x
        return v

    def _rotation(self) -> sparse.csc_array:
        return sparse.csc_array((self._values, self._rows, self._ends), shape=(self.count, self.count))

    def _reserve(self, needed: int) -> None:
        if needed > len(self._A):
            shape = (max(needed, 2 * self.count), len(self.root))
            A, single = np.empty(shape), np.empty(shape, dtype=np.float32)
            A[: self.count], single[: self.count] = self._A[: self.count], self._single[: self.count]
            self._A, self._single = A, single


def _padded(x: np.ndarray, count: int) -> np.ndarray:
    return np.append(x, np.zeros(count - len(x)))
