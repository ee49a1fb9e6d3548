"""An honest score: every choice the estimator makes happens inside the training part of each outer fold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike
from sklearn.base import clone, is_classifier
from sklearn.model_selection import BaseCrossValidator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from spred.estimators.selection import Split, make_folds


@dataclass(frozen=True, eq=False)
class Fold:
    """One outer fold: the estimator fitted on ``train`` and what it says of ``test``.

    Attributes:
        index: number of the fold.
        train: row indices the estimator saw.
        test: row indices it did not.
        estimator: the fitted clone.
        predicted: ``(len(test),)``.
        probabilities: ``(len(test), K)`` for classifiers that have them, else None.
    """

    index: int
    train: np.ndarray
    test: np.ndarray
    estimator: Any
    predicted: np.ndarray
    probabilities: np.ndarray | None


@dataclass(frozen=True, eq=False)
class NestedCV:
    """All outer folds; every sample is in exactly one test part (with an integer ``cv``)."""

    folds: tuple[Fold, ...]
    y: np.ndarray

    def score(self, metric: Callable[[np.ndarray, np.ndarray], float]) -> np.ndarray:
        """Return ``metric(true, predicted)`` of each fold, ``(F,)``."""
        return np.array([metric(self.y[fold.test], fold.predicted) for fold in self.folds])


def nested_cv(
    estimator: Any,
    X: ArrayLike,
    y: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    cv: int | BaseCrossValidator | Iterable[Split] = 5,
    random_state: int | None = 0,
    n_jobs: int | None = None,
    on_fold: Callable[[int, int], None] | None = None,
) -> NestedCV:
    """Score ``estimator`` by cross-validation around everything that it does, its own cross-validation included.

    Args:
        estimator: a scikit-learn estimator, or a Pipeline; cloned for each fold.
        X: ``(n, p)`` array, sparse matrix or data frame.
        y: ``(n,)``.
        groups: ``(n,)`` labels; samples with one label are never on both sides. Handed on to the estimator (or
            the last step of a Pipeline) if its ``fit`` takes ``groups``.
        cv: outer folds; see :func:`spred.estimators.selection.make_folds`.
        random_state: shuffles them.
        n_jobs: folds at a time, through joblib.
        on_fold: called with (done, total) after each fold.

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
    splits = make_folds(target, classes=is_classifier(estimator), groups=labels, cv=cv, random_state=random_state)
    tasks = (
        delayed(_one_fold)(clone(estimator), X, target, labels, index, split) for index, split in enumerate(splits)
    )
    folds = []
    for fold in Parallel(n_jobs=n_jobs, return_as="generator")(tasks):
        folds.append(fold)
        if on_fold is not None:
            on_fold(len(folds), len(splits))
    return NestedCV(tuple(folds), target)


def _one_fold(estimator: Any, X: Any, y: np.ndarray, groups: np.ndarray | None, index: int, split: Split) -> Fold:
    train, test = split
    rows = X.iloc if hasattr(X, "iloc") else X if hasattr(X, "shape") else np.asarray(X)
    extra = {} if groups is None else _group_argument(estimator, groups[train])
    estimator.fit(rows[train], y[train], **extra)
    held_out = rows[test]
    probabilities = estimator.predict_proba(held_out) if hasattr(estimator, "predict_proba") else None
    return Fold(index, train, test, estimator, estimator.predict(held_out), probabilities)


def _group_argument(estimator: Any, groups: np.ndarray) -> dict[str, np.ndarray]:
    """Name the ``groups`` argument as the estimator's ``fit``, or a Pipeline's, wants it; none if it takes none."""
    if isinstance(estimator, Pipeline):
        name, last = estimator.steps[-1]
        return {f"{name}__groups": groups} if has_fit_parameter(last, "groups") else {}
    return {"groups": groups} if has_fit_parameter(estimator, "groups") else {}
