"""The parts of a cross-validation: folds that respect classes and groups, the curve along a path, the rules.

A rule turns a curve into one alpha: ``"min"`` takes the lowest held-out deviance, ``"1se"`` the largest alpha within
one standard error of it, an integer k the lowest among alphas with at most k features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from sklearn.model_selection import (
    BaseCrossValidator,
    GroupKFold,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    check_cv,
)

from spred import _checks
from spred.errors import InputError, did_you_mean

Split = tuple[np.ndarray, np.ndarray]
Rule = str | int | Callable[["Curve"], int]
"""``"1se"``, ``"min"``, a number of features, or a function of the curve that returns the index of an alpha."""

RULES = ("1se", "min")


@dataclass(frozen=True, eq=False)
class Curve:
    """Held-out deviance along a path.

    Attributes:
        alphas: ``(A,)``, falling.
        folds: ``(A, F)``, mean deviance of each fold's held-out samples (squared error, or −2 log-likelihood).
        mean: ``(A,)``, over folds.
        se: ``(A,)``, standard error of that mean.
        n_nonzero: ``(A,)``, features in the model of all samples.
        index_min: where the mean is lowest.
        index_1se: first alpha whose mean is within one standard error of the lowest.
        index: what the rule chose.
    """

    alphas: np.ndarray
    folds: np.ndarray
    mean: np.ndarray
    se: np.ndarray
    n_nonzero: np.ndarray
    index_min: int
    index_1se: int
    index: int


def make_curve(alphas: np.ndarray, folds: np.ndarray, n_nonzero: np.ndarray, rule: Rule) -> Curve:
    """Average the folds' deviances ``(A, F)`` and apply the rule.

    Raises:
        InputError: an unknown rule, or a k below every model on the path.
    """
    check_rule(rule)
    n_folds = folds.shape[1]
    mean = folds.mean(axis=1)
    se = folds.std(axis=1, ddof=1) / np.sqrt(n_folds) if n_folds > 1 else np.zeros(len(mean))
    best = int(np.argmin(mean))
    simplest = int(np.flatnonzero(mean <= mean[best] + se[best])[0])
    curve = Curve(alphas, folds, mean, se, n_nonzero, best, simplest, simplest)
    if callable(rule):
        return replace(curve, index=int(rule(curve)))
    return replace(
        curve, index={"min": best, "1se": simplest}[rule] if isinstance(rule, str) else _at_most(rule, mean, n_nonzero)
    )


def _at_most(k: int, mean: np.ndarray, n_nonzero: np.ndarray) -> int:
    allowed = np.flatnonzero(n_nonzero <= k)
    if not allowed.size:
        raise InputError(f"no alpha of the path has at most {k} features; add larger alphas")
    return int(allowed[np.argmin(mean[allowed])])


def check_rule(rule: Rule) -> None:
    """Raise an InputError unless ``rule`` is ``"1se"``, ``"min"``, a positive integer or a function of the curve."""
    if callable(rule):
        return
    if isinstance(rule, str):
        if rule not in RULES:
            raise InputError(f"no rule is called {rule!r}{did_you_mean(rule, RULES)}; use '1se', 'min' or an integer")
    elif isinstance(rule, bool) or not isinstance(rule, (int, np.integer)) or rule < 1:
        raise InputError(f"rule is {rule!r}; use '1se', 'min' or the largest number of features, at least 1")


def ratios_of(l1_ratio: float | Sequence[float]) -> list[float]:
    """Return the ratios that cross-validation chooses among: one that was given, or several."""
    ratios = np.atleast_1d(np.asarray(l1_ratio, dtype=np.float64))
    if ratios.ndim != 1 or ratios.size == 0:
        raise InputError("l1_ratio is empty; give a number from 0 to 1, or a list of such")
    return [_checks.l1_ratio(float(ratio), ridge=True) for ratio in ratios]


def make_folds(
    y: np.ndarray,
    *,
    classes: bool,
    groups: np.ndarray | None = None,
    cv: int | BaseCrossValidator | Iterable[Split] = 5,
    random_state: int | None = 0,
    weight: np.ndarray | None = None,
) -> list[Split]:
    """Return (train, test) index pairs.

    An integer ``cv`` is shuffled with ``random_state``, stratified for classes, and keeps groups whole. It is lowered
    to what the data allow: the smallest class (or the groups in which it occurs) must reach every fold, and every
    training part must hold all classes. Samples of weight 0 are in none of its parts. A splitter or a list of pairs is
    taken as it is, but for pairs whose test part weighs nothing: there is nothing to be judged by, and they are left
    out.

    Raises:
        InputError: fewer than two folds are possible, pairs that are none, a training part that lacks a class or weighs
            nothing, or no test part that weighs anything.
    """
    n = len(y)
    groups = None if groups is None else _read_groups(groups, n)
    if isinstance(cv, (int, np.integer)):
        kept = np.arange(n) if weight is None else np.flatnonzero(weight > 0)
        inside = None if groups is None else groups[kept]
        splits = _integer_folds(y[kept], classes, inside, int(cv), random_state)
        return [(kept[train], kept[test]) for train, test in splits]
    try:
        pairs = list(check_cv(cv, y, classifier=classes).split(np.zeros(n), y, groups))
    except (TypeError, ValueError) as err:
        raise InputError(f"cv makes no folds of these samples: {' '.join(str(err).split())}") from err
    return _weighing([_read_pair(pair, n) for pair in pairs], y, classes, np.ones(n) if weight is None else weight)


def _read_groups(groups: object, n: int) -> np.ndarray:
    """Return the label of each sample, ``(n,)``; none of them is missing, and they can be sorted."""
    labels = np.asarray(groups)
    if labels.ndim != 1 or len(labels) != n:
        entries = f"{len(labels)} entries" if labels.ndim == 1 else f"shape {labels.shape}"
        raise InputError(f"groups has {entries}, and there are {n} samples; give one for each")
    missing = np.array([is_missing(label) for label in labels.tolist()])
    if missing.any():
        raise InputError(f"groups has no label at sample {int(np.argmax(missing))}; give one for each")
    try:
        np.unique(labels)
    except TypeError as err:
        raise InputError("groups has labels of several kinds, such as numbers and text; give one kind") from err
    return labels


def is_missing(label: object) -> bool:
    """Return whether a label is None, NaN, or pandas' NA or NaT.

    >>> [is_missing(label) for label in (None, float("nan"), 0, "", "nan")]
    [True, True, False, False, False]
    """
    return label is None or type(label).__name__ in ("NAType", "NaTType") or label != label


def _read_pair(pair: object, n: int) -> Split:
    """Return a (train, test) pair of a splitter or a list as two arrays of row numbers."""
    try:
        train, test = (np.asarray(part) for part in pair)  # type: ignore[attr-defined]
    except (TypeError, ValueError) as err:
        raise InputError("cv has an entry that is no pair of rows; give pairs (train, test)") from err
    return _read_rows(train, n), _read_rows(test, n)


def _read_rows(part: np.ndarray, n: int) -> np.ndarray:
    if part.dtype == bool and part.shape == (n,):
        return np.flatnonzero(part)
    whole = part.ndim == 1 and (part.dtype.kind in "iu" or not part.size)
    if not whole or (part.size and not (-n <= part.min() and part.max() < n)):
        raise InputError(f"cv has a part that is no list of row numbers below {n}; give pairs (train, test) of such")
    return part.astype(int)


def _weighing(splits: Sequence[Split], y: np.ndarray, classes: bool, weight: np.ndarray) -> list[Split]:
    """Return the splits whose test parts weigh something; every training part must, and hold all classes of ``y``."""
    judged = [split for split in splits if (weight[split[1]] > 0).any()]
    if not judged:
        raise InputError("no held-out fold has a sample whose weight is positive; give other folds or weights")
    trained = [train[weight[train] > 0] for train, _ in judged]
    if not all(len(rows) for rows in trained):
        raise InputError("a training fold has no sample whose weight is positive; give other folds or weights")
    n_classes = len(np.unique(y[weight > 0])) if classes else 0
    if classes and any(len(np.unique(y[rows])) < n_classes for rows in trained):
        raise InputError("a training fold lacks a class; use fewer folds or a stratified splitter")
    return judged


def _integer_folds(
    y: np.ndarray, classes: bool, groups: np.ndarray | None, cv: int, random_state: int | None
) -> list[Split]:
    if cv < 2:
        raise InputError(f"cv is {cv}; cross-validation needs at least 2 folds")
    for n_folds in range(min(cv, _most_folds(y, classes, groups)), 1, -1):
        splits = list(_splitter(n_folds, classes, groups, random_state).split(np.zeros(len(y)), y, groups))
        whole = all(len(train) and len(test) for train, test in splits)
        if whole and (not classes or _all_classes(y, splits)):
            return splits
    what = "group" if groups is not None else "sample"
    where = " in the smallest class" if classes else ""
    remedy = "give more, or merge classes" if classes else "give more"
    raise InputError(f"too few {what}s{where} for two folds; {remedy}")


def _most_folds(y: np.ndarray, classes: bool, groups: np.ndarray | None) -> int:
    if not classes:
        return len(y) if groups is None else len(np.unique(groups))
    if groups is None:
        return int(np.unique(y, return_counts=True)[1].min())
    return min(len(np.unique(groups[y == label])) for label in np.unique(y))


def _splitter(n_folds: int, classes: bool, groups: np.ndarray | None, random_state: int | None) -> BaseCrossValidator:
    kind = {
        (True, False): StratifiedKFold,
        (True, True): StratifiedGroupKFold,
        (False, False): KFold,
        (False, True): GroupKFold,
    }[classes, groups is not None]
    return kind(n_folds, shuffle=True, random_state=random_state)


def _all_classes(y: np.ndarray, splits: Sequence[Split]) -> bool:
    n_classes = len(np.unique(y))
    return all(len(np.unique(y[train])) == n_classes for train, _ in splits)
