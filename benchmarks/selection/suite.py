"""Gated networks beside their peers: real sets in the same folds, generated sets by what they find.

    scripts/bench selection [--sets ALLAML xor …] [--methods …] [--seeds 3] [--folds 5] [--rounds 3] [--again] [--table]

Real sets: accuracy on held-out samples and inputs in use. Generated sets: R² or accuracy on as many new samples, the
inputs found and wrongly kept, and in how many runs all were found with at most 2 others; a seed makes the data. Round
by round, the first fold of every set comes first; what is done is kept in the results file and done anew only with
``--again``, and two processes may fill one file. The table has means over the runs that all these methods of a set
share, and LassoNet and STG where they are installed (``pip install --no-deps lassonet stg``). Seconds are processor
time, of all the choices that a method offers together.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Iterator
from functools import cache
from statistics import mean

import numpy as np
from record import machine
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import StratifiedKFold

from selection.keep import Kept
from selection.methods import METHODS, PEERS, available
from selection.sets import GENERATED, REAL, Set, expression

Pair = tuple[np.ndarray, np.ndarray]
Task = tuple[str, str, int, int]
"""Set, method, seed, fold."""


def main(arguments: list[str]) -> None:
    """Run sets and methods, keep each run, print a line for each set and method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="*", default=[*REAL, *GENERATED], choices=[*REAL, *GENERATED])
    parser.add_argument("--methods", nargs="*", default=available(), choices=list(METHODS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--rounds", type=int, help="folds of real sets, at most, over all seeds")
    parser.add_argument("--again", action="store_true", help="run what is there again, and replace it")
    parser.add_argument("--table", action="store_true", help="run nothing, print what is there")
    parser.add_argument("--name", default="selection", help="of the file under results/")
    given = parser.parse_args(arguments)
    kept = Kept(given.name, machine(**peers()))
    for task in () if given.table else tasks(given):
        if given.again or not kept.has(task):
            kept.add(task, runs_of(*task, n_folds=given.folds))
    table([run for run in kept.runs() if run["method"] in given.methods], given.sets)


def peers() -> dict[str, str]:
    """Return the versions of the peers that are there."""
    from importlib.metadata import version

    return {PEERS[name]: version(PEERS[name]) for name in available() if name in PEERS}


def tasks(given: argparse.Namespace) -> Iterator[Task]:
    """Give what is to be run, the first round of every set before the second of any."""
    n_rounds = given.rounds or given.seeds * given.folds
    for number in range(n_rounds):
        for name in given.sets:
            seed, fold = (number, 0) if name in GENERATED else divmod(number, given.folds)
            if seed < given.seeds:
                yield from ((name, method, seed, fold) for method in given.methods)


def runs_of(name: str, method: str, seed: int, fold: int, *, n_folds: int) -> list[dict]:
    """Fit one method to one training part and judge every model that it offers on the test part."""
    data, (train, test) = generated(name, seed) if name in GENERATED else part(name, seed, fold, n_folds)
    began = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        offered = METHODS[method](data, train, test, seed)
    seconds = time.process_time() - began
    score = accuracy_score if data.classes else r2_score
    rows = []
    for rule, (predicted, inputs) in offered.items():
        row = {"rule": rule, "score": float(score(data.y[test], predicted)), "inputs": len(inputs), "seconds": seconds}
        if data.truth is not None:
            found = len(data.truth & set(map(int, inputs)))
            row |= {"found": found, "wrong": len(inputs) - found, "all": found == len(data.truth)}
        rows.append(row)
    return rows


@cache
def real(name: str) -> Set:
    """Read a real set once."""
    return expression(name)


def part(name: str, seed: int, fold: int, n_folds: int) -> tuple[Set, Pair]:
    """Return a real set and one of its stratified folds."""
    data = real(name)
    splits = StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(data.X, data.y)
    return data, list(splits)[fold]


def generated(name: str, seed: int) -> tuple[Set, Pair]:
    """Return a generated set with as many new samples of the same kind behind it."""
    make, n = GENERATED[name]
    return make(seed, 2 * n), (np.arange(n), np.arange(n, 2 * n))


def table(runs: list[dict], sets: list[str]) -> None:
    """Print means over the runs that all methods of a set share, and how often everything was found."""
    heads = f"{'runs':>5} {'score':>7} {'inputs':>7} {'seconds':>8} {'found':>6} {'wrong':>6}"
    print(f"{'set':12} {'method':32} {heads}  all found, at most 2 others")
    for name in sets:
        own = [run for run in runs if run["set"] == name]
        methods = sorted({run["method"] for run in own}, key=list(METHODS).index)
        shared = set.intersection(*({place(r) for r in own if r["method"] == m} for m in methods)) if own else set()
        for method in methods:
            for rule in dict.fromkeys(run["rule"] for run in own if run["method"] == method):
                every = [run for run in own if (run["method"], run["rule"]) == (method, rule)]
                print(line(name, f"{method}, {rule}", [run for run in every if place(run) in shared], every))


def place(run: dict) -> tuple[int, int]:
    """Return which fold of which seed a run was made in."""
    return run["seed"], run["fold"]


def line(name: str, method: str, runs: list[dict], every: list[dict]) -> str:
    """Return the means of one method on one set over shared runs; the last column counts all its own."""
    if not runs:
        return f"{name:12} {method:32} {0:5}"
    average = {key: mean(run[key] for run in runs) for key in runs[0] if key not in ("set", "method", "rule")}
    cells = f"{len(runs):5} {average['score']:7.3f} {average['inputs']:7.1f} {average['seconds']:8.1f}"
    if "found" not in average:
        return f"{name:12} {method:32} {cells}"
    reached = sum(run["all"] and run["wrong"] <= 2 for run in every)
    return f"{name:12} {method:32} {cells} {average['found']:6.1f} {average['wrong']:6.1f}  {reached} of {len(every)}"
