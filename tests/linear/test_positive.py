"""Coefficients that must not be negative: against oracles, on every problem, with every other choice."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import fista, null_gradient, objective, scikit_learn
from problems import PROBLEMS, Problem

import spred
from spred.core.partition import Labels
from spred.core.penalties import Penalty, alpha_max
from spred.errors import InputError

NAMES = [name for name in sorted(PROBLEMS) if not name.startswith("multinomial")]


def penalty_for(problem: Problem, fraction: float, **options: object) -> Penalty:
    top = alpha_max(null_gradient(problem), Penalty(1.0, positive=True, **options))
    return Penalty(fraction * top, positive=True, **options)


def assert_optimal(problem: Problem, penalty: Penalty, solution: spred.Solution, reference: float) -> None:
    reached = objective(problem, penalty, solution.coef, np.asarray(solution.intercept))
    assert solution.status is spred.Status.CONVERGED
    assert solution.gap <= 1e-9
    assert solution.coef.min() >= 0
    assert reached == pytest.approx(solution.certificate.primal, rel=1e-10)
    assert reached <= reference * (1 + 1e-9)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.6], ids=["lasso", "elastic net"])
@pytest.mark.parametrize("name", NAMES)
def test_it_is_never_worse_than_fista(name: str, l1_ratio: float) -> None:
    problem = PROBLEMS[name]
    penalty = penalty_for(problem, 0.05, l1_ratio=l1_ratio)
    solution = spred.solve(
        problem.X, problem.y, loss=problem.loss, alpha=penalty.alpha, l1_ratio=l1_ratio, positive=True
    )
    assert_optimal(problem, penalty, solution, fista(problem, penalty, tol=1e-9).objective)
    assert len(solution.support) > 0


@pytest.mark.parametrize("name", ["squared-wide", "squared-correlated", "squared-sparse"])
def test_support_and_coefficients_agree_with_scikit_learn(name: str) -> None:
    problem = PROBLEMS[name]
    penalty = penalty_for(problem, 0.1)
    solution = spred.solve(problem.X, problem.y, alpha=penalty.alpha, positive=True)
    reference = scikit_learn(problem, penalty.alpha, positive=True)
    assert_optimal(problem, penalty, solution, reference.objective)
    np.testing.assert_allclose(solution.coef, reference.coef, atol=1e-6)


@pytest.mark.parametrize("name", ["squared-wide", "logistic-wide", "cox-wide"])
def test_groups_are_bounded_coordinate_by_coordinate(name: str) -> None:
    problem = PROBLEMS[name]
    p = problem.X.shape[1]
    groups = np.arange(p) % (p // 4)
    weights = np.sqrt(np.bincount(groups))
    penalty = penalty_for(problem, 0.1, weights=weights, partition=Labels(groups, p // 4))
    solution = spred.solve(
        problem.X, problem.y, loss=problem.loss, alpha=penalty.alpha, feature_groups=groups, positive=True
    )
    assert_optimal(problem, penalty, solution, fista(problem, penalty, tol=1e-9).objective)


def test_entries_of_several_classes_may_be_bounded() -> None:
    problem = PROBLEMS["multinomial-tall"]
    penalty = penalty_for(problem, 0.1)
    solution = spred.solve(
        problem.X, problem.y, loss="multinomial", alpha=penalty.alpha, row_sparse=False, positive=True
    )
    assert solution.gap <= 1e-9
    assert solution.coef.min() == 0
    best = fista(problem, penalty, tol=1e-9)
    assert objective(problem, penalty, solution.coef.T, solution.intercept) <= best.objective * (1 + 1e-9)


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_a_path_keeps_the_bound_and_some_features_have_none(loss: str) -> None:
    problem = PROBLEMS[f"{loss}-wide"]
    bounded = np.arange(problem.X.shape[1]) % 2 == 0
    path = spred.path(problem.X, problem.y, loss=loss, n_alphas=20, positive=bounded)
    assert path.converged
    assert path.n_nonzero[0] == 0 < path.n_nonzero[1]
    assert path.coefs[:, bounded].min() == 0
    assert path.coefs[:, bounded].max() > 0
    assert path.coefs[:, ~bounded].min() < 0 < path.coefs[:, ~bounded].max()


def test_a_bound_that_does_not_bind_changes_nothing() -> None:
    problem = PROBLEMS["squared-wide"]
    free = spred.solve(problem.X, problem.y, alpha=0.1)
    turned = problem.X * np.where(free.coef < 0, -1.0, 1.0)
    bound = spred.solve(turned, problem.y, alpha=0.1, positive=True)
    np.testing.assert_allclose(bound.coef, np.abs(free.coef), atol=1e-9)


def test_unpenalised_features_stay_free_of_the_bound() -> None:
    problem = PROBLEMS["squared-tall"]
    weights = np.r_[0.0, np.ones(problem.X.shape[1] - 1)]
    X = problem.X * np.where(spred.solve(problem.X, problem.y, alpha=0.01).coef > 0, -1.0, 1.0)
    solution = spred.solve(X, problem.y, alpha=0.01, positive=True, penalty_weights=weights)
    assert solution.coef[0] < 0
    assert solution.coef[1:].min() == 0
    assert solution.gap <= 1e-9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"positive": [True]}, "a boolean for each of the 12 features"),
        ({"positive": "yes"}, "a boolean for each of the 12 features"),
        ({"positive": np.ones(12, dtype=bool), "penalty_weights": np.r_[np.ones(11), 0.0]}, "feature 11, which is unp"),
        ({"positive": True, "loss": "multinomial", "y": np.arange(60) % 3}, "set row_sparse=False"),
    ],
)
def test_bounds_that_cannot_be_kept_get_one_sentence(options: dict, message: str) -> None:
    problem = PROBLEMS["squared-tall"]
    y = options.pop("y", problem.y)
    with pytest.raises(InputError, match=message):
        spred.solve(problem.X, y, alpha=0.1, **options)
