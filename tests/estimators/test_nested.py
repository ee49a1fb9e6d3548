"""The honest score: nothing that is chosen has seen the fold it is judged on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from problems import PROBLEMS
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import balanced_accuracy_score, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import spred

QUICK = {"n_alphas": 10, "cv": 3}


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
    seen = []
    outcome = spred.nested_cv(
        pipeline,
        table,
        problem.y,
        groups=np.arange(len(problem.y)) // 2,
        cv=3,
        on_fold=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]
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
