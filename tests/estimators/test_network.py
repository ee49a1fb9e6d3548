"""The network estimators keep scikit-learn's contract, find what they should, and repeat to the bit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from problems import PROBLEMS
from sklearn.base import clone
from sklearn.utils.estimator_checks import (
    check_sample_weight_equivalence_on_dense_data,
    check_sample_weight_equivalence_on_sparse_data,
    parametrize_with_checks,
)

import spred
from spred.errors import InputError

QUICK = {"hidden": 2, "start": "sparse", "n_alphas": 2, "eps": 0.5, "cv": 2}
"""Two alphas are too few for a dense start to predict with: some checks ask for an accuracy."""


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # some checks have separable classes
@parametrize_with_checks([spred.NetworkRegressor(**QUICK), spred.NetworkClassifier(**QUICK)])
def test_scikit_learn_contract(estimator: object, check: object) -> None:
    check(estimator)  # every check asserts inside


def test_at_the_defaults_weights_are_repeats() -> None:
    """The checks of scikit-learn that say so; all others at the defaults too take a minute each estimator."""
    check_sample_weight_equivalence_on_sparse_data("NetworkRegressor", spred.NetworkRegressor())
    check_sample_weight_equivalence_on_dense_data("NetworkClassifier", spred.NetworkClassifier())


SHORT = {"hidden": 5, "n_alphas": 5, "eps": 0.1, "cv": 3}


def three_classes() -> tuple[np.ndarray, np.ndarray]:
    problem = PROBLEMS["multinomial-wide"]
    return problem.X, np.array(["kidney", "liver", "colon"])[problem.y.astype(int)]


def test_string_classes_probabilities_and_decisions_agree() -> None:
    X, y = three_classes()
    model = spred.NetworkClassifier(rule="min", **SHORT).fit(X, y)
    probabilities = model.predict_proba(X)
    assert model.classes_.tolist() == ["colon", "kidney", "liver"]
    assert model.decision_function(X).shape == (len(X), 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    np.testing.assert_array_equal(model.classes_[probabilities.argmax(axis=1)], model.predict(X))
    assert model.score(X, y) > 0.6


def test_gates_support_and_entry_agree() -> None:
    X, y = three_classes()
    model = spred.NetworkClassifier(rule="min", **SHORT).fit(X, y)
    np.testing.assert_array_equal(model.feature_importances_ > 0, model.get_support())
    assert (model.entry_alphas_[model.get_support()] >= model.alpha_).all()
    first = np.flatnonzero(model.path_.n_nonzero)[0]
    np.testing.assert_array_equal(
        np.flatnonzero(model.entry_alphas_ == model.path_.alphas[first]), model.path_.inputs[first]
    )
    assert model.transform(X).shape == (len(X), model.get_support().sum())
    assert model.kkt_ <= model.kkt_tol


def test_numbers_are_predicted_in_their_own_units() -> None:
    problem = PROBLEMS["squared-wide"]
    model = spred.NetworkRegressor(rule="min", **SHORT).fit(problem.X, problem.y)
    scaled = clone(model).fit(problem.X, 1000.0 * problem.y + 5e4)
    np.testing.assert_allclose(scaled.predict(problem.X), 1000.0 * model.predict(problem.X) + 5e4, rtol=1e-4)
    np.testing.assert_allclose(scaled.curve_.mean, 1e6 * model.curve_.mean, rtol=0.1)  # folds are solved roughly
    np.testing.assert_array_equal(scaled.get_support(), model.get_support())


def test_several_outputs_share_their_gates() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((80, 15))
    Y = np.column_stack([X[:, 2] + X[:, 5], 3.0 * X[:, 2] - X[:, 9]]) + 0.1 * rng.standard_normal((80, 2))
    model = spred.NetworkRegressor(rule="min", **SHORT).fit(X, Y)
    assert model.predict(X).shape == (80, 2)
    assert {2, 5, 9} <= set(model.get_support(indices=True))
    assert model.score(X, Y) > 0.8
    with pytest.raises(InputError, match="one column of y"):
        spred.NetworkRegressor(loss="huber", **SHORT).fit(X, Y)


@pytest.mark.parametrize("loss", ["huber", "poisson"])
def test_other_losses_of_numbers(loss: str) -> None:
    problem = PROBLEMS[f"{loss}-tall"]
    model = spred.NetworkRegressor(loss=loss, rule="min", **SHORT).fit(problem.X, problem.y)
    assert model.path_.converged
    assert model.curve_.mean.min() < model.curve_.mean[0]
    assert loss != "poisson" or model.predict(problem.X).min() > 0


def test_classes_can_be_balanced() -> None:
    problem = PROBLEMS["logistic-tall"]
    y = problem.y.astype(int)
    few = np.concatenate([np.flatnonzero(y == 0)[:8], np.flatnonzero(y == 1)])
    plain, balanced = (
        spred.NetworkClassifier(rule="min", class_weight=w, **SHORT).fit(problem.X[few], y[few])
        for w in (None, "balanced")
    )
    assert balanced.predict_proba(problem.X)[:, 0].mean() > plain.predict_proba(problem.X)[:, 0].mean()


def survival() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 20))
    risk = 1.5 * X[:, 3] - 1.5 * X[:, 7]
    return X, spred.survival_target(event=np.arange(150) % 4 > 0, time=rng.exponential(np.exp(-risk)))


def test_survival_times_are_ranked_by_the_inputs_that_matter() -> None:
    X, y = survival()
    model = spred.NetworkCox(hidden=5, start="sparse", n_alphas=8, cv=3, rule=2).fit(X, y)
    assert model.get_support(indices=True).tolist() == [3, 7]
    assert model.kkt_ <= model.kkt_tol
    assert model.mean_slopes_[0, 3] > 0 > model.mean_slopes_[0, 7]
    assert model.score(X, y) > 0.75
    linear = spred.SparseCox(alpha=model.alpha_ / np.sqrt(2)).fit(X, y)
    assert np.corrcoef(model.predict(X), linear.predict(X))[0, 1] > 0.95


def test_a_fold_of_survival_is_judged_by_what_it_adds() -> None:
    X, y = survival()
    train, test = np.arange(100), np.arange(100, 150)
    options = {"hidden": 3, "alphas": [0.3, 0.1]}
    model = spred.NetworkCox(cv=[(train, test)], **options).fit(X, y)
    inner = spred.NetworkCox(cv=2, kkt_tol=1e-2, rule=lambda curve: 1, **options).fit(X[train], y[train])
    risk = inner.predict(X)

    def total(rows: np.ndarray) -> float:
        """The negative log partial likelihood, written out."""
        times, events, own = y["time"][rows], y["event"][rows], risk[rows]
        at_risk = [np.log(np.exp(own[times >= t]).sum()) for t in times]
        return float(np.sum(events * (np.array(at_risk) - own)))

    added = 2.0 * (total(np.arange(150)) - total(train)) / len(test)
    assert model.curve_.mean[1] == pytest.approx(added, rel=0.01)


def test_few_events_and_names_are_no_trouble() -> None:
    X, y = survival()
    y["event"][5:] = False
    table = pd.DataFrame(X, columns=[f"gene {j}" for j in range(20)])
    model = spred.NetworkCox(hidden=2, n_alphas=3, eps=0.5, cv=3).fit(table, y)
    assert model.feature_names_in_.tolist()[:2] == ["gene 0", "gene 1"]
    with pytest.raises(InputError, match="use 'breslow' or 'efron'"):
        spred.NetworkCox(ties="exact").fit(X, y)


@pytest.mark.parametrize("constant", [1.0, 0.1, 1e9 + 0.1])
def test_constant_inputs_end_at_once_in_no_input(constant: float) -> None:
    rng = np.random.default_rng(0)
    X, y = np.full((40, 3), constant), rng.normal(size=40)
    for model in (spred.NetworkRegressor(cv=2), spred.NetworkClassifier(cv=2)):
        model.fit(X, y if isinstance(model, spred.NetworkRegressor) else y > 0)
        assert not model.get_support().any()
        assert model.n_iter_ == 1
    assert spred.NetworkRegressor(cv=2).fit(X, y).predict(X[:1])[0] == pytest.approx(y.mean())


@pytest.mark.parametrize("start", ["sparse", "dense"])
@pytest.mark.parametrize("loss", ["squared", "huber", "poisson"])
def test_a_constant_target_is_predicted(loss: str, start: str) -> None:
    X = np.random.default_rng(0).normal(size=(40, 3))
    model = spred.NetworkRegressor(loss=loss, start=start, cv=2).fit(X, np.full(40, 0.1))
    np.testing.assert_allclose(model.predict(X), 0.1)
    assert not model.get_support().any()


def test_rare_dummies_that_are_constant_in_a_training_part_are_no_trouble() -> None:
    rng = np.random.default_rng(0)
    X, y = np.zeros((40, 3)), rng.normal(size=40)
    X[[0, 1, 2], [0, 1, 2]] = 1.0
    folds = [(np.arange(20, 40), np.arange(20)), (np.arange(20), np.arange(20, 40))]
    model = spred.NetworkRegressor(hidden=3, n_alphas=3, cv=folds).fit(X, y)
    assert np.isfinite(model.curve_.folds).all()
    assert len(set(model.curve_.folds[:, 0])) == 1  # the null model of the second half, at every alpha


def test_a_class_without_weight_is_refused() -> None:
    X, y = three_classes()
    with pytest.raises(InputError, match="class 'liver' of y has no sample whose weight"):
        spred.NetworkClassifier(**SHORT).fit(X, y, sample_weight=(y != "liver").astype(float))
    with pytest.raises(InputError, match="class 'colon' of y has no sample whose weight"):
        spred.SparseClassifier(class_weight={"colon": 0.0}).fit(X, y)
