"""How long whole paths of gated networks take, hidden 50, with the certificate of every alpha.

    scripts/bench selection-paths [--cases …]

``path`` is one path on all samples, ``fit`` the same in 5 folds besides. Processor seconds; the peak of memory is
that of the process so far. Under ``lasso`` stand the most inputs of the exact lasso at ``alpha/√2``; the last
column compares supports.
"""

from __future__ import annotations

import argparse
import resource
import time
import warnings
from collections.abc import Callable

import numpy as np
from record import machine, write

import spred
from selection.sets import Set, expression, linear
from spred.estimators.cross_validation import Split
from spred.runtime.tasks import tracked


def wide() -> Set:
    """Effects of 10 among 50,000 inputs, 200 samples."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 50_000))
    y = X[:, :5].sum(axis=1) - X[:, 5:10].sum(axis=1) + rng.standard_normal(200)
    return Set(X, y, False)


CASES = {
    "ALLAML path": (lambda: expression("ALLAML"), 50, 1, 0.02),
    "ALLAML long path": (lambda: expression("ALLAML"), 50, 1, 0.001),
    "ALLAML fit": (lambda: expression("ALLAML"), 50, 5, 0.02),
    "20000 × 300 path": (lambda: linear(0, 300), 30, 1, 0.1),
    "50000 × 200 path": (wide, 50, 1, 0.02),
}
"""Data, alphas, folds, last alpha over the first; a path alone is a fit whose one fold is over at once."""


def main(arguments: list[str]) -> None:
    """Run the cases, print a line each, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="*", default=list(CASES), choices=list(CASES))
    given = parser.parse_args(arguments)
    heads = f"{'alphas':>6} {'inputs':>6} {'lasso':>6} {'steps':>6} {'kkt':>8} {'seconds':>8} {'GB':>5}"
    print(f"{'case':17} {heads}  as the lasso")
    rows = [run(name, *CASES[name]) for name in given.cases]
    write("selection-paths", {"machine": machine(), "rows": rows})


def run(name: str, make: Callable[[], Set], n_alphas: int, n_folds: int, eps: float) -> dict:
    """Fit one case and print its line."""
    data = make()
    kind = spred.NetworkClassifier if data.classes else spred.NetworkRegressor
    model = kind(n_alphas=n_alphas, eps=eps, cv=n_folds if n_folds > 1 else single(data))
    marks = [time.process_time()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the residuals are printed
        with tracked(on_done=lambda done, total: marks.append(time.process_time())):
            model.fit(data.X, data.y)
    path = model.path_
    row = {
        "case": name,
        "alphas": len(path.alphas),
        "inputs": int(path.n_nonzero.max()),
        "lasso_inputs": int(lasso(data, model).n_nonzero.max()),
        "steps": int(path.n_iter.sum()),
        "kkt": float(path.kkts.max()),
        "seconds": marks[-1 if n_folds > 1 else 1] - marks[0],
        "gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "same_support_as_lasso": None if data.classes else same_support(data, model),
    }
    same = "" if row["same_support_as_lasso"] is None else f"  {row['same_support_as_lasso']} of {row['alphas']} alphas"
    counts = f"{row['alphas']:6} {row['inputs']:6} {row['lasso_inputs']:6} {row['steps']:6}"
    print(f"{name:17} {counts} {row['kkt']:8.1e} {row['seconds']:8.2f} {row['gigabytes']:5.2f}{same}", flush=True)
    return row


def single(data: Set) -> list[Split]:
    """Return one split that leaves next to nothing to fit: a path needs no folds, and an estimator needs one."""
    few = np.concatenate([np.flatnonzero(data.y == label)[:2] for label in np.unique(data.y)[:2]])
    return [(few, few)]


def same_support(data: Set, model: spred.NetworkRegressor) -> int:
    """Return at how many alphas the network has the inputs of the exact lasso."""
    pairs = zip(model.path_.inputs, lasso(data, model).coefs, strict=True)
    return sum(np.array_equal(inputs, np.flatnonzero(coef)) for inputs, coef in pairs)


def lasso(data: Set, model: spred.NetworkRegressor) -> spred.Path:
    """Return the exact L1 path at the alphas of the network over √2."""
    y = np.unique(data.y, return_inverse=True)[1] if data.classes else (data.y - data.y.mean()) / data.y.std()
    alphas = model.path_.alphas / np.sqrt(2.0)
    loss = "logistic" if data.classes else "squared"
    return spred.path(data.X, y, loss=loss, alphas=alphas, standardize=True, tol=1e-6)
