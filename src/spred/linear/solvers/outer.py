"""The outer loop that all solvers of a path share: one alpha, from a warm start, to a certified solution.

    repeat   minimise on the working set, evaluate what lies outside, add what violates the KKT conditions
    then     compute the certificate; where its gap is too large, tighten the tolerance on KKT and repeat

What a solver does in between is its own; it keeps the protocol :class:`Solver`, and ``path_solver`` picks the first
one whose needs a problem meets. The records that go in and out, and the extrapolation along a path, are here too.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from spred._defaults import MAX_ITER, TOL
from spred.core.certificate import Certificate, certify
from spred.errors import InputError
from spred.linear.problem import Problem
from spred.linear.results import Status

KKT_PER_GAP = 10.0
"""Tolerance on KKT over the gap asked for: Newton converges quadratically, so a residual this small costs at most one
more step and brings the gap below ``tol`` at once. Larger saves steps and repeats certificates
(``scripts/bench linear``)."""

SMALLEST, LARGEST = 1e-12, 1e-2
"""Range of the first tolerance on KKT over alpha: rounding below, a working set without meaning above."""

TIGHTENING = 1e-2
"""Factor of the tolerance on KKT where the gap is still too large: one or two more Newton steps each."""

EXHAUSTED = 1e-14
"""Tolerance on KKT over alpha below which none is tried: what is left is rounding."""


@dataclass(frozen=True, eq=False)
class State:
    """A point to start from: coefficients ``(p, K)``, intercept ``(K,)``, linear predictor, gradient, its alpha.

    ``before`` is the solution one alpha earlier, where there is one.
    """

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
    """What a solver gives for one alpha; ``data_term`` is the loss without its penalty."""

    model: Model
    certificate: Certificate
    status: Status
    n_iter: int
    data_term: float


class Solver(Protocol):
    """A solver for falling alphas, as ``path`` sees it; each alpha starts from the last solution."""

    def __init__(self, problem: Problem, null: State, null_objective: float) -> None:
        """Start from the model with free coefficients alone; ``null_objective`` is the unit of the gap."""

    @staticmethod
    def needs(problem: Problem) -> str | None:
        """Say in one sentence what ``problem`` lacks for this solver, or return None where it takes it."""

    def advance(self, alpha: float, limits: Limits) -> Outcome:
        """Minimise at ``alpha`` from the last solution."""


@dataclass(frozen=True)
class Stage:
    """Tolerance on KKT over alpha; ``rough`` where a finer one follows before any certificate."""

    tol: float
    rough: bool = False


class Inner(Protocol):
    """What the outer loop asks of a solver that has begun with an alpha."""

    def refine(self, stage: Stage, max_steps: int, deadline: float) -> int:
        """Minimise on the working set to ``stage.tol``, evaluate what lies outside, and return the steps taken."""

    def extend(self, stage: Stage) -> bool:
        """Add what violates KKT to the working set; return whether ``refine`` has more to do at this stage."""

    def certify(self) -> Certificate:
        """Return the certificate over all features."""


def first_tolerance(tol: float, kkt_per_gap: float = KKT_PER_GAP) -> float:
    """Return the tolerance on KKT over alpha to begin with, for a relative duality gap ``tol``."""
    return min(max(kkt_per_gap * tol, SMALLEST), LARGEST)


def converge(inner: Inner, limits: Limits, tolerances: Sequence[float]) -> tuple[Certificate, Status, int]:
    """Run the outer loop; return the certificate, why it stopped, and the steps taken.

    Args:
        inner: the solver, with its working set.
        limits: gap, steps and time.
        tolerances: on KKT over alpha, falling; certificates are made from the last one on.
    """
    stages = [Stage(tol, rough=True) for tol in tolerances[:-1]] + [Stage(tolerances[-1])]
    n_iter = 0
    while True:
        stage = stages[0]
        n_iter += inner.refine(stage, limits.max_iter - n_iter, limits.deadline)
        late, spent = time.perf_counter() > limits.deadline, n_iter >= limits.max_iter
        if not (late or spent):
            if inner.extend(stage):
                continue
            if stage.rough:
                stages = stages[1:]
                continue
        certificate = inner.certify()
        if certificate.gap <= limits.tol or late or spent or stage.tol < EXHAUSTED:
            break
        stages = [Stage(TIGHTENING * stage.tol)]
    unfinished = Status.TIME if late else Status.ITERATIONS if spent else Status.PRECISION
    return certificate, Status.CONVERGED if certificate.gap <= limits.tol else unfinished, n_iter


def outcome_of(problem: Problem, state: State, certificate: Certificate, status: Status, n_iter: int) -> Outcome:
    """Return the :class:`Outcome` that says that ``state`` was reached."""
    support = np.flatnonzero(state.v.any(axis=1))
    data_term = float(problem.loss.value(state.eta, problem.y, problem.s))
    return Outcome(Model(support, state.v[support], state.b), certificate, status, n_iter, data_term)


def path_ratio(before: float, last: float, alpha: float) -> float:
    """Return how far to go on along the path at ``alpha``, in units of the stretch between the last two alphas.

    At most 1, and 0 where the three alphas do not fall.
    """
    return min((last - alpha) / (before - last), 1.0) if before > last > alpha else 0.0


def keep_signs(line: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return ``line`` where it has the sign of ``x``, and ``x`` elsewhere: an extrapolation changes no sign."""
    return np.where(line * x > 0, line, x)


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
        free=free_columns(problem),
        null_objective=null_objective,
    )


def full_gradient(problem: Problem, eta: np.ndarray) -> np.ndarray:
    """Return the gradient of the loss in all coefficients, ``(p, K)``: the pass over all data."""
    return _correlate(problem, problem.loss.gradient(eta, problem.y, problem.s))


def _correlate(problem: Problem, theta: np.ndarray) -> np.ndarray:
    return problem.design.correlate(problem.as_matrix(theta))


def free_columns(problem: Problem) -> np.ndarray | None:
    """Return the columns of the unpenalised coefficients, ``(n, q)``, or None."""
    k = problem.n_outputs
    free_groups = np.flatnonzero(problem.groups.weights == 0)
    features = np.unique(problem.groups.members(free_groups)[0] // k) if free_groups.size else free_groups
    parts = [problem.design.columns(features)] if features.size else []
    if problem.fit_intercept:
        parts.append(np.ones((problem.design.n, 1)))
    return np.column_stack(parts) if parts else None
