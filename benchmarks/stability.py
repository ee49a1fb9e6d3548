"""How many true and false features stability selection keeps: ``python benchmarks/stability.py [DRAWS] [SAMPLES ...]``.

Ten of 10,000 features with effects ±1, columns with autocorrelation 0.5, noise of half the variance of the signal; at
PFER 1. A false feature is any other one, neighbours of a true one included. By default 5 draws of 200 samples;
``results/stability.json`` has each draw, and a draw that is there is not made again. The goals, means of 50 draws: 400
samples, 9.5 true or more and at most 1 false; 200 samples, 5 true or more and at most 1 false.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
from record import RESULTS, machine, write
from scipy.signal import lfilter

import spred

FEATURES, TRUE, CORRELATION = 10_000, 10, 0.5


def draw(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, set[int]]:
    """Return ``X``, ``y`` and the true features."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(n, FEATURES))
    noise[:, 1:] *= np.sqrt(1 - CORRELATION**2)
    X = lfilter([1.0], [1.0, -CORRELATION], noise, axis=1)
    true = rng.choice(FEATURES, TRUE, replace=False)
    signal = X[:, true] @ rng.choice([-1.0, 1.0], TRUE)
    return X, signal + rng.normal(size=n) * np.sqrt(signal.var() / 2), set(true.tolist())


def one(n: int, seed: int) -> dict[str, float]:
    """Return what one draw finds: how many true and false features."""
    X, y, true = draw(n, seed)
    start = time.perf_counter()
    stable = spred.StabilitySelection(spred.SparseRegressor(), n_jobs=-1).fit(X, y)
    found = set(stable.get_support(indices=True).tolist())
    return {
        "samples": n,
        "seed": seed,
        "true": len(found & true),
        "false": len(found - true),
        "q": stable.n_selected_,
        "threshold": stable.threshold_,
        "pfer": stable.pfer_,
        "seconds": time.perf_counter() - start,
    }


def main() -> None:
    """Print the mean numbers of true and false features for each number of samples; write the JSON draw by draw."""
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    path = RESULTS / "stability.json"
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    for n in [int(text) for text in sys.argv[2:]] or [200]:
        for seed in range(draws):
            if not any((row["samples"], row["seed"]) == (n, seed) for row in rows):
                rows.append(one(n, seed))
                write("stability", {"machine": machine(), "rows": rows})
        mine = [row for row in rows if row["samples"] == n]
        counts = np.array([(row["true"], row["false"]) for row in mine])
        right, wrong = counts.mean(axis=0)
        error = counts.std(axis=0, ddof=1) / np.sqrt(len(mine)) if len(mine) > 1 else (np.nan, np.nan)
        how = "q {q}, threshold {threshold:.2f}, bound {pfer:.2f}".format(**mine[-1])
        print(
            f"n {n}: {right:.2f} ± {error[0]:.2f} true, {wrong:.2f} ± {error[1]:.2f} false, mean ± standard error of "
            f"{len(mine)} draws ({how})",
            flush=True,
        )


if __name__ == "__main__":
    main()
