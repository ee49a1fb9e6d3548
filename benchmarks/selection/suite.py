"""Gated networks beside their peers: real sets in the same folds, generated sets by what they find.

    scripts/bench selection [--sets ALLAML xor …] [--methods …] [--seeds 3] [--folds 5]

Real sets: accuracy on held-out samples and inputs in use, means over folds and seeds. Generated sets: R² or accuracy on
as many new samples and the inputs found and wrongly kept; a seed makes the data. LassoNet is measured where it is
installed (``pip install --no-deps lassonet``). Seconds are processor time.
"""

from __future__ import annotations

import argparse
import time
from statistics import mean

import numpy as np
from record import machine, write
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import StratifiedKFold

from selection.methods import METHODS, available
from selection.sets import GENERATED, REAL, Set, expression

Pair = tuple[np.ndarray, np.ndarray]


def main(arguments: list[str]) -> None:
    """Run sets and methods, print a line each, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="*", default=[*REAL, *GENERATED], choices=[*REAL, *GENERATED])
    parser.add_argument("--methods", nargs="*", default=available(), choices=list(METHODS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--name", default="selection", help="of the file under results/")
    given = parser.parse_args(arguments)
    rows = []
    print(f"{'set':12} {'method':16} {'score':>7} {'inputs':>7} {'found':>6} {'wrong':>6} {'seconds':>8}")
    for name in given.sets:
        for method in given.methods:
            runs = [run for seed in range(given.seeds) for run in runs_of(name, method, seed, given.folds)]
            rows.append({"set": name, "method": method, "runs": runs})
            print(line(name, method, runs), flush=True)
    write(given.name, {"machine": machine(), "rows": rows})


def runs_of(name: str, method: str, seed: int, n_folds: int) -> list[dict]:
    """Return one record for each fold of a real set, or one for a generated set."""
    data, splits = generated(name, seed) if name in GENERATED else folds(name, seed, n_folds)
    return [one(data, METHODS[method], split, seed) for split in splits]


def folds(name: str, seed: int, n_folds: int) -> tuple[Set, list[Pair]]:
    """Return a real set and its stratified folds."""
    data = expression(name)
    splitter = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    return data, list(splitter.split(data.X, data.y))


def generated(name: str, seed: int) -> tuple[Set, list[Pair]]:
    """Return a generated set with as many new samples of the same kind behind it."""
    train, new = GENERATED[name](seed), GENERATED[name](seed + 10_000)
    n = len(train.y)
    both = Set(np.vstack([train.X, new.X]), np.concatenate([train.y, new.y]), train.classes, train.truth)
    return both, [(np.arange(n), np.arange(n, 2 * n))]


def one(data: Set, method: object, split: Pair, seed: int) -> dict:
    """Fit one method to one training part and judge it on the test part."""
    began = time.process_time()
    predicted, inputs = method(data, *split, seed)
    seconds = time.process_time() - began
    score = (accuracy_score if data.classes else r2_score)(data.y[split[1]], predicted)
    row = {"seed": seed, "score": float(score), "inputs": len(inputs), "seconds": seconds}
    if data.truth is not None:
        found = data.truth & set(map(int, inputs))
        row |= {"found": len(found), "wrong": len(inputs) - len(found)}
    return row


def line(name: str, method: str, runs: list[dict]) -> str:
    """Return the means of one method on one set."""
    cells = [f"{mean(run[key] for run in runs):{width}}" for key, width in (("score", "7.3f"), ("inputs", "7.1f"))]
    known = "found" in runs[0]
    cells += [f"{mean(run[key] for run in runs):6.1f}" if known else f"{'–':>6}" for key in ("found", "wrong")]
    return " ".join([f"{name:12} {method:16}", *cells, f"{mean(run['seconds'] for run in runs):8.1f}"])
