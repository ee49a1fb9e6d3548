"""The quick road of a squared loss with groups: the whole problem is one quadratic, seen through its columns.

It solves what ``newton.advance`` solves, with the same certificate. Groups that were ever of interest have their
columns written out, one after another, once in a path; a stop begins where the last two point to, and ``grouped`` does
the rest with the Hessian left in factors.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np
from scipy import sparse

from spred.core.losses import compiled_form
from spred.linear.problem import Problem
from spred.linear.results import Status
from spred.linear.solvers.newton import Limits, Outcome, State, certificate_of, full_gradient, outcome_of, strongest
from spred.linear.subproblem.groups import settle_groups
from spred.linear.subproblem.hessian import Factored, pull, push
from spred.linear.subproblem.penalty import Blocks

SLACK = 1e-3
"""How far below its level, as a share, a group's expected gradient may lie for the group to be taken in at once."""

LARGEST = 128
"""Features of a group up to which its columns are turned into their principal directions."""

MOVES = 10
"""Moves between two looks at the clock."""


def is_group_walk(problem: Problem) -> bool:
    """Whether this road takes ``problem``: a squared loss, its intercept taken out by ``reduce``, and groups."""
    return compiled_form(problem.loss) == "squared" and not problem.fit_intercept and not problem.groups.singles


class GroupWalk:
    """A walk along falling alphas; ``advance`` is the next stop.

    Args:
        problem: what :func:`is_group_walk` accepts.
        null: the model with free coefficients alone, from ``newton.null_state``.
        null_objective: the unit of the gap.
    """

    def __init__(self, problem: Problem, null: State, null_objective: float) -> None:
        self.problem, self.null_objective = problem, null_objective
        self.root = np.sqrt(problem.s)
        self.columns = _Columns(problem, self.root)
        self.columns.write_out(np.flatnonzero(problem.groups.weights == 0))
        self.x = self.columns.turned(null.v)
        self.miss = self.root * (null.eta - problem.y)
        self.grad, self.alpha = null.grad, null.alpha
        self.before: _Stop | None = None

    def advance(self, alpha: float, limits: Limits) -> Outcome:
        """Minimise at ``alpha`` from the last stop; see ``newton.advance``."""
        problem, level = self.problem, alpha * self.problem.l1_ratio
        self._write_out(self._look_ahead(alpha), level * (1.0 - SLACK))
        kkt_tol, n_iter = min(max(3.0 * limits.tol, 1e-12), 1e-2), 0
        while True:
            n_iter += self._settle(alpha, kkt_tol * alpha, limits, limits.max_iter - n_iter)
            eta = problem.y + self.miss / self.root
            self.grad = full_gradient(problem, eta)
            late, spent = time.perf_counter() > limits.deadline, n_iter >= limits.max_iter
            if not (late or spent) and self._write_out(self.grad, level * (1.0 + kkt_tol)):
                continue
            state = State(self.columns.turned_back(self.x), np.zeros(1), eta, self.grad, alpha)
            certificate = certificate_of(problem, state, self.null_objective)
            if certificate.gap <= limits.tol or late or spent or kkt_tol < 1e-14:
                break
            kkt_tol *= 0.01
        status = Status.CONVERGED if certificate.gap <= limits.tol else Status.TIME if late else Status.ITERATIONS
        return outcome_of(problem, state, certificate, status, n_iter)

    def _look_ahead(self, alpha: float) -> np.ndarray:
        """Follow the path's own direction from the last two stops; return the gradient to expect at the next."""
        here, before = _Stop(self.alpha, self.x, self.miss, self.grad), self.before
        self.alpha, self.before = alpha, here
        if before is None or not before.alpha > here.alpha > alpha:
            return self.grad
        ratio = min((here.alpha - alpha) / (before.alpha - here.alpha), 1.0)
        line = here.x + ratio * (here.x - _grown(before.x, len(here.x)))
        self.x = np.where(line * here.x > 0, line, here.x)  # what would change its sign waits
        self.miss = here.miss + ratio * (here.miss - before.miss) + self.columns.push(self.x - line)
        return here.grad + ratio * (here.grad - before.grad)

    def _write_out(self, grad: np.ndarray, level: float) -> bool:
        """Take in the groups whose gradient leaves ``level``, the strongest first; say whether there was any."""
        excess = self.problem.excess_at_zero(grad, level)
        excess[self.columns.groups] = -np.inf
        outside = np.flatnonzero(excess > 0)
        new = strongest(outside, excess[outside], len(self.columns.groups))
        self.columns.write_out(new)
        self.x = _grown(self.x, self.columns.count)
        return bool(new.size)

    def _settle(self, alpha: float, tol: float, limits: Limits, most: int) -> int:
        """Minimise over the groups written out, with a look at the clock in between; return the moves made."""
        if not self.columns.count:
            return 0
        blocks, ridge = self.columns.penalty(alpha)
        H = self.columns.hessian(ridge)
        x, slope = self.x, self.columns.pull(self.miss) + ridge * self.x
        moves = 0
        while True:
            x, slope, made = settle_groups(H, blocks, x, slope, tol=tol, most=min(MOVES, most - moves))
            moves += made
            if made < MOVES or moves >= most or time.perf_counter() > limits.deadline:
                break
        self.miss = self.miss + self.columns.push(x - self.x)
        self.x = x
        return moves


class _Stop(NamedTuple):
    """Where a walk was: coefficients of the columns written out, weighted residual, gradient in all features."""

    alpha: float
    x: np.ndarray
    miss: np.ndarray
    grad: np.ndarray


class _Columns:
    """The columns of groups of interest, weighted by ``root``, group after group in the order of their coming.

    A group without a penalty on single coefficients has its columns turned: ``X_g v_g = (X_g Q)(Qᵀ v_g)`` with the
    principal directions Q, which keeps ``‖v_g‖`` and makes the group's own block of the Hessian diagonal.
    """

    def __init__(self, problem: Problem, root: np.ndarray) -> None:
        self.problem, self.root = problem, root[:, None]
        self.turning = problem.within_ratio == 0 and not problem.positive.any()
        self.groups = self.features = self.starts = np.empty(0, dtype=np.int64)
        self.diagonal = np.empty(0)
        self._A, self._single = np.empty((0, len(root))), np.empty((0, len(root)), dtype=np.float32)
        # Q of all groups as one matrix, column by column.
        self._values, self._rows, self._ends = np.empty(0), np.empty(0, dtype=np.int64), np.zeros(1, dtype=np.int64)

    @property
    def count(self) -> int:
        """How many columns there are."""
        return len(self.features)

    def write_out(self, groups: np.ndarray) -> None:
        """Add the columns of ``groups``, which are new."""
        if not groups.size:
            return
        features, starts = self.problem.groups.members(groups)
        old, new = self.count, self.count + len(features)
        self._reserve(new)
        A = self._A[old:new]
        A[:] = (self.root * self.problem.design.columns(features)).T
        turns, rows = [], []
        for part in np.split(np.arange(len(features)), starts[1:]):
            turn = np.eye(len(part))
            if self.turning and len(part) <= LARGEST:
                turn = np.linalg.eigh(A[part] @ A[part].T)[1]
                A[part] = turn.T @ A[part]
            turns.append(turn.T.reshape(-1))
            rows.append(np.tile(old + part, len(part)))
        self._single[old:new] = A
        self._values, self._rows = np.concatenate([self._values, *turns]), np.concatenate([self._rows, *rows])
        sizes = np.diff(np.append(starts, len(features)))
        self._ends = np.append(self._ends, self._ends[-1] + np.cumsum(np.repeat(sizes, sizes)))
        self.diagonal = np.append(self.diagonal, np.einsum("ij,ij->i", A, A))
        self.starts = np.append(self.starts, old + starts)
        self.groups, self.features = np.append(self.groups, groups), np.append(self.features, features)

    def penalty(self, alpha: float) -> tuple[Blocks, np.ndarray]:
        """Return the levels of the groups and the ridge of each column."""
        problem, weights = self.problem, self.problem.groups.weights[self.groups]
        level = alpha * problem.l1_ratio
        blocks = Blocks(
            starts=self.starts,
            lam=level * (1.0 - problem.within_ratio) * weights,
            mu=np.where(weights > 0, level * problem.within_ratio, 0.0),
            positive=problem.positive[self.features],
        )
        return blocks, alpha * (1.0 - problem.l1_ratio) * weights[blocks.group]

    def hessian(self, ridge: np.ndarray) -> Factored:
        """Return the Hessian of loss and ridge."""
        return Factored(self._A[: self.count], self._single[: self.count], self.diagonal, ridge)

    def push(self, d: np.ndarray) -> np.ndarray:
        """Return what a change ``d`` of the coefficients adds to the weighted linear predictor, ``(n,)``."""
        moved = np.flatnonzero(d)
        few = 4 * len(moved) < self.count
        return push(self._A[moved], d[moved]) if few else push(self._A[: self.count], d)

    def pull(self, miss: np.ndarray) -> np.ndarray:
        """Return the gradient in the columns, given the weighted residual ``(n,)``."""
        return pull(self._A[: self.count], miss)

    def turned(self, v: np.ndarray) -> np.ndarray:
        """Return coefficients ``(p, 1)`` in the columns written out."""
        return self._turns().T @ v[self.features, 0]

    def turned_back(self, x: np.ndarray) -> np.ndarray:
        """Return coefficients ``(p, 1)``: those of the columns, turned back, and zeros."""
        v = np.zeros((self.problem.design.p, 1))
        v[self.features, 0] = self._turns() @ x
        return v

    def _turns(self) -> sparse.csc_array:
        return sparse.csc_array((self._values, self._rows, self._ends), shape=(self.count, self.count))

    def _reserve(self, needed: int) -> None:
        if needed > len(self._A):
            room = (max(needed, 2 * self.count), len(self.root))
            A, single = np.empty(room), np.empty(room, dtype=np.float32)
            A[: self.count], single[: self.count] = self._A[: self.count], self._single[: self.count]
            self._A, self._single = A, single


def _grown(x: np.ndarray, count: int) -> np.ndarray:
    return np.append(x, np.zeros(count - len(x)))
