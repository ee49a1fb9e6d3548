"""How many true and false features stability selection keeps: ``python benchmarks/stability.py [DRAWS] [SAMPLES ...]``.

Ten of 10,000 features with effects ±1, columns with autocorrelation 0.5, noise of half the variance of the signal; at
PFER 1. A false feature is any other one, neighbours of a true one included. By default 5 draws of 200 samples.
"""

from __future__ import annotations

import sys
import time

import numpy as np
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


def main() -> None:
    """Print the mean numbers of true and false features for each number of samples."""
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    for n in [int(text) for text in sys.argv[2:]] or [200]:
        counts, start = [], time.perf_counter()
        for seed in range(draws):
            X, y, true = draw(n, seed)
            stable = spred.StabilitySelection(spred.SparseRegressor(), n_jobs=-1).fit(X, y)
            found = set(stable.get_support(indices=True).tolist())
            counts.append((len(found & true), len(found - true)))
        right, wrong = np.mean(counts, axis=0)
        seconds = (time.perf_counter() - start) / draws
        how = f"q {stable.n_selected_}, threshold {stable.threshold_:.2f}, bound {stable.pfer_:.2f}"
        print(
            f"n {n}: {right:.1f} true, {wrong:.1f} false in {draws} draws ({how}; {seconds:.1f} s a draw)", flush=True
        )


if __name__ == "__main__":
    main()
