"""Scores against small cases worked by hand, and against scikit-learn."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from spred.core.targets import survival_target
from spred.genes.study.scores import (
    balanced_accuracy,
    by_risk,
    concordance,
    fold_auc,
    r2,
    score_classes,
    score_numbers,
    score_survival,
    spread,
)


def fold(test: list[int], predicted: list[object], probabilities: object = None, n: int = 6) -> SimpleNamespace:
    train = np.setdiff1d(np.arange(n), test)
    return SimpleNamespace(
        test=np.array(test),
        train=train,
        predicted=np.array(predicted, dtype=object if isinstance(predicted[0], str) else float),
        probabilities=None if probabilities is None else np.array(probabilities),
        repeat=0,
        middle=0.0,
    )


def test_balanced_accuracy_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    true, predicted = rng.choice(["a", "b", "c"], size=(2, 60), p=[0.6, 0.3, 0.1])
    assert balanced_accuracy(true, predicted) == pytest.approx(balanced_accuracy_score(true, predicted))


def test_a_class_that_a_fold_lacks_does_not_count() -> None:
    assert balanced_accuracy(np.array(["a", "a"]), np.array(["a", "b"])) == 0.5


def test_auc_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    true = rng.choice(["a", "b", "c"], size=60)
    p = rng.dirichlet([1, 1, 1], size=60)
    expected = roc_auc_score(true, p, multi_class="ovr", average="macro")
    assert fold_auc(true, p, np.array(["a", "b", "c"])) == pytest.approx(expected)


def test_auc_of_one_class_is_unknown() -> None:
    assert fold_auc(np.array(["a", "a"]), np.array([[0.9, 0.1], [0.8, 0.2]]), np.array(["a", "b"])) is None
    assert fold_auc(np.array(["a", "b"]), None, np.array(["a", "b"])) is None


def test_a_study_of_classes_by_hand() -> None:
    y = np.array(["a", "a", "a", "a", "b", "b"], dtype=object)
    sure, unsure = [0.9, 0.1], [0.2, 0.8]
    folds = (
        fold([0, 1, 4], ["a", "b", "b"], [sure, unsure, unsure]),
        fold([2, 3, 5], ["a", "a", "a"], [sure, sure, sure]),
    )
    score = score_classes(folds, y)
    assert score.balanced_accuracy.folds == (0.75, 0.5)
    assert score.balanced_accuracy.mean == 0.625
    assert score.balanced_accuracy.sd == pytest.approx(0.25 / np.sqrt(2))
    assert score.accuracy.folds == pytest.approx((2 / 3, 2 / 3))
    assert score.auc == pytest.approx((0.75 + 0.5) / 2)
    assert (score.majority, score.majority_class, score.majority_balanced_accuracy) == (4 / 6, "a", 0.5)
    assert score.confusion == ((3, 1), (1, 1))


def test_folds_of_one_class_each_have_no_auc() -> None:
    y = np.array(["a", "b"], dtype=object)
    folds = (fold([0], ["a"], [[0.9, 0.1]], n=2), fold([1], ["b"], [[0.1, 0.9]], n=2))
    assert score_classes(folds, y).auc is None


def test_a_study_of_numbers_by_hand() -> None:
    y = np.array([0.0, 2.0, 4.0, 6.0, 8.0, 10.0])
    folds = (fold([0, 5], [0.0, 10.0]), fold([1, 2], [6.0, 6.0]))
    score = score_numbers(folds, y)
    assert score.r2.folds == pytest.approx((1.0, 1 - 20 / 20))
    assert score.mean_absolute_error.folds == (0.0, 3.0)


def test_r2_of_the_training_mean_is_zero() -> None:
    true = np.array([1.0, 2.0, 6.0])
    assert r2(true, np.full(3, 2.5), 2.5) == 0.0
    assert r2(np.array([2.5]), np.array([3.0]), 2.5) == 0.0


def test_a_study_of_survival_by_hand() -> None:
    y = survival_target([True, True, False, True, True, False], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    folds = (fold([0, 1, 2], [3.0, 1.0, 2.0]), fold([3, 4, 5], [-1.0, -2.0, -3.0]))
    score = score_survival(folds, y)
    assert score.concordance.folds == pytest.approx((2 / 3, 1.0))
    low, high = by_risk(folds, y)
    assert (sorted(low["time"]), sorted(high["time"])) == ([4.0, 5.0, 6.0], [1.0, 2.0, 3.0])
    expected = stats.logrank(stats.CensoredData([4, 5], right=[6]), stats.CensoredData([1, 2], right=[3])).pvalue
    assert score.logrank_p == pytest.approx(expected)


def test_a_fold_that_cannot_be_compared_scores_as_guessing() -> None:
    assert concordance(survival_target([False, False], [1.0, 2.0]), np.array([1.0, 2.0])) == 0.5


def test_the_interval_is_that_of_nadeau_and_bengio_within_the_range_of_the_score() -> None:
    folds = [fold([0], [0.0], n=5)] * 4
    found = spread([0.5, 0.7, 0.6, 0.8], folds, (-np.inf, np.inf))
    half = stats.t.ppf(0.975, 3) * np.sqrt((1 / 4 + 1 / 4) * np.var([0.5, 0.7, 0.6, 0.8], ddof=1))
    assert found.interval == pytest.approx((0.65 - half, 0.65 + half))
    assert spread([0.5, 0.7, 0.6, 0.8], folds, (0.0, 1.0)).interval[1] <= 1.0


def test_perfect_folds_have_the_interval_of_clopper_and_pearson() -> None:
    folds = [fold([i, i + 4], [0.0, 0.0], n=8) for i in range(4)]
    for times in (1, 3):
        found = spread([1.0] * 4 * times, folds * times, (0.0, 1.0))
        assert found.interval == pytest.approx(stats.binomtest(8, 8).proportion_ci(0.95, "exact"))
    assert spread([0.5] * 4, folds, (0.0, 1.0)).interval == (0.5, 0.5)
