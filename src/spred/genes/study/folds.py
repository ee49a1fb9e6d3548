"""The outer folds of a study: what is fitted, what it predicts of the held-out samples, and which genes it selects.

A fold leaves arrays and no fitted estimator, so that it can be kept on the disk and taken up again. Its preprocessing
is cheap and can be had again by :func:`prepared`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.pipeline import Pipeline

from spred.estimators.nested import outer_splits
from spred.genes.data.expression import Expression
from spred.genes.study.models import find_model
from spred.genes.study.pipeline import preprocessing
from spred.genes.study.settings import Settings
from spred.runtime.tasks import Arrays, Store, run_tasks


@dataclass(frozen=True, eq=False)
class OuterFold:
    """One outer fold.

    Attributes:
        repeat: number of the repeat that it belongs to, from 0.
        train: positions of the training samples.
        test: positions of the held-out samples.
        predicted: class, number or risk of each held-out sample.
        probabilities: ``(len(test), K)`` in sorted order of the classes; None for other tasks.
        support: which genes were selected, ``(n_genes,)``.
        alpha: the penalty chosen.
        middle: for survival, the median risk of the training samples; else 0.
        warned: what the solver warned of.
    """

    repeat: int
    train: np.ndarray
    test: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray | None
    support: np.ndarray
    alpha: float
    middle: float
    warned: tuple[str, ...]


def outer_folds(
    expression: Expression,
    settings: Settings,
    *,
    n_jobs: int | None = None,
    store: Store | None = None,
    on_fold: Callable[[int, int], None] | None = None,
) -> tuple[OuterFold, ...]:
    """Run the whole procedure in every outer fold of every repeat."""
    splits = outer_splits(
        expression.target,
        strata=expression.strata,
        groups=expression.group,
        cv=settings.folds,
        repeats=settings.repeats,
        random_state=settings.seed,
    )
    kept = None if store is None else store.stage("folds", *inputs(expression, settings))
    tasks = [(expression, settings, train, test) for _, (train, test) in splits]
    pieces = run_tasks(fit_fold, tasks, n_jobs=n_jobs, store=kept, on_done=on_fold)
    return tuple(
        OuterFold(
            repeat=repeat,
            train=train,
            test=test,
            predicted=piece["predicted"],
            probabilities=piece.get("probabilities"),
            support=piece["support"],
            alpha=float(piece["alpha"]),
            middle=float(piece["middle"]),
            warned=tuple(piece["warned"].tolist()),
        )
        for (repeat, (train, test)), piece in zip(splits, pieces, strict=True)
    )


def inputs(expression: Expression, settings: Settings) -> tuple[object, ...]:
    """Return everything that the numbers of a fold depend on, but the number of repeats: more of them add folds."""
    choices = {name: value for name, value in vars(settings).items() if name != "repeats"}
    return (expression.design, expression.target, expression.group, expression.log2, choices)


def fit_fold(expression: Expression, settings: Settings, train: np.ndarray, test: np.ndarray) -> Arrays:
    """Fit the whole procedure on ``train`` and return its predictions of ``test``."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        model = fit(expression, settings, train)
    held_out = expression.design[test]
    predicted = model.predict(held_out)
    found: Arrays = {
        "predicted": predicted.astype(str) if expression.classes else predicted,
        "support": support(expression, model),
        "alpha": np.array(model[-1].alpha_),
        "middle": np.array(0.0),
        "warned": np.array(sorted({str(w.message) for w in caught}), dtype=str),
    }
    if expression.classes:
        found["probabilities"] = model.predict_proba(held_out)
    if expression.task == "survival":
        found["middle"] = np.array(np.median(model.predict(expression.design[train])))
    return found


def fit(expression: Expression, settings: Settings, rows: np.ndarray) -> Pipeline:
    """Fit preprocessing and model to some samples; the last step of the pipeline is the model."""
    last = find_model(settings.model).cross_validated(expression, settings)
    model = Pipeline([*preprocessing(expression, settings).steps, ("model", last)])
    groups = None if expression.group is None else expression.group[rows]
    return model.fit(expression.design[rows], expression.target[rows], model__groups=groups)


def prepared(expression: Expression, settings: Settings, fold: OuterFold) -> tuple[np.ndarray, np.ndarray]:
    """Return the training and held-out parts of a fold as its model had them, covariates behind the genes."""
    steps = preprocessing(expression, settings).fit(expression.design[fold.train])
    return steps.transform(expression.design[fold.train]), steps.transform(expression.design[fold.test])


def support(expression: Expression, model: Pipeline) -> np.ndarray:
    """Return which genes a fitted pipeline selected, ``(n_genes,)``."""
    return np.asarray(model[-1].get_support()[: len(expression.genes)])
