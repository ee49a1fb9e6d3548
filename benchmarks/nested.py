"""Nested cross-validation of sparse logistic regression on golub, spred beside scikit-learn.

    scripts/bench nested [--folds 5] [--repeats 3] [--jobs 1]

spred: 50 alphas down to a twentieth of the first, inner folds at a gap of 1e-4, paths at 1e-9, the alpha of least
held-out deviance. scikit-learn: ``LogisticRegressionCV`` with L1 and liblinear over 20 values, chosen by log-loss,
columns standardised in each outer fold. Outer folds are the same and inner ones as many; each repeat draws them anew,
and each has its own time.

liblinear's default tolerance stops long before the minimum of its objective, at many times as many features: an early
stop that acts like a ridge. So there is a row in which it has converged further, and two in which spred has a ridge: at
one ratio of L1, and at the one of three that the inner folds choose.
"""

from __future__ import annotations

import argparse
import time
import warnings
from functools import partial
from statistics import mean, median

import numpy as np
from datasets import DATASETS, Data
from record import machine, write
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import spred

Split = tuple[np.ndarray, np.ndarray]

GOALS = {"ratio": 10.0, "seconds": 2.0}
OURS, THEIRS = "spred", "scikit-learn"


def by_spred(
    data: Data, splits: list[Split], jobs: int, l1_ratio: float | tuple[float, ...] = 1.0
) -> list[tuple[float, int]]:
    """Return log-loss and number of features of each outer fold."""
    model = spred.SparseClassifierCV(
        n_alphas=50, eps=0.05, l1_ratio=l1_ratio, rule="min", cv=len(splits), cv_tol=1e-4, tol=1e-9
    )
    folds = spred.nested_cv(model, data.X, data.y, cv=splits, n_jobs=jobs).folds
    return [(_loss(data.y[fold.test], fold.probabilities), int(fold.estimator.get_support().sum())) for fold in folds]


def by_scikit_learn(
    data: Data, splits: list[Split], jobs: int, tol: float = 1e-4, max_iter: int = 100
) -> list[tuple[float, int]]:
    """Return log-loss and number of features of each outer fold."""
    found = []
    for train, test in splits:
        model = LogisticRegressionCV(
            Cs=20,
            l1_ratios=(1.0,),
            solver="liblinear",
            scoring="neg_log_loss",
            cv=StratifiedKFold(len(splits), shuffle=True, random_state=0),
            tol=tol,
            max_iter=max_iter,
            n_jobs=jobs,
            random_state=0,
            use_legacy_attributes=False,
        )
        pipeline = make_pipeline(StandardScaler(), model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # liblinear says where it stops short of its tolerance
            pipeline.fit(data.X[train], data.y[train])
        found.append((_loss(data.y[test], pipeline.predict_proba(data.X[test])), np.count_nonzero(model.coef_)))
    return found


def _loss(y: np.ndarray, probabilities: np.ndarray) -> float:
    return float(log_loss(y, probabilities, labels=[0, 1]))


CONTENDERS = {
    OURS: by_spred,
    "spred, l1_ratio 0.5": partial(by_spred, l1_ratio=0.5),
    "spred, ratio chosen": partial(by_spred, l1_ratio=(1.0, 0.9, 0.5)),
    THEIRS: by_scikit_learn,
    "scikit-learn, tol 1e-7": partial(by_scikit_learn, tol=1e-7, max_iter=1000),
}


def main(arguments: list[str]) -> None:
    """Parse the command line, run, print, write ``results/nested.json``."""
    parser = argparse.ArgumentParser("scripts/bench nested", description=__doc__.split("\n")[0])
    parser.add_argument("--folds", type=int, default=5, help="outer ones, and inner ones in each")
    parser.add_argument("--repeats", type=int, default=3, help="draws of the outer folds")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    given = parser.parse_args(arguments)
    data = DATASETS["golub"].load()
    rows: dict[str, list[dict]] = {name: [] for name in CONTENDERS}
    for seed in range(given.repeats):
        splits = list(StratifiedKFold(given.folds, shuffle=True, random_state=seed).split(data.X, data.y))
        for name, run in CONTENDERS.items():
            if seed == 0 and name.startswith(OURS):
                run(data, splits[:2], given.jobs)  # compiled code is loaded; cold_start.py measures that
            began = time.perf_counter()
            folds = run(data, splits, given.jobs)
            seconds = time.perf_counter() - began
            losses, features = zip(*folds, strict=True)
            rows[name].append(
                {"seed": seed, "seconds": seconds, "log_loss": mean(losses), "features": float(mean(features))}
            )
    table = {
        name: {"seconds": median(run["seconds"] for run in runs)}
        | {what: mean(run[what] for run in runs) for what in ("log_loss", "features")}
        for name, runs in rows.items()
    }
    for name, line in table.items():
        loss, features = line["log_loss"], line["features"]
        print(f"{name:23} {line['seconds']:7.2f} s   outer log-loss {loss:.4f}   {features:6.1f} features")
    ratio = table[THEIRS]["seconds"] / table[OURS]["seconds"]
    print(f"{THEIRS} over {OURS}: {ratio:.1f}× (goals: {GOALS['ratio']:g}×, and {GOALS['seconds']:g} s)")
    content = {"machine": machine(), "settings": vars(given), "summary": table, "ratio": ratio, "runs": rows}
    write("nested", content)
