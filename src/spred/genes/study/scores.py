"""Honest scores: how good held-out predictions are, fold by fold, and what guessing gets.

One row of ``METRICS`` a task: the score that is compared with others, and what guessing gets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from spred.estimators.nested import corrected_interval
from spred.genes.study.folds import OuterFold

LEVEL = 0.95
"""How often the intervals of scores are to cover the mean; ``python benchmarks/noise.py`` counts how often they do."""


@dataclass(frozen=True)
class Spread:
    """A score over the outer folds.

    Attributes:
        mean: over the folds of all repeats.
        sd: standard deviation over them (n − 1).
        folds: each fold's value.
        interval: 95 % interval of the mean, corrected for training samples that folds share, inside the score's range;
            where every fold is perfect, the exact one of as many right samples.
    """

    mean: float
    sd: float
    folds: tuple[float, ...]
    interval: tuple[float, float]


@dataclass(frozen=True)
class ClassScore:
    """How well classes are told apart on samples that the selection did not use.

    Attributes:
        balanced_accuracy: mean of the recalls of the classes present in a fold.
        accuracy: fraction of samples predicted right.
        auc: area under the ROC curve, one class against the rest, averaged over the classes that a fold can
            score (samples in it and outside it) and over the folds; None if no fold can.
        majority: fraction of the largest class: the accuracy of always guessing it.
        majority_class: that class.
        majority_balanced_accuracy: the balanced accuracy of guessing it, 1/K.
        confusion: held-out counts of all repeats, true classes in rows, predicted in columns, in sorted order of names.
    """

    balanced_accuracy: Spread
    accuracy: Spread
    auc: float | None
    majority: float
    majority_class: str
    majority_balanced_accuracy: float
    confusion: tuple[tuple[int, ...], ...]

    @property
    def main(self) -> Spread:
        """The score that methods are compared by."""
        return self.balanced_accuracy

    @property
    def chance(self) -> float:
        """What guessing gets."""
        return self.majority_balanced_accuracy


@dataclass(frozen=True)
class NumberScore:
    """How well a number is predicted on samples that the selection did not use.

    Attributes:
        r2: fraction of the squared error saved against predicting the mean of the training samples; 0 is no use.
        mean_absolute_error: in the units of the target.
    """

    r2: Spread
    mean_absolute_error: Spread

    @property
    def main(self) -> Spread:
        """The score that methods are compared by."""
        return self.r2

    @property
    def chance(self) -> float:
        """What guessing gets."""
        return 0.0


@dataclass(frozen=True)
class SurvivalScore:
    """How well the order of events is predicted on samples that the selection did not use.

    Attributes:
        concordance: fraction of comparable pairs of a fold in which the sample with the earlier event has the higher
            risk; 0.5 for a fold in which no two samples can be compared.
        logrank_p: p-value of the log-rank test between held-out samples above and below the median risk of their
            training samples (first repeat); None if one of these groups is empty.
    """

    concordance: Spread
    logrank_p: float | None

    @property
    def main(self) -> Spread:
        """The score that methods are compared by."""
        return self.concordance

    @property
    def chance(self) -> float:
        """What guessing gets."""
        return 0.5


Score = ClassScore | NumberScore | SurvivalScore


@dataclass(frozen=True)
class Metric:
    """The score of one fold: its name, its range, and the function ``(true, predicted, true of training) -> score``."""

    name: str
    range: tuple[float, float]
    of: Callable[[np.ndarray, np.ndarray, np.ndarray], float]


def balanced_accuracy(true: np.ndarray, predicted: np.ndarray) -> float:
    """Return the mean recall over the classes that occur among the true ones.

    >>> balanced_accuracy(np.array(["a", "a", "a", "b"]), np.array(["a", "a", "a", "a"]))
    0.5
    """
    return float(np.mean([np.mean(predicted[true == c] == c) for c in np.unique(true)]))


def r2(true: np.ndarray, predicted: np.ndarray, baseline: float) -> float:
    """Return 1 − Σ(true − predicted)² / Σ(true − baseline)², or 0 where the baseline has no error to save."""
    error = float(np.sum((true - baseline) ** 2))
    return 1.0 - float(np.sum((true - predicted) ** 2)) / error if error > 0 else 0.0


def concordance(true: np.ndarray, risk: np.ndarray) -> float:
    """Return the concordance of risks with times and events, or 0.5 where no two samples can be compared."""
    from spred.errors import InputError
    from spred.estimators import concordance as of

    try:
        return of(true["event"], true["time"], risk)
    except InputError:
        return 0.5


METRICS: dict[str, Metric] = {
    "classification": Metric("balanced accuracy", (0.0, 1.0), lambda true, found, _: balanced_accuracy(true, found)),
    "regression": Metric("R²", (-np.inf, 1.0), lambda true, found, train: r2(true, found, float(train.mean()))),
    "survival": Metric("concordance", (0.0, 1.0), lambda true, found, _: concordance(true, found)),
}


def fold_scores(metric: Metric, folds: Sequence[OuterFold], y: np.ndarray, predicted: Sequence[np.ndarray]) -> Spread:
    """Score a method's predictions of each fold's held-out samples."""
    values = [metric.of(y[f.test], p, y[f.train]) for f, p in zip(folds, predicted, strict=True)]
    return spread(values, folds, metric.range)


def score_classes(folds: Sequence[OuterFold], y: np.ndarray) -> ClassScore:
    """Score the held-out predictions of classes."""
    names, counts = np.unique(y.astype(str), return_counts=True)
    areas = [fold_auc(y[f.test], f.probabilities, names) for f in folds]
    known = [a for a in areas if a is not None]
    return ClassScore(
        balanced_accuracy=fold_scores(METRICS["classification"], folds, y, [f.predicted for f in folds]),
        accuracy=spread([float(np.mean(y[f.test] == f.predicted)) for f in folds], folds, (0.0, 1.0)),
        auc=float(np.mean(known)) if known else None,
        majority=float(counts.max() / len(y)),
        majority_class=str(names[counts.argmax()]),
        majority_balanced_accuracy=1 / len(names),
        confusion=tuple(
            tuple(sum(int(np.sum((y[f.test] == t) & (f.predicted == p))) for f in folds) for p in names) for t in names
        ),
    )


def score_numbers(folds: Sequence[OuterFold], y: np.ndarray) -> NumberScore:
    """Score the held-out predictions of a number."""
    errors = [float(np.mean(np.abs(y[f.test] - f.predicted))) for f in folds]
    return NumberScore(
        r2=fold_scores(METRICS["regression"], folds, y, [f.predicted for f in folds]),
        mean_absolute_error=spread(errors, folds, (0.0, np.inf)),
    )


def score_survival(folds: Sequence[OuterFold], y: np.ndarray) -> SurvivalScore:
    """Score the held-out risks."""
    from spred.genes.data.survival import logrank

    return SurvivalScore(
        concordance=fold_scores(METRICS["survival"], folds, y, [f.predicted for f in folds]),
        logrank_p=logrank(by_risk(folds, y)),
    )


SCORES: dict[str, Callable[[Sequence[OuterFold], np.ndarray], Score]] = {
    "classification": score_classes,
    "regression": score_numbers,
    "survival": score_survival,
}


def by_risk(folds: Sequence[OuterFold], y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the survival of the held-out samples of low and of high risk, each sample once (first repeat)."""
    first = [f for f in folds if f.repeat == 0]
    truth = np.concatenate([y[f.test] for f in first])
    high = np.concatenate([f.predicted > f.middle for f in first])
    return truth[~high], truth[high]


def spread(values: Sequence[float], folds: Sequence[OuterFold], limits: tuple[float, float]) -> Spread:
    """Summarise one value a fold.

    Folds that are all perfect give no variance; their interval ends where so many samples all being right, each once,
    becomes improbable: the exact binomial one of Clopper and Pearson.
    """
    each = tuple(float(v) for v in values)
    ratio = float(np.mean([len(f.test) / len(f.train) for f in folds]))
    low, high = np.clip(corrected_interval(each, ratio, LEVEL), *limits)
    if limits == (0.0, 1.0) and min(each) == 1.0:
        low = ((1 - LEVEL) / 2) ** (1 / len(np.unique(np.concatenate([f.test for f in folds]))))
    return Spread(float(np.mean(each)), float(np.std(each, ddof=1)), each, (float(low), float(high)))


def fold_auc(true: np.ndarray, probabilities: np.ndarray | None, classes: Sequence[str] | np.ndarray) -> float | None:
    """Return the one-against-rest AUC, averaged over the classes that can be scored; None if none can."""
    from sklearn.metrics import roc_auc_score

    if probabilities is None:
        return None
    columns = [(true == c, probabilities[:, j]) for j, c in enumerate(classes)]
    areas = [roc_auc_score(hit, p) for hit, p in columns if 0 < hit.sum() < len(hit)]
    return float(np.mean(areas)) if areas else None
