"""The honest score: nothing that is chosen has seen the fold it is judged on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from problems import PROBLEMS
from scipy import sparse, stats
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import balanced_accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import spred
from spred.errors import InputError
from spred.estimators.nested import corrected_interval
from spred.runtime.tasks import tracked

QUICK = {"n_alphas": 10, "eps": 0.05, "cv": 3}


class Witness(ClassifierMixin, BaseEstimator):
    """Remembers the rows and groups it was fitted on."""

    def fit(self, X: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None) -> Witness:
        self.rows_ = set(X[:, 0])
        self.groups_ = None if groups is None else set(groups)
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        assert not self.rows_ & set(X[:, 0])
        return np.full(len(X), self.classes_[0])


def test_the_estimator_never_sees_the_test_part() -> None:
    X = np.arange(40.0)[:, None]
    y = np.arange(40) % 2
    groups = np.arange(40) // 2
    outcome = spred.nested_cv(Witness(), X, y, groups=groups, cv=4)
    assert sorted(np.concatenate([fold.test for fold in outcome.folds])) == list(range(40))
    for fold in outcome.folds:
        assert fold.estimator.rows_ == set(X[fold.train, 0])
        assert fold.estimator.groups_ == set(groups[fold.train])
        assert not fold.estimator.groups_ & set(groups[fold.test])


def test_noise_scores_at_chance() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 400)), np.arange(60) % 2
    outcome = spred.nested_cv(spred.SparseClassifierCV(rule="min", **QUICK), X, y)
    assert 0.3 <= outcome.score(balanced_accuracy_score).mean() <= 0.7


def test_a_signal_is_found_through_a_pipeline_with_groups() -> None:
    problem = PROBLEMS["squared-tall"]
    table = pd.DataFrame(problem.X)
    pipeline = make_pipeline(FunctionTransformer(), spred.SparseRegressorCV(**QUICK))
    done = []
    with tracked(on_done=lambda *step: done.append(step)):
        outcome = spred.nested_cv(pipeline, table, problem.y, groups=np.arange(len(problem.y)) // 2, cv=3)
    assert done == [(1, 3), (2, 3), (3, 3)]  # of outer folds; the searches inside are not counted
    assert outcome.score(r2_score).mean() > 0.5
    assert outcome.folds[0].probabilities is None


def test_parallel_folds_are_the_same() -> None:
    problem = PROBLEMS["logistic-tall"]
    model = spred.SparseClassifierCV(**QUICK)
    one = spred.nested_cv(model, problem.X, problem.y, cv=3)
    two = spred.nested_cv(model, problem.X, problem.y, cv=3, n_jobs=2)
    for a, b in zip(one.folds, two.folds, strict=True):
        np.testing.assert_array_equal(a.predicted, b.predicted)
        np.testing.assert_allclose(a.probabilities, b.probabilities, atol=1e-6)
        assert a.probabilities == pytest.approx(b.probabilities)


def test_repeats_make_the_folds_anew() -> None:
    problem = PROBLEMS["logistic-tall"]
    model = spred.SparseClassifierCV(**QUICK)
    outcome = spred.nested_cv(model, problem.X, problem.y, cv=3, repeats=2)
    assert [fold.repeat for fold in outcome.folds] == [0, 0, 0, 1, 1, 1]
    for repeat in (0, 1):
        tests = np.concatenate([fold.test for fold in outcome.folds if fold.repeat == repeat])
        assert sorted(tests) == list(range(len(problem.y)))
    assert list(outcome.folds[0].test) != list(outcome.folds[3].test)
    with pytest.raises(InputError, match="repeats is 0"):
        spred.nested_cv(model, problem.X, problem.y, repeats=0)
    with pytest.raises(InputError, match="integer cv"):
        spred.nested_cv(model, problem.X, problem.y, cv=[(np.arange(10), np.arange(10, 20))], repeats=2)


def test_the_interval_is_the_corrected_resampled_t() -> None:
    scores, ratio = np.array([0.7, 0.8, 0.9, 0.75, 0.85, 0.6]), 0.5
    low, high = corrected_interval(scores, ratio)
    half = stats.t.ppf(0.975, 5) * np.sqrt((1 / 6 + 0.5) * scores.var(ddof=1))
    assert (low, high) == pytest.approx((scores.mean() - half, scores.mean() + half))
    problem = PROBLEMS["logistic-tall"]
    outcome = spred.nested_cv(spred.SparseClassifierCV(**QUICK), problem.X, problem.y, cv=3)
    low, high = outcome.interval(balanced_accuracy_score)
    assert low <= outcome.score(balanced_accuracy_score).mean() <= high
    with pytest.raises(InputError, match="two folds"):
        corrected_interval([0.5], 0.25)


def test_the_interval_covers_chance_on_labels_without_meaning() -> None:
    """A fixed rule that knows nothing: what varies from fold to fold is all there is."""
    covered = shrunk = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        X, y = rng.normal(size=(60, 5)), rng.permutation(np.arange(60) % 2)
        outcome = spred.nested_cv(LinearDiscriminantAnalysis(), X, y, cv=5, repeats=5, random_state=seed)
        low, high = outcome.interval(balanced_accuracy_score)
        scores = outcome.score(balanced_accuracy_score)
        covered += low <= 0.5 <= high
        shrunk += abs(scores.mean() - 0.5) <= 2.06 * scores.std(ddof=1) / np.sqrt(len(scores))
    assert covered >= 54
    assert shrunk < covered  # without the correction, repeats make the interval far too short


def test_events_are_shared_out() -> None:
    rng = np.random.default_rng(0)
    y = spred.survival_target(np.arange(40) % 4 == 0, rng.exponential(size=40))
    outcome = spred.nested_cv(spred.SparseCoxCV(n_alphas=5, cv=3), rng.normal(size=(40, 5)), y, cv=5)
    assert [int(y["event"][fold.test].sum()) for fold in outcome.folds] == [2] * 5


@pytest.mark.parametrize("pipeline", [False, True])
@pytest.mark.parametrize("routing", [False, True])
def test_weights_and_offsets_go_to_fit_predict_and_score(pipeline: bool, routing: bool) -> None:
    rng = np.random.default_rng(0)
    X, known, weight = rng.normal(size=(60, 4)), rng.normal(size=60), np.arange(60) % 3.0
    y = rng.poisson(np.exp(known + 0.5 * X[:, 0]))
    model = spred.SparseRegressor(loss="poisson")
    with config_context(enable_metadata_routing=routing):
        if routing:
            model.set_fit_request(offset=True, sample_weight=True).set_predict_request(offset=True)
        whole = make_pipeline(FunctionTransformer(), model) if pipeline else model
        outcome = spred.nested_cv(whole, X, y, sample_weight=weight, offset=known, cv=3)
        scores = outcome.score(r2_score)
    for fold, score in zip(outcome.folds, scores, strict=True):
        assert (weight[fold.test] > 0).all()
        alone = clone(model).fit(X[fold.train], y[fold.train], weight[fold.train], known[fold.train])
        np.testing.assert_allclose(fold.predicted, alone.predict(X[fold.test], known[fold.test]))
        assert score == pytest.approx(alone.score(X[fold.test], y[fold.test], weight[fold.test], known[fold.test]))


def test_what_an_estimator_or_a_metric_does_not_take_is_refused() -> None:
    X, y = np.random.default_rng(0).normal(size=(30, 2)), np.arange(30.0)
    with pytest.raises(InputError, match="fit of KNeighborsRegressor takes no sample_weight"):
        spred.nested_cv(KNeighborsRegressor(), X, y, sample_weight=y)
    with pytest.raises(InputError, match="predict of GridSearchCV takes no offset"):
        spred.nested_cv(GridSearchCV(spred.SparseRegressor(), {"alpha": [0.1]}), X, y, offset=y)
    outcome = spred.nested_cv(spred.SparseRegressor(), X, y, sample_weight=2.0)
    with pytest.raises(InputError, match="this metric takes no sample_weight"):
        outcome.score(lambda true, predicted: 0.0)
    with pytest.raises(InputError, match="y has 29 entries, and X has 30 samples"):
        spred.nested_cv(spred.SparseRegressor(), X, y[1:])


@pytest.mark.parametrize("kind", ["coo", "csr", "csc", "bsr", "lil", "dok"])
@pytest.mark.parametrize("of", ["array", "matrix"])
def test_any_sparse_format_is_taken(kind: str, of: str) -> None:
    problem = PROBLEMS["logistic-sparse"]
    X = getattr(sparse, f"{kind}_{of}")(problem.X)
    outcome = spred.nested_cv(spred.SparseClassifier(0.05), X, problem.y, cv=2)
    expected = spred.nested_cv(spred.SparseClassifier(0.05), sparse.csr_array(problem.X), problem.y, cv=2)
    np.testing.assert_allclose(outcome.folds[0].probabilities, expected.folds[0].probabilities, atol=1e-9)
