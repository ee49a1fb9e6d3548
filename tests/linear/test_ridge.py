"""A ridge, ``l1_ratio = 0``: the smooth end of the elastic net, against scikit-learn and linear algebra."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import objective
from problems import PROBLEMS
from scipy import sparse
from sklearn.linear_model import LogisticRegression, Ridge

import spred
from spred.core.penalties import Penalty
from spred.errors import InputError

NAMES = sorted(PROBLEMS)


@pytest.mark.parametrize("alpha", [3.0, 0.05])
@pytest.mark.parametrize("name", ["squared-tall", "squared-wide", "squared-correlated", "squared-flawed"])
def test_a_squared_loss_is_scikit_learns_ridge(name: str, alpha: float) -> None:
    problem = PROBLEMS[name]
    solution = spred.solve(problem.X, problem.y, alpha=alpha, l1_ratio=0.0)
    model = Ridge(alpha=alpha * len(problem.y), solver="cholesky").fit(problem.X, problem.y)
    assert solution.status is spred.Status.CONVERGED
    assert solution.gap <= 1e-9
    np.testing.assert_allclose(solution.coef, model.coef_, atol=1e-7)
    assert solution.intercept == pytest.approx(model.intercept_, abs=1e-7)


@pytest.mark.parametrize("name", ["logistic-tall", "logistic-wide", "logistic-sparse", "multinomial-tall"])
def test_classes_are_scikit_learns_logistic_ridge(name: str) -> None:
    problem, alpha = PROBLEMS[name], 0.03
    solution = spred.solve(problem.X, problem.y, loss=problem.loss, alpha=alpha, l1_ratio=0.0)
    model = LogisticRegression(C=1.0 / (alpha * len(problem.y)), tol=1e-12, max_iter=10_000).fit(problem.X, problem.y)
    assert solution.gap <= 1e-9
    np.testing.assert_allclose(np.atleast_2d(solution.coef), model.coef_, atol=1e-4)


@pytest.mark.parametrize("alpha", [1.0, 1e-3])
@pytest.mark.parametrize("name", NAMES)
def test_every_loss_has_its_certificate_and_a_zero_gradient(name: str, alpha: float) -> None:
    problem = PROBLEMS[name]
    solution = spred.solve(problem.X, problem.y, loss=problem.loss, alpha=alpha, l1_ratio=0.0, row_sparse=False)
    assert solution.status is spred.Status.CONVERGED
    assert solution.gap <= 1e-9
    coef = np.asarray(solution.coef).T
    reached = objective(problem, Penalty(alpha, l1_ratio=0.0), coef, np.asarray(solution.intercept))
    assert reached == pytest.approx(solution.certificate.primal, rel=1e-9)
    eta = problem.X @ coef + solution.intercept
    gradient = problem.X.T @ problem.data_term.gradient(eta, problem.target, problem.weights) + alpha * coef
    assert np.abs(gradient).max() <= 1e-5 * alpha


def test_nothing_is_screened_away() -> None:
    """More features than join a working set at once, all of them in the solution."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((50, 700)), rng.standard_normal(50)
    solution = spred.solve(X, y, alpha=0.5, l1_ratio=0.0)
    centred = X - X.mean(axis=0)
    expected = centred.T @ np.linalg.solve(centred @ centred.T + 25.0 * np.eye(50), y - y.mean())
    np.testing.assert_allclose(solution.coef, expected, atol=1e-9)
    assert len(solution.support) == 700


def test_weights_groups_and_classes_in_contrasts_go_with_it() -> None:
    problem = PROBLEMS["multinomial-wide"]
    rows = spred.solve(problem.X, problem.y, loss="multinomial", alpha=0.1, l1_ratio=0.0)
    entries = spred.solve(problem.X, problem.y, loss="multinomial", alpha=0.1, l1_ratio=0.0, row_sparse=False)
    np.testing.assert_allclose(rows.coef, entries.coef, atol=1e-6)
    squared = PROBLEMS["squared-tall"]
    weights = np.array([0.0, 1.0, 2.0, 4.0])
    own = spred.solve(
        squared.X, squared.y, alpha=0.3, l1_ratio=0.0, feature_groups=np.arange(12) // 3, penalty_weights=weights
    )
    X, y = squared.X - squared.X.mean(axis=0), squared.y - squared.y.mean()
    expected = np.linalg.solve(X.T @ X / 60 + 0.3 * np.diag(np.repeat(weights, 3)), X.T @ y / 60)
    np.testing.assert_allclose(own.coef, expected, atol=1e-8)
    assert own.gap <= 1e-9


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_coefficients_may_be_bounded(loss: str) -> None:
    problem = PROBLEMS[f"{loss}-wide"]
    solution = spred.solve(problem.X, problem.y, loss=loss, alpha=0.1, l1_ratio=0.0, positive=True)
    assert solution.gap <= 1e-9
    assert solution.coef.min() == 0.0
    eta = problem.X @ solution.coef + solution.intercept
    slope = problem.X.T @ problem.data_term.gradient(eta, problem.target, problem.weights) + 0.1 * solution.coef
    assert np.abs(slope[solution.coef > 0]).max() <= 1e-7
    assert slope[solution.coef == 0].min() >= -1e-7


def test_a_sparse_matrix_and_standardised_columns_go_with_it() -> None:
    problem = PROBLEMS["logistic-sparse"]
    given = {"loss": "logistic", "alpha": 0.05, "l1_ratio": 0.0, "standardize": True}
    one, other = (spred.solve(X, problem.y, **given) for X in (problem.X, problem.X.toarray()))
    assert sparse.issparse(problem.X)
    np.testing.assert_allclose(one.coef, other.coef, atol=1e-8)


def test_there_is_no_largest_alpha_and_a_path_needs_a_grid() -> None:
    problem = PROBLEMS["logistic-tall"]
    assert spred.alpha_max(problem.X, problem.y, loss="logistic", l1_ratio=0.0) == np.inf
    with pytest.raises(InputError, match=r"l1_ratio is 0, a ridge, .*; give alphas"):
        spred.path(problem.X, problem.y, loss="logistic", l1_ratio=0.0)
    path = spred.path(problem.X, problem.y, loss="logistic", l1_ratio=0.0, alphas=np.geomspace(1.0, 1e-3, 7))
    assert path.gaps.max() <= 1e-9
    assert (path.n_nonzero == 10).all()
    assert (np.diff(np.linalg.norm(path.values, axis=1)) > 0).all()


def test_it_is_the_limit_of_the_elastic_net() -> None:
    problem = PROBLEMS["logistic-wide"]
    ridge, near = (
        spred.solve(problem.X, problem.y, loss="logistic", alpha=0.1, l1_ratio=ratio) for ratio in (0.0, 1e-7)
    )
    np.testing.assert_allclose(ridge.coef, near.coef, atol=1e-5)


def test_a_constant_target_has_the_null_model() -> None:
    solution = spred.solve(np.random.default_rng(0).normal(size=(10, 3)), np.full(10, 4.0), alpha=1.0, l1_ratio=0.0)
    assert not solution.coef.any()
    assert solution.intercept == pytest.approx(4.0)
    assert solution.status is spred.Status.CONVERGED
