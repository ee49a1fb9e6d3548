"""The estimators keep scikit-learn's contract and the engine's exactness."""

from __future__ import annotations

import numpy as np
import pytest
from problems import PROBLEMS
from sklearn.linear_model import Lasso
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import spred

QUICK = {"n_alphas": 10, "eps": 0.05, "cv": 3}
ALL = [
    spred.SparseRegressor(),
    spred.SparseRegressor(loss="huber"),
    spred.SparseRegressor(loss="poisson"),
    spred.SparseClassifier(),
    spred.SparseRegressorCV(**QUICK),
    spred.SparseClassifierCV(**QUICK),
]


@pytest.mark.filterwarnings("ignore::spred.errors.ConvergenceWarning")  # classes that a check separates by design
@parametrize_with_checks(ALL)
def test_scikit_learn_contract(estimator: object, check: object) -> None:
    check(estimator)  # every check asserts inside


def test_the_regressor_is_the_lasso_in_original_units() -> None:
    problem = PROBLEMS["squared-wide"]
    X = problem.X * np.linspace(1, 50, problem.X.shape[1]) + 10.0
    ours = spred.SparseRegressor(alpha=0.1).fit(X, problem.y)
    theirs = make_pipeline(StandardScaler(), Lasso(alpha=0.1, tol=1e-14, max_iter=100_000)).fit(X, problem.y)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), atol=1e-7)
    np.testing.assert_array_equal(ours.get_support(), theirs[-1].coef_ != 0)
    assert ours.certificate_.gap <= 1e-9


def test_feature_groups_and_free_features_reach_the_engine() -> None:
    problem = PROBLEMS["squared-wide"]
    groups = np.arange(problem.X.shape[1]) // 3
    grouped = spred.SparseRegressor(alpha=0.1, feature_groups=groups).fit(problem.X, problem.y)
    assert all(len(set(grouped.get_support()[groups == g])) == 1 for g in np.unique(groups))
    free = np.r_[0.0, np.ones(problem.X.shape[1] - 1)]
    huge = spred.SparseRegressor(alpha=1e6, penalty_weights=free).fit(problem.X, problem.y)
    assert huge.get_support(indices=True).tolist() == [0]


# --- more than L1 -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cv", [False, True])
def test_coefficients_are_kept_from_being_negative(cv: bool) -> None:
    problem = PROBLEMS["squared-wide"]
    model = spred.SparseRegressorCV(positive=True, rule="min", **QUICK) if cv else spred.SparseRegressor(positive=True)
    model.fit(problem.X, problem.y)
    assert model.coef_.min() == 0 < model.coef_.max()
    assert model.certificate_.gap <= 1e-9
    theirs = make_pipeline(
        StandardScaler(), Lasso(model.alpha_ if cv else 0.01, positive=True, tol=1e-13, max_iter=100_000)
    ).fit(problem.X, problem.y)
    np.testing.assert_allclose(model.predict(problem.X), theirs.predict(problem.X), atol=1e-5)


def test_a_sparse_group_has_zeros_inside() -> None:
    problem = PROBLEMS["logistic-wide"]
    groups = np.arange(problem.X.shape[1]) // 5
    given = {"alpha": 0.03, "feature_groups": groups}
    sparse_groups = spred.SparseClassifier(within_ratio=0.5, **given).fit(problem.X, problem.y)
    dense_groups = spred.SparseClassifier(**given).fit(problem.X, problem.y)
    shares = [model.get_support().reshape(-1, 5).mean(axis=1) for model in (sparse_groups, dense_groups)]
    assert ((shares[0] > 0) & (shares[0] < 1)).any()
    assert set(shares[1]) == {0.0, 1.0}
    assert sparse_groups.certificate_.gap <= 1e-9
