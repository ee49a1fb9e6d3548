"""How good a score permuted labels reach: the same folds, at the penalties chosen for the true labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import perf_counter

import numpy as np

from spred.errors import InputError
from spred.genes.data.expression import Expression
from spred.genes.study.folds import OuterFold, inputs, prepared
from spred.genes.study.models import find_model
from spred.genes.study.results import Permutations
from spred.genes.study.scores import METRICS
from spred.genes.study.settings import Settings
from spred.genes.study.study import Study
from spred.runtime.tasks import Arrays, Store, run_tasks

MOST_DRAWS = 1000
"""Attempts at a permutation that leaves every class in every training part, before it is an error."""

ROUNDING = 1e-12
"""Scores nearer than this are equal: a permutation that ties the true labels counts against them."""

Parts = list[tuple[np.ndarray, np.ndarray]]


def add_permutations(
    study: Study,
    n: int = 100,
    *,
    n_jobs: int | None = None,
    store: Store | None = None,
    on_permutation: Callable[[int, int], None] | None = None,
) -> Study:
    """Return the study with its ``permutations``: how good a score permuted labels reach.

    Groups of one class swap their labels with groups of the same size; in groups that hold several classes, labels
    are permuted inside. So what belongs together stays together. Each fold of the first repeat keeps its samples and
    the alpha that was chosen for the true labels; the choice itself is not repeated.

    Args:
        study: from :func:`run_study`.
        n: permutations; the smallest p-value is 1 / (1 + n).
        n_jobs: permutations at a time, as joblib counts them.
        store: where finished permutations are kept, for a run that may be stopped.
        on_permutation: called with (permutations done, permutations in all).

    Raises:
        InputError: n is below 1, or no permutation leaves every class in every training part.

    >>> from spred.genes import Settings, read, run_study
    >>> study = run_study(read("demo:tissue"), Settings(rule="1se", n_alphas=5, folds=2))
    >>> add_permutations(study, 1).permutations.p
    0.5
    """
    if n < 1:
        raise InputError(f"{n} permutations were asked for; at least 1 is needed, and 100 give a p-value down to 0.01")
    start, expression, settings = perf_counter(), study.expression, study.settings
    rng = np.random.default_rng(settings.seed)
    folds = [fold for fold in study.folds if fold.repeat == 0]
    parts = [prepared(expression, settings, fold) for fold in folds]
    orders = [draw(expression, folds, rng) for _ in range(n)]
    kept = None if store is None else store.stage("permutations", *inputs(expression, settings))
    tasks = [(expression, settings, folds, parts, order) for order in orders]
    pieces = run_tasks(permuted, tasks, n_jobs=n_jobs, store=kept, on_done=on_permutation)
    scores = tuple(float(piece["score"]) for piece in pieces)
    observed = float(np.mean(study.score.main.folds[: len(folds)]))
    p = (1 + sum(s >= observed - ROUNDING for s in scores)) / (1 + n)
    return replace(study, permutations=Permutations(observed, scores, p, perf_counter() - start))


def draw(expression: Expression, folds: list[OuterFold], rng: np.random.Generator) -> np.ndarray:
    """Return a permutation of the samples whose labels leave every class in every training part."""
    codes = np.unique(expression.target, return_inverse=True)[1]
    classes = len(expression.classes)
    for _ in range(MOST_DRAWS):
        order = permute(codes, expression.group, rng)
        if all(len(set(codes[order][fold.train])) >= classes for fold in folds):
            return order
    raise InputError("no permutation of the labels leaves every class in every training fold; use fewer folds")


def permute(codes: np.ndarray, groups: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    """Return whose label each sample takes: whole groups of one label among groups of their size, else inside."""
    if groups is None:
        return rng.permutation(len(codes))
    order = np.arange(len(codes))
    pure: dict[int, list[np.ndarray]] = {}
    for name in np.unique(groups):
        members = np.flatnonzero(groups == name)
        if len(set(codes[members])) == 1:
            pure.setdefault(len(members), []).append(members)
        else:
            order[members] = rng.permutation(members)
    for alike in pure.values():
        for members, other in zip(alike, rng.permutation(len(alike)), strict=True):
            order[members] = alike[other]
    return order


def permuted(
    expression: Expression, settings: Settings, folds: list[OuterFold], parts: Parts, order: np.ndarray
) -> Arrays:
    """Return the mean score over the folds with permuted labels."""
    y, metric, model = expression.target[order], METRICS[expression.task], find_model(settings.model)
    scores = []
    for fold, (train, test) in zip(folds, parts, strict=True):
        fitted = model.at_alpha(expression, settings, fold.alpha).fit(train, y[fold.train])
        scores.append(metric.of(y[fold.test], fitted.predict(test), y[fold.train]))
    return {"score": np.array(np.mean(scores))}
