"""Falling alphas one after another: the first solver whose needs a problem meets, in fewer rows once that pays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager

from spred.core.certificate import Certificate
from spred.linear.problem import Problem
from spred.linear.results import Status
from spred.linear.solvers.l1 import Compiled
from spred.linear.solvers.least_squares_groups import LeastSquaresGroups
from spred.linear.solvers.newton import Newton, null_state
from spred.linear.solvers.outer import Limits, Model, Outcome, Solver, State, full_gradient
from spred.linear.solvers.presolve import in_fewer_rows, reduced
from spred.linear.solvers.separation import check_separation
from spred.linear.threads import blas_threads

SOLVERS: tuple[type[Solver], ...] = (Compiled, LeastSquaresGroups, Newton)
"""The solvers, quickest first: the first one whose needs a problem meets takes it."""

PER_STEP = 3.0
"""Products with each column of the support in a Newton step: to compare its cost with that of fewer rows."""


def solver_of(problem: Problem) -> type[Solver]:
    """Return the first of :data:`SOLVERS` whose needs ``problem`` meets."""
    return next(solver for solver in SOLVERS if solver.needs(problem) is None)


class PathSolver:
    """Falling alphas one after another, from the null model; in fewer rows as soon as that pays.

    Attributes:
        work: the problem that is solved.
        null: the model of the free coefficients alone, where a path starts.
        top: the largest useful alpha.
        null_objective: of the problem that was asked, the unit of gaps.
    """

    def __init__(self, problem: Problem, limits: Limits) -> None:
        with _threads_for(problem):
            self.work = reduced(problem)
        with _threads_for(self.work.problem):
            work = self.work.problem
            self.null = null_state(work, limits)
            check_separation(work, self.null.eta)
            self.null_objective = float(work.loss.value(self.null.eta, work.y, work.s)) + self.work.constant
            self.top, self.spent = self.null.alpha, 0.0

    def along(self, grid: Sequence[tuple[float, Limits]]) -> Iterator[Outcome]:
        """Return the solution at each alpha as one of the problem that was asked, in its features and objective."""
        with _threads_for(self.work.problem):
            solver = self._solver(self.null)
            for at, (alpha, limits) in enumerate(grid):
                outcome = solver.advance(alpha, limits)
                yield self._asked(outcome, limits)
                k = len(outcome.model.support)
                self.spent += PER_STEP * (outcome.n_iter + 1) * self.work.problem.design.n * k
                if self.spent > self.work.surplus and at + 1 < len(grid):
                    solver = self._solver(self._in_fewer_rows(outcome.model, alpha))

    def _asked(self, outcome: Outcome, limits: Limits) -> Outcome:
        """Return a solution of ``work`` as one of the problem that was asked: objectives differ by a constant.

        They are known to within rounding only; a gap smaller than that has not been reached.
        """
        work, found = self.work, outcome.certificate
        data_term = outcome.data_term + work.constant
        unit = self.null_objective if self.null_objective > 0 else 1.0
        gap = found.gap + work.rounding(outcome.model, data_term) / unit
        short = outcome.status is Status.CONVERGED and gap > limits.tol
        certificate = Certificate(gap, found.kkt, found.primal + work.constant, found.dual + work.constant)
        status = Status.PRECISION if short else outcome.status
        return Outcome(work.original(outcome.model), certificate, status, outcome.n_iter, data_term)

    def _solver(self, start: State) -> Solver:
        """Return the solver of ``work``, at ``start``."""
        return solver_of(self.work.problem)(self.work.problem, start, self.null_objective)

    def _in_fewer_rows(self, model: Model, alpha: float) -> State:
        """Go on in fewer rows: change ``work``, and return ``model`` as a state of it."""
        self.work = in_fewer_rows(self.work)
        problem = self.work.problem
        v = model.dense(problem.design.p)
        eta = problem.eta(v, model.b)
        return State(v, model.b, eta, full_gradient(problem, eta), alpha)


def _threads_for(problem: Problem) -> AbstractContextManager[object]:
    return blas_threads(problem.design.n * problem.design.p)
