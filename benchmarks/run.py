"""Time spred against its peers in one run, all judged by one gap function; a table, and JSON under ``results/``.

``scripts/bench linear`` runs Lasso and sparse logistic paths of 100 alphas down to α_max/100. spred has to reach a
relative gap of 1e-9 at every alpha; a peer's time is that of the loosest of its tolerances that reaches 1e-5.

``scripts/bench torch`` measures step times and the frontier of accuracy against compression on MNIST; ``torch-steps``
the times alone.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np

import spred

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from datasets import DATASETS  # noqa: E402
from networks.methods import METHODS  # noqa: E402
from networks.suite import steps, torch_suite  # noqa: E402
from objective import grid, worst_gap  # noqa: E402
from solvers import SOLVERS  # noqa: E402

GOAL = {"spred": 1e-9}
PEER_GOAL = 1e-5


def measure(solver: ModuleType, X: np.ndarray, y: np.ndarray, loss: str, goal: float, limit: float) -> dict:
    """Return seconds and gap at the loosest tolerance that reaches ``goal``; the last one tried if none does."""
    alphas = grid(X, y, loss)
    solver.solve(X[:, :20].copy(order="F"), y, loss, alphas[:2], 1e-3)  # compile and load, not counted
    for tol in solver.TOLERANCES:
        began = time.perf_counter()
        coefs = solver.solve(X, y, loss, alphas, tol)
        seconds = time.perf_counter() - began
        if isinstance(coefs, tuple):  # a process of its own: its clock counts
            coefs, seconds = coefs
        gap = worst_gap(X, y, loss, alphas, coefs)
        if gap <= goal or seconds > limit:
            break
    return {"seconds": seconds, "gap": gap, "tol": tol, "reached": bool(gap <= goal)}


def linear(names: list[str], solvers: list[str], limit: float) -> list[dict]:
    """Run every solver on every data set and loss; print a row as each ends."""
    rows = []
    solvers = [label for label in solvers if getattr(SOLVERS[label], "available", lambda: True)()]
    print(f"{'data':10} {'loss':9} {'solver':13} {'seconds':>8} {'gap':>9}  against spred")
    for name in names:
        try:
            X, labels = DATASETS[name]()
        except (FileNotFoundError, spred.SpredError) as err:
            print(f"{name:10} skipped: {err}")
            continue
        for loss in ("squared", "logistic"):
            y = labels - labels.mean() if loss == "squared" else labels
            ours = None
            for label in solvers:
                row = {"data": name, "shape": X.shape, "loss": loss, "solver": label}
                row |= measure(SOLVERS[label], X, y, loss, GOAL.get(label, PEER_GOAL), limit)
                ours = row["seconds"] if label == "spred" else ours
                row["ratio"] = row["seconds"] / ours if ours else None
                rows.append(row)
                missed = "" if row["reached"] else "  goal not reached"
                ratio = f"{row['ratio']:6.1f}×" if ours else ""
                print(
                    f"{name:10} {loss:9} {label:13} {row['seconds']:8.2f} {row['gap']:9.1e} {ratio}{missed}", flush=True
                )
    return rows


def machine() -> dict:
    """Return what a reader needs to place the seconds: processor, cores, versions."""
    packages = ("torch-spred", "numpy", "scipy", "scikit-learn", "celer", "skglm", "torch", "torchao")
    found = {dist.name for dist in importlib.metadata.distributions()}
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in packages if name in found},
    }


def main() -> None:
    """Parse the command line, run, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("suite", choices=["linear", "torch", "torch-steps"])
    parser.add_argument("--data", nargs="*", default=list(DATASETS), choices=list(DATASETS))
    parser.add_argument("--solvers", nargs="*", default=list(SOLVERS), choices=list(SOLVERS))
    parser.add_argument("--limit", type=float, default=60.0, help="seconds after which no tighter tolerance is tried")
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS), help="of the torch suite")
    parser.add_argument("--seeds", type=int, default=3, help="of the torch suite")
    parser.add_argument("--epochs", type=int, default=40, help="of the torch suite")
    given = parser.parse_args()
    if given.suite == "torch":
        rows = torch_suite(given.methods, given.seeds, given.epochs)
    elif given.suite == "torch-steps":
        rows = steps(given.methods)
    else:
        rows = linear(given.data, given.solvers, given.limit)
    out = HERE / "results" / f"{given.suite}.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")
    print(f"written to {out.relative_to(HERE.parent)}")


if __name__ == "__main__":
    main()
