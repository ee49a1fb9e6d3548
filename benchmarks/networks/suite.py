"""Run the torch suite: step times, and the frontier of accuracy against compression on MNIST.

Methods are compared at equal compression (:mod:`frontier`), on validation and on test images. Nothing was chosen by a
test accuracy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from importlib.util import find_spec

import torch
from frontier import line
from joblib import Parallel, delayed

from networks.copies import BASES, PENALTIES, beyond_dense
from networks.exactness import kkt, problems
from networks.methods import METHODS
from networks.objective import mnist, run
from networks.steps import CASES, TIMED, step_times
from spred.compress.data.dataset import Images

RATIOS = (10, 20, 50, 75, 100, 150)


def frontier_runs(
    methods: list[str], seeds: int, epochs: int, refit: int, rows: list[dict], save: Callable[[list[dict]], object]
) -> list[dict]:
    """Train what ``rows`` does not have yet, print as it goes, and return all rows.

    ``save`` gets the rows after each run, so that an interrupted suite can go on.
    """
    methods = available(methods)
    done = {(row["method"], row["seed"], row["strength"]) for row in runs_of(rows, epochs, refit)}
    wanted = [(name, seed, strength) for seed in range(seeds) for name in methods for strength in METHODS[name].GRID]
    print(f"\n{'MNIST, LeNet-300-100':20} seed  strength compression validation    test seconds")
    images = mnist()
    tasks = (delayed(_one)(*task, images, epochs, refit) for task in wanted if task not in done)
    for row in Parallel(n_jobs=-1, return_as="generator")(tasks):
        rows = [*rows, row]
        save(rows)
        print(
            f"{row['method']:20} {row['seed']:4} {row['strength']:9.2g} {1 / max(row['density'], 1e-9):10.1f}× "
            f"{100 * row['validation']:10.2f} {100 * row['test']:7.2f} {row['seconds']:7.0f}",
            flush=True,
        )
    table(runs_of(rows, epochs, refit), methods)
    return rows


def steps(methods: list[str]) -> list[dict]:
    """Time one step of each network; print and return the rows."""
    rows = []
    print(f"{'one step of':20} {'':20} {'ms':>8}  over dense")
    for case in CASES:
        times = step_times(case, [name for name in TIMED if name in available(methods)])
        for name, ms in times.items():
            rows.append({"measure": "step", "network": case, "method": name, "ms": ms, "ratio": ms / times["dense"]})
            print(f"{case:20} {name:20} {ms:8.2f} {rows[-1]['ratio']:10.2f}×", flush=True)
    return rows


def exactness() -> list[dict]:
    """Train three problems to the end, in minibatches and in full batch; print and return their KKT residuals."""
    torch.set_num_threads(1)  # the problems are small
    rows = []
    print(f"{'KKT residual over alpha':24} {'mode':14} {'residual':>10} {'density':>8}")
    for problem in problems():
        for mode in ("minibatch SGD", "full batch"):
            rows.append(kkt(problem, mode))
            print(f"{problem.name:24} {mode:14} {rows[-1]['kkt']:10.1e} {rows[-1]['density']:8.3f}", flush=True)
    return rows


def memory() -> list[dict]:
    """Count copies of the weights; print and return the rows."""
    rows = []
    print(f"{'copies beyond dense':20} {'base':14} {'regrowth':>10} {'after it':>10}")
    for penalty in PENALTIES:
        for base in BASES:
            first, then = (beyond_dense(base, penalty, regrow=regrow) for regrow in (True, False))
            rows.append({"measure": "memory", "penalty": penalty, "base": base, "regrowth": first, "after": then})
            print(f"{penalty:20} {base:14} {first:10.2f} {then:10.2f}", flush=True)
    return rows


def available(methods: list[str]) -> list[str]:
    """Return the methods whose package is installed."""
    return [name for name in methods if name != "torchao PAT" or find_spec("torchao") is not None]


def runs_of(rows: list[dict], epochs: int, refit: int) -> list[dict]:
    """Return the training runs of so many epochs, so many of them to refit."""
    runs = (row for row in rows if row["measure"] == "frontier")
    return [row for row in runs if (row["epochs"], row.get("refit", row["epochs"] // 4)) == (epochs, refit)]


def _one(name: str, seed: int, strength: float, images: Images, epochs: int, refit: int) -> dict:
    torch.set_num_threads(1)
    result = run(METHODS[name], strength, images, seed, epochs, refit)
    row = {"measure": "frontier", "method": name, "seed": seed, "strength": strength, "epochs": epochs, "refit": refit}
    return row | asdict(result)


def table(rows: list[dict], methods: list[str]) -> None:
    """Print accuracies at fixed compressions, where a method's grid spans them."""
    for part in ("validation", "test"):
        print(f"\n{part + ' accuracy at':20}" + "".join(f"{ratio:>14}×" for ratio in RATIOS))
        for name in methods:
            print(line(name, [row for row in rows if row["method"] == name], RATIOS, part))
