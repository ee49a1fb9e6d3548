"""What the score is worth: the same folds with simpler methods, and with labels that mean nothing.

Both use the outer folds of the study, so every number in the comparison comes from the same held-out samples.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import Parallel, delayed

from spred.errors import InputError
from spred.genes.findings import Baseline, Permutations
from spred.genes.scores import ClassScore, balanced_accuracy, r2, spread
from spred.genes.study import Study, genes_only, last_step

if TYPE_CHECKING:
    from spred.estimators.nested import Fold

SIZES = (5, 10, 20, 50, 100, 200)  # genes that the filter may keep; the inner folds choose
MOST_DRAWS = 1000  # attempts at a permutation that leaves every class in every training part


def add_baselines(study: Study, *, n_jobs: int | None = None) -> Study:
    """Return the study with its ``baselines``: guessing, and a univariate filter before a linear model.

    The filter keeps the k genes with the largest F statistic; k is chosen by cross-validation inside the training
    samples. A linear support vector machine follows, or ridge regression where the target is a number.
    """
    folds = study.nested.folds
    found = Parallel(n_jobs=n_jobs)(delayed(filtered)(study, fold) for fold in folds)
    scores, sizes = zip(*found, strict=True)
    classes = isinstance(study.score, ClassScore)
    name = "univariate filter + linear SVM" if classes else "univariate filter + ridge"
    return replace(study, baselines=(guessing(study), Baseline(name, spread(scores), tuple(sizes))))


def guessing(study: Study) -> Baseline:
    """Score the guess that needs no gene: the largest class of the training samples, or their mean."""
    y, folds = study.expression.target, study.nested.folds
    if isinstance(study.score, ClassScore):
        scores = [balanced_accuracy(y[f.test], np.full(len(f.test), largest_class(y[f.train]))) for f in folds]
        return Baseline("largest class", spread(scores), (0,) * len(folds))
    return Baseline("mean", spread([0.0] * len(folds)), (0,) * len(folds))


def largest_class(y: np.ndarray) -> str:
    """Return the class with the most samples, the first of equals."""
    names, counts = np.unique(y.astype(str), return_counts=True)
    return str(names[counts.argmax()])


def filtered(study: Study, fold: Fold) -> tuple[float, int]:
    """Fit the filter and its model to the training part of a fold; return the held-out score and k."""
    from sklearn.model_selection import GridSearchCV

    from spred.estimators.selection import make_folds

    expression, y = study.expression, study.expression.target
    steps = fold.estimator[:-1]  # learned on the training part: the scale and its medians
    train, test = (genes_only(expression, steps.transform(expression.design[part])) for part in (fold.train, fold.test))
    groups = None if expression.group is None else expression.group[fold.train]
    inner = make_folds(
        y[fold.train], classes=bool(expression.classes), groups=groups, cv=study.settings.folds, random_state=0
    )
    sizes = [k for k in SIZES if k <= train.shape[1]] or [train.shape[1]]
    scoring = "balanced_accuracy" if expression.classes else "r2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # constant genes have no F statistic: they are ranked last
        search = GridSearchCV(filter_model(study), {"filter__k": sizes}, cv=inner, scoring=scoring)
        predicted = search.fit(train, y[fold.train]).predict(test)
    return score_of(study, fold, predicted, y), int(search.best_params_["filter__k"])


def filter_model(study: Study) -> Any:
    """Return the pipeline of the baseline: standardise, keep k genes by F, fit a linear model."""
    from sklearn.feature_selection import SelectKBest, f_classif, f_regression
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    classes = bool(study.expression.classes)
    model = SVC(kernel="linear", class_weight=study.settings.class_weight) if classes else Ridge()
    ranking = SelectKBest(f_classif if classes else f_regression)
    return Pipeline([("filter", ranking), ("scale", StandardScaler()), ("model", model)])


def score_of(study: Study, fold: Fold, predicted: np.ndarray, y: np.ndarray) -> float:
    """Return the balanced accuracy of held-out predictions, or R² against the training mean."""
    if study.expression.classes:
        return balanced_accuracy(y[fold.test], predicted)
    return r2(y[fold.test], predicted, float(y[fold.train].mean()))


def add_permutations(
    study: Study,
    n: int = 100,
    *,
    n_jobs: int | None = None,
    on_permutation: Callable[[int, int], None] | None = None,
) -> Study:
    """Return the study with its ``permutations``: how good a score labels without meaning reach.

    Groups of one class swap their labels with groups of the same size; in groups that hold several classes, labels
    are permuted inside. So what belongs together stays together. Each fold keeps its samples and the alpha that was
    chosen for the true labels; the choice itself is not repeated.

    Raises:
        InputError: n is below 1, or no permutation leaves every class in every training part.
    """
    if n < 1:
        raise InputError(f"{n} permutations were asked for; at least 1 is needed, and 100 give a p-value down to 0.01")
    start = perf_counter()
    rng = np.random.default_rng(study.settings.seed)
    folds = study.nested.folds
    parts = [
        tuple(f.estimator[:-1].transform(study.expression.design[rows]) for rows in (f.train, f.test)) for f in folds
    ]
    draws = [draw(study, rng) for _ in range(n)]
    scores: list[float] = []
    for score in Parallel(n_jobs=n_jobs, return_as="generator")(delayed(permuted)(study, parts, y) for y in draws):
        scores.append(score)
        if on_permutation is not None:
            on_permutation(len(scores), n)
    observed = study.score.balanced_accuracy.mean if isinstance(study.score, ClassScore) else study.score.r2.mean
    p = (1 + sum(s >= observed - 1e-12 for s in scores)) / (1 + n)
    return replace(study, permutations=Permutations(observed, tuple(scores), p, perf_counter() - start))


def draw(study: Study, rng: np.random.Generator) -> np.ndarray:
    """Return permuted labels that leave every class in every training part."""
    expression, folds = study.expression, study.nested.folds
    for _ in range(MOST_DRAWS):
        y = permute(expression.target, expression.group, rng)
        if not expression.classes or all(len(set(y[f.train])) == len(expression.classes) for f in folds):
            return y
    raise InputError("no permutation of the labels leaves every class in every training fold; use fewer folds")


def permute(y: np.ndarray, groups: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    """Permute labels: whole groups of one label among groups of their size, else inside the group."""
    if groups is None:
        return rng.permutation(y)
    result = y.copy()
    pure: dict[int, list[np.ndarray]] = {}
    for name in np.unique(groups):
        members = np.flatnonzero(groups == name)
        if len(set(y[members])) == 1:
            pure.setdefault(len(members), []).append(members)
        else:
            result[members] = rng.permutation(y[members])
    for alike in pure.values():
        for members, other in zip(alike, rng.permutation(len(alike)), strict=True):
            result[members] = y[alike[other]]
    return result


def permuted(study: Study, parts: list[tuple[np.ndarray, np.ndarray]], y: np.ndarray) -> float:
    """Return the mean score over the folds with the labels ``y``."""
    from spred.estimators import SparseClassifier, SparseRegressor

    scores = []
    for fold, (train, test) in zip(study.nested.folds, parts, strict=True):
        alpha = float(last_step(fold.estimator).alpha_)
        if study.expression.classes:
            model: Any = SparseClassifier(alpha, class_weight=study.settings.class_weight, tol=1e-5)
        else:
            model = SparseRegressor(alpha, tol=1e-5)
        model.set_params(penalty_weights=last_step(fold.estimator).penalty_weights)
        scores.append(score_of(study, fold, model.fit(train, y[fold.train]).predict(test), y))
    return float(np.mean(scores))
