"""An honest score: every choice the estimator makes happens inside the training part of each outer fold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from inspect import Parameter, signature
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.stats import t
from sklearn import get_config
from sklearn.base import clone, is_classifier
from sklearn.model_selection import BaseCrossValidator
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import MetadataRouter, get_routing_for_object

from spred import _checks
from spred.errors import InputError
from spred.estimators.cross_validation import Split, make_folds
from spred.linear.target import read_offset
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
        weight: ``(len(test),)``, that of the samples of ``test``; None where no weights were given.
    """

    index: int
    repeat: int
    train: np.ndarray
    test: np.ndarray
    estimator: Any
    predicted: np.ndarray
    probabilities: np.ndarray | None
    weight: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class NestedCV:
    """All outer folds; every sample is in exactly one test part of each repeat (with an integer ``cv``)."""

    folds: tuple[Fold, ...]
    y: np.ndarray

    def score(self, metric: Callable[..., float]) -> np.ndarray:
        """Return ``metric(true, predicted)`` of each fold, ``(F,)``; with ``sample_weight=`` where there are weights.

        Raises:
            InputError: there are weights, and the metric takes none.
        """
        if self.folds[0].weight is not None and "sample_weight" not in _parameters(metric):
            raise InputError("the samples have weights, and this metric takes no sample_weight; give one that does")
        given = [{} if fold.weight is None else {"sample_weight": fold.weight} for fold in self.folds]
        pairs = zip(self.folds, given, strict=True)
        return np.array([metric(self.y[fold.test], fold.predicted, **extra) for fold, extra in pairs])

    def interval(self, metric: Callable[..., float], level: float = 0.95) -> tuple[float, float]:
        """Return the corrected resampled t interval of the mean score; see :func:`corrected_interval`."""
        ratio = float(np.mean([len(fold.test) / len(fold.train) for fold in self.folds]))
        return corrected_interval(self.score(metric), ratio, level)


def nested_cv(
    estimator: Any,
    X: ArrayLike,
    y: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    offset: ArrayLike | None = None,
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
        sample_weight: ``(n,)``, handed on to ``fit``, and to the metrics; folds whose test samples all weigh nothing
            are left out.
        offset: ``(n,)``, a known part of each sample's linear predictor, handed on to ``fit`` and ``predict``.
        cv: outer folds; see :func:`spred.estimators.cross_validation.make_folds`.
        repeats: how often the folds are made anew, with ``random_state`` + 0, 1, …; needs an integer ``cv``.
        random_state: shuffles them.
        n_jobs: folds at a time, through joblib.

    Inside :func:`~spred.runtime.tasks.tracked` each outer fold counts as a piece of the work; fitted estimators are not
    kept in a store.

    Returns:
        A :class:`NestedCV` with the fitted estimators and the held-out predictions.

    Raises:
        InputError: no two folds are possible, or the estimator takes no weights or offset, and some were given.

    >>> import numpy as np, spred
    >>> from sklearn.metrics import balanced_accuracy_score
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(60, 20))
    >>> outcome = spred.nested_cv(spred.SparseClassifierCV(), X, X[:, 3] > 0)
    >>> bool(outcome.score(balanced_accuracy_score).mean() > 0.8)
    True
    """
    rows, target = read_rows(X), np.asarray(y)
    n = rows.shape[0]
    if len(target) != n:
        raise InputError(f"y has {len(target)} entries, and X has {n} samples; give one for each")
    labels = None if groups is None else np.asarray(groups)
    weight = None if sample_weight is None else _checks.sample_weights(sample_weight, n)
    known = None if offset is None else read_offset(offset, n)
    splits = outer_splits(
        target,
        strata=strata_of(target, is_classifier(estimator)),
        groups=labels,
        cv=cv,
        repeats=repeats,
        random_state=random_state,
        weight=weight,
    )
    data = Data(rows, target, {"groups": labels, "sample_weight": weight, "offset": known})
    check_taken(estimator, data)
    tasks = (
        delayed(_one_fold)(clone(estimator), data, index, repeat, split) for index, (repeat, split) in enumerate(splits)
    )
    folds = []
    with tracking() as outer:
        for fold in Parallel(n_jobs=n_jobs, return_as="generator")(tasks):
            folds.append(fold)
            if outer.on_done is not None:
                outer.on_done(len(folds), len(splits))
    return NestedCV(tuple(folds), target)


@dataclass(frozen=True, eq=False)
class Data:
    """Samples, their targets, and what else is known of each: ``groups``, ``sample_weight``, ``offset`` or None."""

    X: Any
    y: np.ndarray
    known: dict[str, np.ndarray | None]

    def given(self, names: Iterable[str], rows: np.ndarray) -> dict[str, np.ndarray]:
        """Return those of ``names`` that were given, for some rows."""
        arrays = {name: self.known[name] for name in names}
        return {name: array[rows] for name, array in arrays.items() if array is not None}


def read_rows(X: Any) -> Any:
    """Return ``X`` as something whose rows can be taken by number: a frame, an array, or a sparse matrix by rows."""
    if sparse.issparse(X):
        return X if X.format in ("csr", "csc", "lil") else X.tocsr()
    return X if hasattr(X, "iloc") or hasattr(X, "shape") else np.asarray(X)


def outer_splits(
    y: np.ndarray,
    *,
    strata: np.ndarray | None,
    groups: np.ndarray | None,
    cv: int | BaseCrossValidator | Iterable[Split],
    repeats: int,
    random_state: int | None,
    weight: np.ndarray | None = None,
) -> list[tuple[int, Split]]:
    """Return (repeat, (train, test)) for every outer fold; ``strata`` are spread evenly where there are enough."""
    if repeats < 1 or (repeats > 1 and not isinstance(cv, (int, np.integer))):
        raise InputError(f"repeats is {repeats}; give 1 or more, and an integer cv where there are several")
    labels = np.arange(len(y)) if strata is None else strata
    seeds = [None if random_state is None else random_state + r for r in range(repeats)]
    return [
        (r, split)
        for r, seed in enumerate(seeds)
        for split in make_folds(
            labels, classes=strata is not None, groups=groups, cv=cv, random_state=seed, weight=weight
        )
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


def check_taken(estimator: Any, data: Data) -> None:
    """Raise an InputError if weights or an offset were given, and ``fit`` (of an offset: ``predict`` too) has none."""
    for name, methods in (("sample_weight", ("fit",)), ("offset", ("fit", "predict"))):
        for method in methods:
            if data.known[name] is not None and not _argument(estimator, method, name):
                kind = type(estimator).__name__
                asked = f" or ask for it with set_{method}_request({name}=True)" if _routing() else ""
                raise InputError(f"the {method} of {kind} takes no {name}; leave it out{asked}")


def _one_fold(estimator: Any, data: Data, index: int, repeat: int, split: Split) -> Fold:
    train, test = split
    rows = data.X.iloc if hasattr(data.X, "iloc") else data.X
    estimator.fit(rows[train], data.y[train], **_arguments(estimator, "fit", data, train))
    held_out, weight = rows[test], data.known["sample_weight"]
    probabilities = None
    if hasattr(estimator, "predict_proba"):
        probabilities = estimator.predict_proba(held_out, **_arguments(estimator, "predict_proba", data, test))
    predicted = estimator.predict(held_out, **_arguments(estimator, "predict", data, test))
    return Fold(
        index, repeat, train, test, estimator, predicted, probabilities, None if weight is None else weight[test]
    )


def _arguments(estimator: Any, method: str, data: Data, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Return what is known of some samples, by the names that ``method`` of an estimator, or a Pipeline, has for it."""
    names = ("groups", "sample_weight", "offset") if method == "fit" else ("offset",)
    called = {name: _argument(estimator, method, name) for name in names}
    given = data.given([name for name in names if called[name]], rows)
    return {str(called[name]): values for name, values in given.items()}


def _argument(estimator: Any, method: str, name: str) -> str | None:
    """Return what ``method`` calls the argument ``name``; None if it has none.

    A Pipeline hands ``fit`` arguments on by the name of their step, others as they are. Where scikit-learn routes
    metadata, what the estimators inside another ask for goes by its own name. A search hands on what its ``fit`` gets.
    """
    if _routing() and isinstance(router := get_routing_for_object(estimator), MetadataRouter):
        return name if name in router.consumes(method, [name]) else None
    if not isinstance(estimator, Pipeline):
        parameters = _parameters(getattr(estimator, method, None))
        hands_on = any(parameter.kind is Parameter.VAR_KEYWORD for parameter in parameters.values())
        return name if name in parameters or (hands_on and method == "fit" and name != "groups") else None
    step, last = estimator.steps[-1]
    inside = _argument(last, method, name)
    return f"{step}__{inside}" if inside and method == "fit" else inside


def _routing() -> bool:
    return bool(get_config()["enable_metadata_routing"])


def _parameters(function: Any) -> Mapping[str, Parameter]:
    return {} if function is None else signature(function).parameters
