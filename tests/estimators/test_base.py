"""What all estimators share: targets of every kind, names, offsets, class weights, and fits that take data alone."""

from __future__ import annotations

import inspect

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from problems import PROBLEMS
from scipy import sparse
from sklearn import config_context
from sklearn.base import BaseEstimator
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import spred
from spred.errors import InputError
from spred.estimators.base import weighted_median

QUICK = {"n_alphas": 10, "eps": 0.05, "cv": 3}


def three_classes() -> tuple[np.ndarray, np.ndarray]:
    problem = PROBLEMS["multinomial-wide"]
    return problem.X, np.array(["kidney", "liver", "colon"])[problem.y.astype(int)]


def test_string_classes_probabilities_and_decisions_agree() -> None:
    X, y = three_classes()
    model = spred.SparseClassifier(alpha=0.05).fit(X, y)
    probabilities = model.predict_proba(X)
    assert model.classes_.tolist() == ["colon", "kidney", "liver"]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    np.testing.assert_array_equal(model.classes_[probabilities.argmax(axis=1)], model.predict(X))
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), probabilities)
    np.testing.assert_array_equal(model.get_support(), model.coef_.any(axis=0))
    np.testing.assert_allclose(model.coef_.sum(axis=0), 0.0, atol=1e-7)
    assert model.intercept_.sum() == pytest.approx(0.0, abs=1e-12)


def test_two_classes_have_one_row() -> None:
    problem = PROBLEMS["logistic-wide"]
    model = spred.SparseClassifier(alpha=0.05).fit(problem.X, np.where(problem.y > 0, "yes", "no"))
    assert model.coef_.shape == (1, problem.X.shape[1])
    np.testing.assert_array_equal(model.predict(problem.X) == "yes", model.decision_function(problem.X) > 0)


def test_balanced_classes_weigh_the_same() -> None:
    problem = PROBLEMS["logistic-tall"]
    y = problem.y.astype(int)
    few = np.concatenate([np.flatnonzero(y == 0)[:6], np.flatnonzero(y == 1)])
    X, y = problem.X[few], y[few]
    balanced = spred.SparseClassifier(alpha=0.05, class_weight="balanced").fit(X, y)
    by_hand = spred.SparseClassifier(alpha=0.05).fit(X, y, sample_weight=(len(y) / 2 / np.bincount(y))[y])
    np.testing.assert_allclose(balanced.coef_, by_hand.coef_, atol=1e-9)
    plain = spred.SparseClassifier(alpha=0.05).fit(X, y)
    assert not np.allclose(balanced.coef_, plain.coef_, atol=1e-3)


def test_names_go_in_and_come_out() -> None:
    problem = PROBLEMS["squared-tall"]
    names = [f"gene {j}" for j in range(problem.X.shape[1])]
    table = pd.DataFrame(problem.X, columns=names)
    model = spred.SparseRegressor(alpha=0.3).set_output(transform="pandas").fit(table, problem.y)
    chosen = model.transform(table)
    assert chosen.columns.tolist() == [n for n, used in zip(names, model.get_support(), strict=True) if used]
    assert 0 < chosen.shape[1] < len(names)
    table.iloc[3, 2] = np.nan
    with pytest.raises(InputError, match="'gene 2'"):
        model.fit(table, problem.y)


def test_single_precision_is_kept_and_predicts_the_same() -> None:
    problem = PROBLEMS["squared-wide"]
    X = problem.X.astype(np.float32)
    single, double = (spred.SparseRegressor(alpha=0.1).fit(x, problem.y) for x in (X, X.astype(np.float64)))
    assert single.coef_.dtype == np.float64
    np.testing.assert_allclose(single.coef_, double.coef_, atol=1e-9)
    np.testing.assert_allclose(single.predict(X), double.predict(X.astype(np.float64)), atol=1e-9)


def test_huber_follows_the_units_of_y_and_not_its_outliers() -> None:
    problem = PROBLEMS["huber-tall"]
    model = spred.SparseRegressor(alpha=0.1, loss="huber").fit(problem.X, problem.y)
    scaled = spred.SparseRegressor(alpha=100.0, loss="huber").fit(problem.X, 1000.0 * problem.y)
    assert scaled.delta_ == pytest.approx(1000.0 * model.delta_)
    np.testing.assert_allclose(scaled.coef_, 1000.0 * model.coef_, rtol=1e-5, atol=1e-6)
    worse = problem.y.copy()
    worse[np.argmax(worse)] *= 1e6
    np.testing.assert_allclose(
        spred.SparseRegressor(alpha=0.1, loss="huber").fit(problem.X, worse).coef_, model.coef_, atol=1e-6
    )
    assert spred.SparseRegressor(loss="huber", delta=0.5).fit(problem.X, problem.y).delta_ == 0.5


def test_huber_takes_targets_that_are_mostly_equal() -> None:
    y = np.r_[np.zeros(50), np.arange(10.0)]
    model = spred.SparseRegressor(loss="huber").fit(PROBLEMS["huber-tall"].X, y)
    assert model.delta_ == pytest.approx(1.345 * y.std())


def test_poisson_predicts_expected_counts() -> None:
    problem = PROBLEMS["poisson-tall"]
    model = spred.SparseRegressorCV(loss="poisson", rule="min", **QUICK).fit(problem.X, problem.y)
    predicted = model.predict(problem.X)
    assert predicted.min() > 0
    assert predicted.mean() == pytest.approx(problem.y.mean())  # the score equation of the intercept
    assert model.curve_.mean[model.curve_.index] < model.curve_.mean[0]
    with pytest.raises(InputError, match="counts must not be negative"):
        spred.SparseRegressor(loss="poisson").fit(problem.X, -problem.y)


def test_an_unknown_loss_names_the_nearest() -> None:
    problem = PROBLEMS["squared-tall"]
    with pytest.raises(InputError, match="did you mean 'huber'"):
        spred.SparseRegressor(loss="hubber").fit(problem.X, problem.y)


def test_sparse_input_is_predicted_as_dense() -> None:
    problem = PROBLEMS["logistic-sparse"]
    model = spred.SparseClassifier(alpha=0.02).fit(problem.X, problem.y)
    np.testing.assert_allclose(
        model.predict_proba(sparse.csr_array(problem.X)), model.predict_proba(problem.X.toarray())
    )


def test_one_class_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"one class only \('tumour'\)"):
        spred.SparseClassifier().fit(np.eye(3), ["tumour"] * 3)


@pytest.mark.parametrize("loss", ["squared", "huber", "poisson"])
def test_an_offset_is_known_in_fit_and_predict(loss: str) -> None:
    """What a column with a known coefficient adds is taken out of the fit and put back into the prediction."""
    problem = PROBLEMS["poisson-tall"]
    y = problem.y if loss == "poisson" else problem.y + 0.1 * np.arange(len(problem.y)) % 7
    known = np.linspace(-1.0, 1.0, len(y))
    plain, with_offset = (spred.SparseRegressor(0.02, loss=loss, delta=1.0) for _ in range(2))
    if loss == "poisson":
        with_offset.fit(problem.X, y, offset=known)
        assert with_offset.predict(problem.X, offset=known).sum() == pytest.approx(y.sum())
        np.testing.assert_allclose(
            with_offset.predict(problem.X, offset=known), with_offset.predict(problem.X) * np.exp(known)
        )
        return
    plain.fit(problem.X, y)
    with_offset.fit(problem.X, y + known, offset=known)
    np.testing.assert_allclose(with_offset.coef_, plain.coef_, atol=1e-8)
    np.testing.assert_allclose(with_offset.predict(problem.X, offset=known), plain.predict(problem.X) + known)


def test_hubers_transition_is_of_what_the_offset_leaves() -> None:
    problem = PROBLEMS["huber-tall"]
    known = 100.0 * np.arange(len(problem.y))
    moved = spred.SparseRegressor(loss="huber").fit(problem.X, problem.y + known, offset=known)
    assert moved.delta_ == pytest.approx(spred.SparseRegressor(loss="huber").fit(problem.X, problem.y).delta_)


def test_an_offset_of_two_classes_moves_the_decision() -> None:
    problem = PROBLEMS["logistic-tall"]
    known = np.linspace(-2.0, 2.0, len(problem.y))
    model = spred.SparseClassifier(0.02).fit(problem.X, problem.y, offset=known)
    eta = model.decision_function(problem.X, offset=known)
    np.testing.assert_allclose(eta, model.decision_function(problem.X) + known)
    np.testing.assert_array_equal(model.predict(problem.X, offset=known), (eta > 0).astype(float))
    np.testing.assert_allclose(np.exp(model.predict_log_proba(problem.X, offset=known))[:, 1], 1 / (1 + np.exp(-eta)))
    assert model.predict_proba(problem.X, offset=known)[:, 1].mean() == pytest.approx(problem.y.mean())
    X, y = three_classes()
    with pytest.raises(InputError, match="one linear predictor"):
        spred.SparseClassifier().fit(X, y).predict(X, offset=np.zeros(len(y)))


@pytest.mark.parametrize("weight", ["balancd", {0.0: 2.0, 7.0: 1.0}])
def test_class_weights_that_do_not_fit_are_refused(weight: str | dict) -> None:
    problem = PROBLEMS["logistic-tall"]
    with pytest.raises(InputError, match="class_weight does not fit"):
        spred.SparseClassifier(class_weight=weight).fit(problem.X, problem.y)


# --- data alone go into fit ---------------------------------------------------------------------------------

ESTIMATORS = [
    spred.SparseRegressor(),
    spred.SparseClassifier(),
    spred.SparseCox(),
    spred.SparseRegressorCV(),
    spred.SparseClassifierCV(),
    spred.SparseCoxCV(),
    spred.NetworkRegressor(),
    spred.NetworkClassifier(),
    spred.NetworkCox(),
    spred.StabilitySelection(spred.SparseRegressor()),
]

METADATA = {"sample_weight", "groups", "offset"}
"""What belongs to a sample, and can be routed to where it is wanted."""


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda one: type(one).__name__)
def test_routing_sees_nothing_but_what_belongs_to_samples(estimator: BaseEstimator) -> None:
    with config_context(enable_metadata_routing=True):
        requests = estimator.get_metadata_routing()._serialize()
    assert {name for request in requests.values() for name in request} <= METADATA
    assert set(requests["fit"])
    given = set(inspect.signature(estimator.fit).parameters) - {"X", "y"}
    assert given == set(requests["fit"])


def test_groups_are_routed_to_the_search_inside() -> None:
    """Four copies of every sample: only whole groups keep them out of the test parts of the search."""
    rng = np.random.default_rng(0)
    X, y = np.tile(rng.standard_normal((15, 30)), (4, 1)), np.tile(rng.standard_normal(15), 4)
    groups = np.tile(np.arange(15), 4)
    with config_context(enable_metadata_routing=True):
        model = spred.SparseRegressorCV(rule="min", **QUICK).set_fit_request(groups=True)
        found = cross_validate(
            make_pipeline(StandardScaler(), model),
            X,
            y,
            cv=GroupKFold(3),
            params={"groups": groups},
            return_estimator=True,
        )
    train = next(GroupKFold(3).split(X, y, groups))[0]
    alone = spred.SparseRegressorCV(rule="min", **QUICK).fit(
        StandardScaler().fit_transform(X[train]), y[train], groups=groups[train]
    )
    np.testing.assert_array_equal(found["estimator"][0][-1].curve_.folds, alone.curve_.folds)


def counts(n: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts whose exposures say most of what there is to say."""
    rng = np.random.default_rng(0)
    X, exposure = rng.normal(size=(n, 4)), rng.uniform(0.1, 50.0, size=n)
    return X, rng.poisson(exposure * np.exp(0.3 * X[:, 0])), np.log(exposure)


def test_a_score_is_that_of_predictions_with_offset_and_weights() -> None:
    X, y, known = counts()
    weight = np.arange(60) % 3.0
    model = spred.SparseRegressor(loss="poisson").fit(X, y, offset=known)
    expected = r2_score(y, model.predict(X, offset=known), sample_weight=weight)
    assert model.score(X, y, sample_weight=weight, offset=known) == pytest.approx(expected)
    assert model.score(X, y, sample_weight=2.0, offset=known) == pytest.approx(model.score(X, y, offset=known))
    classes = spred.SparseClassifier().fit(X, y > 20, offset=known)
    right = classes.predict(X, offset=known) == (y > 20)
    assert classes.score(X, y > 20, sample_weight=weight, offset=known) == pytest.approx(right @ weight / weight.sum())


def test_exposures_are_routed_through_a_grid_search() -> None:
    X, y, known = counts()
    with config_context(enable_metadata_routing=True):
        model = spred.SparseRegressor(loss="poisson").set_fit_request(offset=True).set_score_request(offset=True)
        search = GridSearchCV(make_pipeline(StandardScaler(), model), {"sparseregressor__alpha": [0.01, 10.0]}, cv=3)
        search.fit(X, y, offset=known)
    by_hand = []
    for train, test in KFold(3).split(X):
        scaler = StandardScaler().fit(X[train])
        one = spred.SparseRegressor(0.01, loss="poisson").fit(scaler.transform(X[train]), y[train], offset=known[train])
        by_hand.append(one.score(scaler.transform(X[test]), y[test], offset=known[test]))
    assert search.best_params_ == {"sparseregressor__alpha": 0.01}
    assert search.best_score_ == pytest.approx(np.mean(by_hand))
    assert search.best_score_ > 0.7


@given(seed=st.integers(0, 1000))
def test_a_median_of_weights_is_that_of_repeats(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values, times = rng.integers(0, 5, size=8).astype(float), rng.integers(0, 4, size=8)
    times[0] += 1
    assert weighted_median(values, times.astype(float)) == np.median(np.repeat(values, times))


def test_hubers_transition_is_that_of_repeats() -> None:
    problem = PROBLEMS["huber-tall"]
    times = np.arange(len(problem.y)) % 4
    weighted = spred.SparseRegressor(loss="huber").fit(problem.X, problem.y, sample_weight=times)
    repeated = spred.SparseRegressor(loss="huber").fit(np.repeat(problem.X, times, axis=0), np.repeat(problem.y, times))
    assert weighted.delta_ == pytest.approx(repeated.delta_)
