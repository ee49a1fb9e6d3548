"""Falling alphas one after another: rows are lost once that pays, and nobody notices."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import spred
from spred.linear.problem import make_problem
from spred.linear.solvers.outer import Limits, Model
from spred.linear.solvers.path_solver import PathSolver
from spred.linear.solvers.presolve import reduced


def data(n: int = 200, p: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p)) + 3.0
    return X, X @ rng.standard_normal(p) + rng.standard_normal(n)


def test_a_short_path_keeps_its_rows_and_a_long_one_loses_them_with_the_same_solutions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    X, y = data()
    at_once = spred.path(X, y, n_alphas=30)
    monkeypatch.setattr("spred.linear.solvers.presolve.AT_ONCE", 10)
    solver = PathSolver(make_problem(X, y, loss="squared"), Limits())
    assert solver.work.problem.design.n == 200
    outcomes = list(solver.along([(float(alpha), Limits()) for alpha in at_once.alphas]))
    assert solver.work.problem.design.n == 40
    for outcome, alpha, coef, objective in zip(
        outcomes, at_once.alphas, at_once.coefs, at_once.objectives, strict=True
    ):
        assert outcome.certificate.gap <= 1e-9, alpha
        assert outcome.certificate.primal == pytest.approx(objective, rel=1e-12)
        np.testing.assert_allclose(outcome.model.dense(40)[:, 0], coef, atol=1e-9)
    few = PathSolver(make_problem(X, y, loss="squared"), Limits())
    list(few.along([(0.9 * few.top, Limits()), (0.8 * few.top, Limits())]))
    assert few.work.problem.design.n == 200


@pytest.mark.parametrize(("apart", "status"), [(0.0, "CONVERGED"), (1e-3, "CONVERGED"), (1e-9, "PRECISION")])
def test_free_columns_nearly_dependent_are_solved_or_told(apart: float, status: str) -> None:
    """Coefficients that nearly cancel leave fewer digits: the status says where that is too few."""
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((100, 4)), rng.standard_normal(100)
    X[:, 1] = X[:, 0] + apart * rng.standard_normal(100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", spred.ConvergenceWarning)
        found = spred.solve(X, y, alpha=0.01, penalty_weights=np.array([0.0, 0.0, 1.0, 1.0]))
    assert found.status is spred.Status[status]
    assert (found.gap <= 1e-9) == (status == "CONVERGED")


def test_what_rows_taken_out_round_grows_with_the_coefficients() -> None:
    X, y = data()
    work = reduced(make_problem(X, y, loss="squared"))
    one, large = (Model(np.array([3]), np.array([[size]]), np.zeros(1)) for size in (1.0, 1e9))
    assert 0 < work.rounding(one, 0.5) <= 1e-14
    assert work.rounding(large, 0.5) == pytest.approx(1e9 * work.rounding(one, 0.5))
    assert reduced(make_problem(X[:40], y[:40], loss="squared")).rounding(one, 0.5) == 0.0


def test_columns_that_are_all_constant_give_the_null_model() -> None:
    y = np.random.default_rng(0).standard_normal(20)
    for X in (np.ones((20, 3)), np.full((20, 3), 0.1), np.zeros((20, 3))):
        path = spred.path(X, y, n_alphas=3)
        assert path.n_nonzero.tolist() == [0, 0, 0]
        np.testing.assert_allclose(path.intercepts, y.mean())
