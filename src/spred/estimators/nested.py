"""An honest score: every choice the estimator makes happens inside the training part of each outer fold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike
from scipy.stats import t
from sklearn.base import clone, is_classifier
from sklearn.model_selection import BaseCrossValidator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from spred.errors import InputError
from spred.estimators.cross_validation import Split, make_folds
from spred.runtime.tasks import tracking


@dataclass(frozen=True, eq=False)
class Fold:
    """One outer fold: the estimator fitted on ``train`` and its predictions of ``test``.

    Attributes:
        index: number of the fold, counted through all repeats.
        repeat: number of the repeat, from 0.
        train: row indices the estimator saw.
        test: row indices it did not.
        estimator: the fitted clone.
        predicted: ``(len(test),)``.
        probabilities: ``(len(test), K)`` for classifiers that have them, else None.
    """

    index: int
    repeat: int
    train: np.ndarray
    test: np.ndarray
    estimator: Any
    predicted: np.ndarray
    probabilities: np.ndarray | None


@dataclass(frozen=True, eq=False)
class NestedCV:
    """All outer folds; every sample is in exactly one test part of each repeat (with an integer ``cv``)."""

    folds: tuple[Fold, ...]
    y: np.ndarray

    def score(self, metric: Callable[[np.ndarray, np.ndarray], float]) -> np.ndarray:
        """Return ``metric(true, predicted)`` of each fold, ``(F,)``."""
        return np.array([metric(self.y[fold.test], fold.predicted) for fold in self.folds])

    def interval(self, metric: Callable[[np.ndarray, np.ndarray], float], level: float = 0.95) -> tuple[float, float]:
        """Return the corrected resampled t interval of the mean score; see :func:`corrected_interval`."""
        ratio = float(np.mean([len(fold.test) / len(fold.train) for fold in self.folds]))
        return corrected_interval(self.score(metric), ratio, level)


def nested_cv(
    estimator: Any,
    X: ArrayLike,
    y: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    cv: int | BaseCrossValidator | Iterable[Split] = 5,
    repeats: int = 1,
    random_state: int | None = 0,
    n_jobs: int | None = None,
) -> NestedCV:
    """Score ``estimator`` by cross-validation around everything that it does, its own cross-validation included.

    Args:
        estimator: a scikit-learn estimator, or a Pipeline; cloned for each fold.
        X: ``(n, p)`` array, sparse matrix or data frame.
        y: ``(n,)``.
        groups: ``(n,)`` labels; samples with one label are never on both sides. Handed on to the estimator (or
            the last step of a Pipeline) if its ``fit`` takes ``groups``.
        cv: outer folds; see :func:`spred.estimators.cross_validation.make_folds`.
        repeats: how often the folds are made anew, with ``random_state`` + 0, 1, …; needs an integer ``cv``.
        random_state: shuffles them.
        n_jobs: folds at a time, through joblib.

    Inside :func:`~spred.runtime.tasks.tracked` each outer fold counts as a piece of the work; fitted estimators are not
    kept in a store.

    Returns:
        A :class:`NestedCV` with the fitted estimators and the held-out predictions.

    Raises:
        InputError: no two folds are possible.

    >>> import numpy as np, spred
    >>> from sklearn.metrics import balanced_accuracy_score
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(60, 20))
    >>> outcome = spred.nested_cv(spred.SparseClassifierCV(), X, X[:, 3] > 0)
    >>> bool(outcome.score(balanced_accuracy_score).mean() > 0.8)
    True
    """
    target = np.asarray(y)
    labels = None if groups is None else np.asarray(groups)
    splits = outer_splits(
        target,
        strata=strata_of(target, is_classifier(estimator)),
        groups=labels,
        cv=cv,
        repeats=repeats,
        random_state=random_state,
    )
    tasks = (
        delayed(_one_fold)(clone(estimator), X, target, labels, index, repeat, split)
        for index, (repeat, split) in enumerate(splits)
    )
    folds = []
    with tracking() as outer:
        for fold in Parallel(n_jobs=n_jobs, return_as="generator")(tasks):
            folds.append(fold)
            if outer.on_done is not None:
                outer.on_done(len(folds), len(splits))
    return NestedCV(tuple(folds), target)


def outer_splits(
    y: np.ndarray,
    *,
    strata: np.ndarray | None,
    groups: np.ndarray | None,
    cv: int | BaseCrossValidator | Iterable[Split],
    repeats: int,
    random_state: int | None,
) -> list[tuple[int, Split]]:
    """Return (repeat, (train, test)) for every outer fold; ``strata`` are spread evenly where there are enough."""
    if repeats < 1 or (repeats > 1 and not isinstance(cv, (int, np.integer))):
        raise InputError(f"repeats is {repeats}; give 1 or more, and an integer cv where there are several")
    labels = np.arange(len(y)) if strata is None else strata
    seeds = [None if random_state is None else random_state + r for r in range(repeats)]
    return [
        (r, split)
        for r, seed in enumerate(seeds)
        for split in make_folds(labels, classes=strata is not None, groups=groups, cv=cv, random_state=seed)
    ]


def strata_of(y: np.ndarray, classification: bool) -> np.ndarray | None:
    """Return what folds are stratified by: classes; events of survival times, if there are enough; else None."""
    if not y.dtype.names:
        return y if classification else None
    event = np.asarray(y["event"]).astype(int)
    return event if min(event.sum(), len(event) - event.sum()) >= 2 else None


def corrected_interval(scores: ArrayLike, ratio: float, level: float = 0.95) -> tuple[float, float]:
    """Return a confidence interval of the mean of cross-validated scores, ``mean ± t √((1/J + ratio) s²)``.

    The J scores share training samples, so ``s²/J`` is far too small a variance, and more repeats would make it
    smaller without any new sample. The correction adds ``ratio``, test over training samples, so the interval cannot
    shrink below what the samples carry.

    Args:
        scores: one a fold, of all repeats, ``(J,)``.
        ratio: held-out samples over training samples.
        level: how often such intervals are to cover.

    Source: C. Nadeau and Y. Bengio, Machine Learning 52, 2003; for repeated folds R. R. Bouckaert and E. Frank,
    PAKDD 2004.

    >>> [round(end, 3) for end in corrected_interval([0.8, 0.9, 1.0, 0.8, 0.9], 0.25)]
    [0.724, 1.036]
    """
    values = np.asarray(scores, dtype=np.float64)
    if len(values) < 2:
        raise InputError("an interval needs the scores of two folds or more")
    half = t.ppf((1 + level) / 2, len(values) - 1) * np.sqrt((1 / len(values) + ratio) * values.var(ddof=1))
    return float(values.mean() - half), float(values.mean() + half)


def _one_fold(
    estimator: Any, X: Any, y: np.ndarray, groups: np.ndarray | None, index: int, repeat: int, split: Split
) -> Fold:
    train, test = split
    rows = X.iloc if hasattr(X, "iloc") else X if hasattr(X, "shape") else np.asarray(X)
    extra = {} if groups is None else _group_argument(estimator, groups[train])
    estimator.fit(rows[train], y[train], **extra)
    held_out = rows[test]
    probabilities = estimator.predict_proba(held_out) if hasattr(estimator, "predict_proba") else None
    return Fold(index, repeat, train, test, estimator, estimator.predict(held_out), probabilities)


def _group_argument(estimator: Any, groups: np.ndarray) -> dict[str, np.ndarray]:
    """Name the ``groups`` argument as the estimator's ``fit``, or a Pipeline's, takes it; none if it takes none."""
    if isinstance(estimator, Pipeline):
        name, last = estimator.steps[-1]
        return {f"{name}__groups": groups} if has_fit_parameter(last, "groups") else {}
    return {"groups": groups} if has_fit_parameter(estimator, "groups") else {}
