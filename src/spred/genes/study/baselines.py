"""Other methods in the same folds, so that every number comes from the same held-out samples.

For each task: guessing, the L1 model at its best penalty (for many classes both one against the rest and row-sparse),
and a univariate filter before a dense linear model. All that they choose, they choose by cross-validation inside the
training samples.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spred.genes.data.expression import Expression
from spred.genes.study.folds import OuterFold, inputs, prepared
from spred.genes.study.models import linear_path
from spred.genes.study.results import Baseline
from spred.genes.study.scores import METRICS, fold_scores
from spred.genes.study.settings import Settings
from spred.genes.study.study import Study
from spred.genes.study.univariate import cox_score
from spred.runtime.tasks import Arrays, Store, run_tasks

SIZES = (5, 10, 20, 50, 100, 200)
"""Genes that the filter may keep; the inner folds choose."""

RIDGE = 0.1
"""Strength and fraction of L1 of the ridge Cox model behind the filter, which chooses the genes in its place."""

FILTER_TOL = 1e-5
"""Relative duality gap of that model, whose predictions alone are used."""

Values = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Method:
    """A baseline: its name, and the function of (expression, settings, fold, prepared values) that does it.

    The function returns the predictions of the held-out samples and the number of genes that they use.
    """

    name: str
    run: Callable[[Expression, Settings, OuterFold, Values], tuple[np.ndarray, int]]


def add_baselines(study: Study, *, n_jobs: int | None = None, store: Store | None = None) -> Study:
    """Return the study with its ``baselines``: the rows of ``METHODS`` for its target, scored in its outer folds.

    Args:
        study: from :func:`run_study`.
        n_jobs: outer folds at a time, as joblib counts them.
        store: where finished folds are kept, for a run that may be stopped.

    >>> from spred.genes import Settings, read, run_study
    >>> study = run_study(read("demo:tissue"), Settings(rule="1se", n_alphas=5, folds=2))
    >>> [found.name for found in add_baselines(study).baselines][-1]
    'univariate filter + linear SVM'
    """
    expression, settings = study.expression, study.settings
    methods, y = METHODS[expression.kind], expression.target
    kept = None if store is None else store.stage("baselines", *inputs(expression, settings))
    tasks = [(expression, settings, fold) for fold in study.folds]
    pieces = run_tasks(run_methods, tasks, n_jobs=n_jobs, store=kept)
    metric = METRICS[expression.task]
    found = [
        Baseline(
            name=method.name,
            score=fold_scores(metric, study.folds, y, [piece[f"predicted_{i}"] for piece in pieces]),
            n_genes=tuple(int(piece["n_genes"][i]) for piece in pieces),
        )
        for i, method in enumerate(methods)
    ]
    return replace(study, baselines=(*study.baselines, *found))


def run_methods(expression: Expression, settings: Settings, fold: OuterFold) -> Arrays:
    """Run every baseline in one fold."""
    values = prepared(expression, settings, fold)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # constant genes have no F statistic: they are ranked last
        found = [method.run(expression, settings, fold, values) for method in METHODS[expression.kind]]
    arrays: Arrays = {"n_genes": np.array([n for _, n in found])}
    for i, (predicted, _) in enumerate(found):
        arrays[f"predicted_{i}"] = predicted.astype(str) if expression.classes else predicted
    return arrays


def guess(expression: Expression, settings: Settings, fold: OuterFold, values: Values) -> tuple[np.ndarray, int]:
    """Predict the same of every sample: the largest class, the mean, equal risks."""
    y = expression.target[fold.train]
    if expression.task == "survival":
        return np.zeros(len(fold.test)), 0
    if expression.task == "regression":
        return np.full(len(fold.test), y.mean()), 0
    names, counts = np.unique(y.astype(str), return_counts=True)
    return np.full(len(fold.test), names[counts.argmax()]), 0


def l1(expression: Expression, settings: Settings, fold: OuterFold, values: Values) -> tuple[np.ndarray, int]:
    """Fit the L1 model, converged, at the penalty of the lowest held-out deviance; for many classes row-sparse."""
    train, test = values
    groups = None if expression.group is None else expression.group[fold.train]
    model = linear_path(expression, replace(settings, rule="min", l1_ratio=1.0)).fit(
        train, expression.target[fold.train], groups=groups
    )
    return model.predict(test), int(model.get_support()[: len(expression.genes)].sum())


def one_against_rest(
    expression: Expression, settings: Settings, fold: OuterFold, values: Values
) -> tuple[np.ndarray, int]:
    """Fit the same for each class against all others, each at its own penalty; a gene counts if any of them uses it."""
    from sklearn.multiclass import OneVsRestClassifier

    train, test = values
    model = OneVsRestClassifier(linear_path(expression, replace(settings, rule="min", l1_ratio=1.0)))
    model.fit(train, expression.target[fold.train])  # scikit-learn hands no groups on; the outer folds keep them
    used = np.any([one.get_support() for one in model.estimators_], axis=0)
    return model.predict(test), int(used[: len(expression.genes)].sum())


def filtered(expression: Expression, settings: Settings, fold: OuterFold, values: Values) -> tuple[np.ndarray, int]:
    """Keep the k genes of the largest univariate statistic, fit a dense linear model; inner folds choose k."""
    from sklearn.base import clone

    from spred.estimators.nested import outer_splits

    train, test = (part[:, : len(expression.genes)] for part in values)
    y, metric, model = expression.target[fold.train], METRICS[expression.task], dense(expression, settings)
    sizes = [k for k in SIZES if k <= train.shape[1]] or [train.shape[1]]
    inner = outer_splits(
        y,
        strata=None if expression.strata is None else expression.strata[fold.train],
        groups=None if expression.group is None else expression.group[fold.train],
        cv=settings.folds,
        repeats=1,
        random_state=0,
    )
    scores = np.zeros(len(sizes))
    for _, (a, b) in inner:
        order = ranking(expression.task, train[a], y[a])
        for i, k in enumerate(sizes):
            predicted = clone(model).fit(train[np.ix_(a, order[:k])], y[a]).predict(train[np.ix_(b, order[:k])])
            scores[i] += metric.of(y[b], predicted, y[a])
    best = sizes[int(scores.argmax())]
    kept = ranking(expression.task, train, y)[:best]
    return model.fit(train[:, kept], y).predict(test[:, kept]), best


def ranking(task: str, values: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the genes in falling order of their univariate statistic; those without one come last."""
    from sklearn.feature_selection import f_classif, f_regression

    if task == "survival":
        statistic = cox_score(values, y)
    else:
        statistic = (f_classif if task == "classification" else f_regression)(values, y)[0]
    return np.argsort(-np.nan_to_num(statistic, nan=-1.0), kind="stable")


def dense(expression: Expression, settings: Settings) -> Any:
    """Return the dense linear model of a task, behind standardisation."""
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    from spred.estimators import SparseCox

    if expression.task == "classification":
        return make_pipeline(StandardScaler(), SVC(kernel="linear", class_weight=settings.class_weight))
    if expression.task == "regression":
        return make_pipeline(StandardScaler(), Ridge())
    return SparseCox(alpha=RIDGE, l1_ratio=0.0, tol=FILTER_TOL)


GUESS = Method("largest class", guess)
FILTER = Method("univariate filter + linear SVM", filtered)
METHODS: dict[str, tuple[Method, ...]] = {
    "two classes": (GUESS, Method("L1 logistic regression", l1), FILTER),
    "classes": (
        GUESS,
        Method("L1 logistic regression, one against the rest", one_against_rest),
        Method("row-sparse multinomial regression", l1),
        FILTER,
    ),
    "regression": (Method("mean", guess), Method("Lasso", l1), Method("univariate filter + ridge", filtered)),
    "survival": (
        Method("equal risks", guess),
        Method("L1 Cox regression", l1),
        Method("univariate filter + ridge Cox", filtered),
    ),
}
