"""What compiling costs: the first fit of a fresh process less the second, without and with a cache of compiled code.

    scripts/bench cold-start

Each loss gets an empty cache of its own, and then a second process that finds it filled. Importing the engine is shown
apart. It writes ``results/cold-start.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile

from record import machine, write

GOALS = {"empty": 15.0, "warm": 0.5}
LOSSES = ("squared", "logistic", "poisson", "multinomial", "cox")

CHILD = """
import json, sys, time
import numpy as np
began = time.perf_counter()
from spred import path, survival_target
imported = time.perf_counter() - began
rng = np.random.default_rng(0)
X = rng.standard_normal((100, 2000))
eta = X[:, 0] - X[:, 1]
time_to_event = rng.exponential(np.exp(-eta))
y = {
    "squared": lambda: eta + rng.standard_normal(100),
    "logistic": lambda: (eta + rng.logistic(size=100) > 0).astype(float),
    "poisson": lambda: rng.poisson(np.exp(0.5 * eta)).astype(float),
    "multinomial": lambda: np.digitize(eta, [-0.5, 0.5]),
    "cox": lambda: survival_target(np.ones(100, dtype=bool), time_to_event),
}[sys.argv[1]]()
def fit():
    began = time.perf_counter()
    path(X, y, loss=sys.argv[1], n_alphas=30, eps=0.1)
    return time.perf_counter() - began
first, second = fit(), fit()
print(json.dumps({"import": imported, "first": first, "second": second}))
"""


def measure(loss: str, cache: str) -> dict:
    """Fit twice in a fresh process with this folder for compiled code."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, loss],
        env=os.environ | {"NUMBA_CACHE_DIR": cache},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def main(arguments: list[str]) -> None:
    """Run every loss twice, print, write JSON."""
    argparse.ArgumentParser("scripts/bench cold-start", description=__doc__.split("\n")[0]).parse_args(arguments)
    rows = []
    print(f"{'loss':12} {'cache':6} {'import':>8} {'first':>8} {'second':>8} {'above':>8}  goal")
    for loss in LOSSES:
        with tempfile.TemporaryDirectory() as cache:
            for state, goal in GOALS.items():
                row = {"loss": loss, "cache": state} | measure(loss, cache)
                row["above"] = row["first"] - row["second"]
                rows.append(row)
                times = " ".join(f"{row[name]:6.2f} s" for name in ("import", "first", "second", "above"))
                print(f"{loss:12} {state:6} {times}  {goal:g} s", flush=True)
    write("cold-start", {"machine": machine(), "goals": GOALS, "rows": rows})
