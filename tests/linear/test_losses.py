"""What is particular to a loss in the engine: peers, invariances, offsets, weights, strata, bad fits."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import objective, skglm
from problems import PROBLEMS, Problem

import spred
from spred.core.losses import get_loss, huber
from spred.core.penalties import Penalty
from spred.core.targets import survival_target
from spred.errors import InputError
from spred.linear.path import path_of, solve_of
from spred.linear.problem import make_problem
from spred.linear.solvers.outer import Limits

COX = ["cox-tall", "cox-wide", "cox-efron-tall"]


def without_strata(problem: Problem) -> Problem:
    """skglm has none."""
    if problem.loss.startswith("cox"):
        return Problem(problem.name, problem.X, survival_target(problem.y["event"], problem.y["time"]), problem.loss)
    return problem


def test_ties_as_efron_are_never_worse_than_skglm() -> None:
    """The other losses are compared with CVXPY, in ``test_differential.py``."""
    pytest.importorskip("skglm")
    problem = without_strata(PROBLEMS["cox-efron-tall"])
    ours = make_problem(problem.X, problem.y, loss=problem.loss, fit_intercept=False)
    alpha = 0.2 * path_of(ours, n_alphas=1).alphas[0]
    solution = solve_of(ours, alpha, Limits())
    theirs = skglm(problem, alpha)
    assert solution.gap <= 1e-9
    assert objective(problem, Penalty(alpha), solution.coef, np.zeros(())) <= theirs.objective * (1 + 1e-9)
    np.testing.assert_allclose(solution.coef, theirs.coef, atol=1e-4)


@pytest.mark.parametrize("name", COX)
def test_only_the_order_of_times_matters(name: str) -> None:
    problem = PROBLEMS[name]
    later = problem.y.copy()
    later["time"] = np.log1p(problem.y["time"]) * 7.0
    one, two = (spred.solve(problem.X, y, loss=problem.loss, alpha=0.05) for y in (problem.y, later))
    np.testing.assert_array_equal(one.coef, two.coef)


@pytest.mark.parametrize("name", COX)
def test_cox_has_no_intercept_and_ignores_the_columns_means(name: str) -> None:
    problem = PROBLEMS[name]
    one, two = (spred.solve(X, problem.y, loss=problem.loss, alpha=0.05) for X in (problem.X, problem.X + 3.0))
    assert one.intercept == two.intercept == 0.0
    np.testing.assert_allclose(one.coef, two.coef, atol=1e-8)


def test_strata_are_compared_within() -> None:
    """Adding a number to all times of a stratum changes nothing; forgetting the strata does."""
    problem = PROBLEMS["cox-tall"]
    moved = problem.y.copy()
    moved["time"] += 100.0 * problem.y["stratum"]
    pooled = survival_target(problem.y["event"], problem.y["time"])
    one, two, three = (spred.solve(problem.X, y, loss="cox", alpha=0.02).coef for y in (problem.y, moved, pooled))
    np.testing.assert_array_equal(one, two)
    assert not np.allclose(one, three, atol=1e-3)


def test_a_sample_weight_of_two_is_the_row_twice_for_new_losses() -> None:
    for name in ("huber-tall", "poisson-tall", "cox-tall"):
        problem = PROBLEMS[name]
        times = np.arange(len(problem.y)) % 3
        repeated = np.repeat(np.arange(len(problem.y)), times)
        weighted = spred.solve(problem.X, problem.y, loss=problem.loss, alpha=0.03, sample_weight=times)
        doubled = spred.solve(problem.X[repeated], problem.y[repeated], loss=problem.loss, alpha=0.03)
        np.testing.assert_allclose(weighted.coef, doubled.coef, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("name", ["poisson-tall", "cox-wide", "huber-tall"])
def test_a_free_feature_is_fitted_at_any_alpha(name: str) -> None:
    problem = PROBLEMS[name]
    weights = np.ones(problem.X.shape[1])
    weights[3] = 0.0
    path = spred.path(problem.X, problem.y, loss=problem.loss, n_alphas=4, penalty_weights=weights)
    assert path.n_nonzero[0] == 1
    assert path.coefs[0, 3] != 0
    assert path.gaps.max() <= 1e-9


@pytest.mark.parametrize("name", ["squared-tall", "huber-tall", "logistic-tall", "poisson-tall", "cox-wide"])
def test_an_offset_is_a_feature_whose_coefficient_is_known(name: str) -> None:
    """Take one coefficient of a solution as known: the others stay what they were."""
    problem = PROBLEMS[name]
    alpha = 0.02
    whole = solve_of(make_problem(problem.X, problem.y, loss=problem.loss), alpha, Limits(1e-13))
    column = int(np.argmax(np.abs(whole.coef)))
    others = np.arange(len(whole.coef)) != column
    offset = problem.X[:, column] * whole.coef[column]
    rest = make_problem(problem.X[:, others], problem.y, loss=problem.loss, offset=offset)
    solution = solve_of(rest, alpha, Limits(1e-13))
    assert solution.gap <= 1e-9
    np.testing.assert_allclose(solution.coef, whole.coef[others], atol=1e-6)
    assert solution.intercept == pytest.approx(whole.intercept, abs=1e-6)


@pytest.mark.parametrize(("offset", "message"), [([1.0], "offset has shape"), ([np.nan] * 60, "offset has NaN")])
def test_a_bad_offset_gets_one_sentence(offset: list, message: str) -> None:
    problem = PROBLEMS["squared-tall"]
    with pytest.raises(InputError, match=message):
        make_problem(problem.X, problem.y, loss="squared", offset=offset)


def test_one_outlier_moves_huber_no_further_than_any_other() -> None:
    problem = PROBLEMS["squared-tall"]
    far, farther = problem.y.copy(), problem.y.copy()
    far[0], farther[0] = 1e3, 1e9
    one, two = (spred.solve(problem.X, y, loss="huber", alpha=0.05).coef for y in (far, farther))
    np.testing.assert_allclose(one, two, atol=1e-6)


def test_residuals_a_thousand_transitions_away_are_no_trouble() -> None:
    """Most samples lie where Huber's loss is straight, and the way to the minimum is long and almost level."""
    rng = np.random.default_rng(95)
    X = rng.standard_normal((32, 43))
    y = 0.2 * X[:, 0] + 30.0 * rng.standard_t(1.0, size=32)
    path = spred.path(X, y, loss="huber", n_alphas=20, eps=1e-2)
    assert path.converged
    assert path.gaps.max() <= 1e-9


def test_a_loss_may_be_given_as_a_record() -> None:
    """Huber with a far transition is least squares."""
    problem = PROBLEMS["squared-tall"]
    wide = solve_of(make_problem(problem.X, problem.y, loss=huber(1e3)), 0.05, Limits())
    squared = spred.solve(problem.X, problem.y, alpha=0.05)
    np.testing.assert_allclose(wide.coef, squared.coef, atol=1e-6)


def test_groups_and_a_ridge_work_with_cox() -> None:
    problem = PROBLEMS["cox-wide"]
    groups = np.arange(80) // 4
    path = spred.path(problem.X, problem.y, loss="cox", feature_groups=groups, l1_ratio=0.7, n_alphas=10)
    assert path.converged
    assert path.gaps.max() <= 1e-9
    used = path.coefs[-1] != 0
    assert all(len(set(used[groups == g])) == 1 for g in range(20))


def test_perfectly_ordered_times_are_no_trouble() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 5))
    y = survival_target(np.ones(30, dtype=bool), X[:, 0].max() - X[:, 0])
    path = spred.path(X, y, loss="cox", n_alphas=30, eps=1e-3)
    assert path.gaps.max() <= 1e-9
    assert path.deviance_explained[-1] > 0.9


def test_large_counts_do_not_overflow() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 5))
    y = rng.poisson(np.exp(8.0 + 2.0 * X[:, 0])).astype(float)
    with np.errstate(over="raise", invalid="raise"):
        path = spred.path(X, y, loss="poisson", n_alphas=20, eps=1e-3)
    assert path.gaps.max() <= 1e-9
    assert get_loss("poisson").mean(np.array([1e4])) < np.inf


def test_probabilities_that_vanish_keep_their_certificate() -> None:
    """Classes that a column separates: a projected dual point has probabilities of 0 less rounding."""
    X = 3 * np.random.RandomState(0).uniform(size=(20, 3))
    path = spred.path(X, X[:, 0].astype(int), loss="multinomial", standardize=True, n_alphas=10)
    assert path.gaps.max() <= 1e-9
    assert path.kkts.max() <= 1e-7
