"""The solver that takes every problem: its start, its extrapolation, and what it says when it has to stop."""

from __future__ import annotations

import time

import numpy as np
import pytest
from problems import PROBLEMS

from spred.linear.problem import Problem, make_problem
from spred.linear.results import Status
from spred.linear.solvers import newton
from spred.linear.solvers.newton import Newton, null_state
from spred.linear.solvers.outer import Limits
from spred.linear.solvers.presolve import reduced


def problem_of(name: str, **options: object) -> Problem:
    row = PROBLEMS[name]
    return reduced(make_problem(row.X, row.y, loss=row.loss, **options)).problem


def solver_of(problem: Problem) -> tuple[Newton, float]:
    null = null_state(problem, Limits())
    return Newton(problem, null, float(problem.loss.value(null.eta, problem.y, problem.s))), null.alpha


@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_it_needs_nothing(name: str) -> None:
    assert Newton.needs(problem_of(name)) is None


@pytest.mark.parametrize("name", ["logistic-tall", "poisson-tall", "multinomial-tall", "cox-wide", "huber-tall"])
def test_the_null_model_has_its_free_coefficients_at_the_optimum(name: str) -> None:
    weights = np.ones(PROBLEMS[name].X.shape[1])
    weights[2] = 0.0
    problem = problem_of(name, penalty_weights=weights)
    null = null_state(problem, Limits())
    assert np.abs(null.grad[2]).max() <= 1e-12
    assert not np.delete(null.v, 2, axis=0).any()
    theta = problem.as_matrix(problem.loss.gradient(null.eta, problem.y, problem.s))
    assert not problem.fit_intercept or np.abs(theta.sum(axis=0)).max() <= 1e-12
    np.testing.assert_allclose(problem.eta(null.v, null.b), null.eta, atol=1e-10)
    assert null.alpha == pytest.approx(np.linalg.norm(null.grad, axis=1)[weights > 0].max())


@pytest.mark.parametrize("name", ["logistic-wide", "huber-wide", "multinomial-wide"])
def test_extrapolation_saves_steps_and_changes_no_answer(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> tuple[int, np.ndarray]:
        solver, top = solver_of(problem_of(name))
        outcomes = [solver.advance(float(alpha), Limits()) for alpha in np.geomspace(top, 0.1 * top, 25)]
        assert all(outcome.status is Status.CONVERGED for outcome in outcomes)
        return sum(o.n_iter for o in outcomes), np.array([o.certificate.primal for o in outcomes])

    steps, objectives = run()
    monkeypatch.setattr(newton, "_extrapolated", lambda problem, alpha, start: start)
    more, same = run()
    np.testing.assert_allclose(objectives, same, rtol=1e-8)
    assert steps < more


def test_a_start_that_would_raise_the_objective_is_refused() -> None:
    """Rising alphas have no line to follow, and neither has a quadratic."""
    problem = problem_of("logistic-wide")
    solver, top = solver_of(problem)
    for ratio in (0.5, 0.3):
        solver.advance(ratio * top, Limits())
    start = solver.state
    assert newton._extrapolated(problem, 0.6 * top, start) is start
    ahead = newton._extrapolated(problem, 0.25 * top, start)
    assert newton._objective(problem, 0.25 * top, ahead) <= newton._objective(problem, 0.25 * top, start)
    assert (ahead.v * start.v >= 0).all()


def test_it_stops_by_steps_and_by_time_with_a_certificate() -> None:
    solver, top = solver_of(problem_of("multinomial-wide"))
    few = solver.advance(0.02 * top, Limits(1e-12, max_iter=2))
    assert (few.status, few.n_iter) == (Status.ITERATIONS, 2)
    assert few.certificate.gap > 1e-12
    late = solver.advance(0.01 * top, Limits(1e-12, deadline=time.perf_counter() - 1.0))
    assert late.status is Status.TIME
    assert np.isfinite(late.certificate.gap)


@pytest.mark.parametrize("name", ["multinomial-wide", "multinomial-tall"])
def test_factors_and_matrices_end_at_the_same_minimum(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A matrix is the slow, plain way; products in single precision must not cost a digit of the answer."""

    def objectives() -> np.ndarray:
        solver, top = solver_of(problem_of(name, penalty_weights=np.r_[0.0, np.ones(PROBLEMS[name].X.shape[1] - 1)]))
        outcomes = [solver.advance(float(alpha), Limits(tol=1e-10)) for alpha in np.geomspace(top, 0.05 * top, 8)]
        assert all(outcome.certificate.gap <= 1e-10 for outcome in outcomes)
        return np.array([outcome.certificate.primal for outcome in outcomes])

    monkeypatch.setattr(newton, "SMALL_MATRIX", 0)
    factors = objectives()
    monkeypatch.setattr(newton, "SMALL_MATRIX", 1e15)
    np.testing.assert_allclose(factors, objectives(), rtol=1e-10)


def test_directions_that_single_precision_cannot_find_are_left_to_a_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    """Free columns that separate the classes have no curvature in the end."""
    rng = np.random.default_rng(0)
    classes, level = rng.integers(0, 3, 26), rng.integers(0, 7, 26)
    X = np.hstack([rng.normal(size=(26, 5)), (level[:, None] == np.arange(1, 7)).astype(float)])
    weights = np.r_[np.ones(5), np.zeros(6)]
    problem = reduced(make_problem(X, classes, loss="multinomial", penalty_weights=weights)).problem
    monkeypatch.setattr(newton, "SMALL_MATRIX", 0)
    solver, top = solver_of(problem)
    assert solver.advance(0.3 * top, Limits(tol=1e-9)).status is Status.CONVERGED


@pytest.mark.parametrize("name", ["multinomial-tall", "logistic-tall", "cox-tall"])
def test_a_certificate_needs_no_second_pass_over_the_data(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = None if name.startswith("multi") else np.arange(PROBLEMS[name].X.shape[1]) // 2
    solver, top = solver_of(problem_of(name, feature_groups=groups))
    monkeypatch.setattr(newton, "CHEAP_PASS", 0)
    passes: list[int] = []
    plain = type(solver.problem.design).correlate

    def counted(design: object, theta: np.ndarray) -> np.ndarray:
        passes.append(1)
        return plain(design, theta)

    monkeypatch.setattr(type(solver.problem.design), "correlate", counted)
    rounds: list[int] = []
    refine = Newton.refine
    monkeypatch.setattr(Newton, "refine", lambda self, *given: rounds.append(1) or refine(self, *given))
    assert solver.advance(0.3 * top, Limits()).status is Status.CONVERGED
    assert len(passes) == len(rounds)
