"""Honest scores: what held-out predictions are worth, fold by fold, beside what guessing is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from spred.estimators import NestedCV


@dataclass(frozen=True)
class Spread:
    """A score over the outer folds: its mean, its standard deviation (n − 1), and each fold's value."""

    mean: float
    sd: float
    folds: tuple[float, ...]


@dataclass(frozen=True)
class ClassScore:
    """How well classes are told apart on samples that the selection never saw.

    Attributes:
        balanced_accuracy: mean of the recalls of the classes present in a fold.
        accuracy: share of samples predicted right.
        auc: area under the ROC curve, one class against the rest, averaged over the classes that a fold can
            score (samples in it and outside it) and over the folds; None if no fold can.
        majority: share of the largest class: the accuracy of always guessing it.
        majority_class: that class.
        majority_balanced_accuracy: the balanced accuracy of guessing it, 1/K.
        confusion: held-out counts, true classes in rows, predicted in columns, in sorted order of names.
    """

    balanced_accuracy: Spread
    accuracy: Spread
    auc: float | None
    majority: float
    majority_class: str
    majority_balanced_accuracy: float
    confusion: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class NumberScore:
    """How well a number is predicted on samples that the selection never saw.

    Attributes:
        r2: share of the squared error saved against predicting the mean of the training samples; 0 is no use.
        mean_absolute_error: in the units of the target.
    """

    r2: Spread
    mean_absolute_error: Spread


def score_classes(nested: NestedCV, y: np.ndarray, classes: Sequence[str]) -> ClassScore:
    """Score the held-out predictions of a nested cross-validation of a classifier."""
    counts = {c: int(np.sum(y == c)) for c in classes}
    largest = max(counts, key=lambda c: counts[c])
    areas = [fold_auc(y[f.test], f.probabilities, f.estimator.classes_) for f in nested.folds]
    known = [a for a in areas if a is not None]
    return ClassScore(
        balanced_accuracy=spread([balanced_accuracy(y[f.test], f.predicted) for f in nested.folds]),
        accuracy=spread([float(np.mean(y[f.test] == f.predicted)) for f in nested.folds]),
        auc=float(np.mean(known)) if known else None,
        majority=counts[largest] / len(y),
        majority_class=largest,
        majority_balanced_accuracy=1 / len(classes),
        confusion=tuple(
            tuple(sum(int(np.sum((y[f.test] == t) & (f.predicted == p))) for f in nested.folds) for p in classes)
            for t in classes
        ),
    )


def score_numbers(nested: NestedCV, y: np.ndarray) -> NumberScore:
    """Score the held-out predictions of a nested cross-validation of a regressor."""
    return NumberScore(
        r2=spread([r2(y[f.test], f.predicted, float(y[f.train].mean())) for f in nested.folds]),
        mean_absolute_error=spread([float(np.mean(np.abs(y[f.test] - f.predicted))) for f in nested.folds]),
    )


def spread(values: Sequence[float]) -> Spread:
    """Summarise one value a fold."""
    folds = tuple(float(v) for v in values)
    return Spread(mean=float(np.mean(folds)), sd=float(np.std(folds, ddof=1)) if len(folds) > 1 else 0.0, folds=folds)


def balanced_accuracy(true: np.ndarray, predicted: np.ndarray) -> float:
    """Return the mean recall over the classes that occur among the true ones.

    >>> balanced_accuracy(np.array(["a", "a", "a", "b"]), np.array(["a", "a", "a", "a"]))
    0.5
    """
    return float(np.mean([np.mean(predicted[true == c] == c) for c in np.unique(true)]))


def fold_auc(true: np.ndarray, probabilities: np.ndarray | None, classes: np.ndarray) -> float | None:
    """Return the one-against-rest AUC, averaged over the classes that can be scored; None if none can."""
    from sklearn.metrics import roc_auc_score

    if probabilities is None:
        return None
    columns = [(true == c, probabilities[:, j]) for j, c in enumerate(classes)]
    areas = [roc_auc_score(hit, p) for hit, p in columns if 0 < hit.sum() < len(hit)]
    return float(np.mean(areas)) if areas else None


def r2(true: np.ndarray, predicted: np.ndarray, baseline: float) -> float:
    """Return 1 − Σ(true − predicted)² / Σ(true − baseline)², or 0 where the baseline has no error to save."""
    error = float(np.sum((true - baseline) ** 2))
    return 1.0 - float(np.sum((true - predicted) ** 2)) / error if error > 0 else 0.0
