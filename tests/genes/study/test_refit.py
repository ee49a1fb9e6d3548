"""The short list: what the rule takes from a curve, and what the refit does to the coefficients."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

import spred
from spred.estimators import Curve
from spred.genes.study.refit import Refitted, short_index

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 40)) * RNG.uniform(0.5, 3.0, size=40)
NUMBER = X[:, 0] - X[:, 1] + 0.5 * X[:, 2] + RNG.normal(size=60)
LABEL = np.where(NUMBER > 0, "b", "a")


def curve(mean: list[float], n: list[int], index_1se: int) -> Curve:
    heights = np.array(mean)
    best = int(heights.argmin())
    return Curve(np.arange(len(n)), heights[:, None], heights, heights, np.array(n), best, index_1se, best)


@pytest.mark.parametrize(
    ("mean", "n", "index_1se", "expected"),
    [
        ([1.0, 0.8, 0.7, 0.6, 0.5], [0, 2, 5, 8, 10], 3, 2),  # at most half of 10
        ([1.0, 0.8, 0.9, 0.6, 0.5], [0, 2, 5, 8, 10], 3, 1),  # the best of those
        ([1.0, 0.8, 0.7, 0.6, 0.5], [0, 2, 5, 8, 10], 1, 1),  # one standard error is sparser
        ([0.5, 0.8, 0.9], [0, 2, 5], 0, 0),  # nothing helps: nothing is taken
        ([1.0, 0.5, 0.9], [0, 1, 5], 1, 1),  # one gene has no half
    ],
)
def test_the_short_rule(mean: list[float], n: list[int], index_1se: int, expected: int) -> None:
    assert short_index(curve(mean, n, index_1se)) == expected
    assert short_index(curve(mean, [m + 3 for m in n], index_1se), n_free=3) == expected


def test_the_list_has_at_most_half_the_features_of_the_best() -> None:
    best = spred.SparseClassifierCV(rule="min").fit(X, LABEL)
    short = Refitted(spred.SparseClassifierCV(), spred.SparseClassifier(l1_ratio=0.0), short=True).fit(X, LABEL)
    assert 0 < short.get_support().sum() <= best.get_support().sum() / 2
    assert short.alpha_ > best.alpha_
    assert short.curve_.index == np.flatnonzero(short.path_.alphas == short.alpha_)[0]


def test_the_refit_is_the_ridge_of_scikit_learn_on_the_chosen_columns() -> None:
    found = Refitted(spred.SparseClassifierCV(), spred.SparseClassifier(l1_ratio=0.0)).fit(X, LABEL)
    kept = np.flatnonzero(found.get_support())
    Z = (X[:, kept] - X[:, kept].mean(axis=0)) / X[:, kept].std(axis=0)
    ridge = LogisticRegression(C=1 / (60 * found.alpha_), tol=1e-10, max_iter=10_000).fit(Z, LABEL)
    np.testing.assert_allclose(found.coef_[:, kept] * X[:, kept].std(axis=0), ridge.coef_, atol=1e-4)
    np.testing.assert_array_equal(found.predict(X), ridge.predict(Z))
    np.testing.assert_allclose(found.predict_proba(X), ridge.predict_proba(Z), atol=1e-4)
    assert found.certificate_.gap < 1e-7


def test_numbers_and_survival_are_refitted_too() -> None:
    found = Refitted(spred.SparseRegressorCV(), spred.SparseRegressor(l1_ratio=0.0)).fit(X, NUMBER)
    kept = np.flatnonzero(found.get_support())
    Z = (X[:, kept] - X[:, kept].mean(axis=0)) / X[:, kept].std(axis=0)
    expected = Ridge(alpha=60 * found.alpha_, tol=1e-12).fit(Z, NUMBER)
    np.testing.assert_allclose(found.predict(X), expected.predict(Z), atol=1e-4)
    y = spred.survival_target(RNG.random(60) < 0.8, RNG.exponential(np.exp(-NUMBER)))
    risk = Refitted(spred.SparseCoxCV(), spred.SparseCox(l1_ratio=0.0)).fit(X, y)
    assert spred.estimators.concordance(y["event"], y["time"], risk.predict(X)) > 0.7


def test_without_the_refit_the_coefficients_are_those_of_the_path() -> None:
    plain = spred.SparseRegressorCV().fit(X, NUMBER)
    found = Refitted(spred.SparseRegressorCV(), spred.SparseRegressor(l1_ratio=0.0), refit=False).fit(X, NUMBER)
    np.testing.assert_array_equal(found.coef_[0], plain.coef_)
    np.testing.assert_array_equal(found.predict(X), plain.predict(X))


def test_the_shrinkage_is_undone_in_part() -> None:
    plain = spred.SparseRegressorCV().fit(X, NUMBER)
    found = Refitted(spred.SparseRegressorCV(), spred.SparseRegressor(l1_ratio=0.0)).fit(X, NUMBER)
    assert np.abs(found.coef_).sum() > np.abs(plain.coef_).sum()


def test_one_alpha_is_the_same_model_as_the_path_there() -> None:
    chosen = Refitted(spred.SparseClassifierCV(), spred.SparseClassifier(l1_ratio=0.0)).fit(X, LABEL)
    given = Refitted(spred.SparseClassifier(chosen.alpha_), spred.SparseClassifier(l1_ratio=0.0)).fit(X, LABEL)
    np.testing.assert_allclose(given.coef_, chosen.coef_, atol=1e-6)


def test_free_columns_stay_and_noise_gives_an_empty_list() -> None:
    weights = np.r_[np.ones(39), 0.0]
    noise = np.where(np.random.default_rng(5).random(60) < 0.5, "a", "b")
    found = Refitted(
        spred.SparseClassifierCV(penalty_weights=weights),
        spred.SparseClassifier(l1_ratio=0.0, penalty_weights=weights),
        short=True,
    ).fit(X, noise)
    assert found.get_support()[39]
    assert found.get_support().sum() <= 3
    empty = Refitted(spred.SparseClassifier(10.0), spred.SparseClassifier(l1_ratio=0.0)).fit(X, noise)
    assert not empty.get_support().any()
    assert len(set(empty.predict(X))) == 1
