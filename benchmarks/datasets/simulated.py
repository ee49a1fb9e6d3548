"""Gaussian columns in an autoregression of order 1 (neighbours correlate by 0.5), 50 of them with a signal."""

from __future__ import annotations

import numpy as np


def _autoregressive(n: int, p: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = np.asfortranarray(rng.standard_normal((n, p)))
    for j in range(1, p):
        X[:, j] = 0.5 * X[:, j - 1] + np.sqrt(0.75) * X[:, j]
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    coef = np.zeros(p)
    coef[:: p // 50] = rng.choice([-1.0, 1.0], len(coef[:: p // 50]))
    eta = X @ coef
    return X, (eta + eta.std() * rng.standard_normal(n) > 0).astype(float)


def ar_wide() -> tuple[np.ndarray, np.ndarray]:
    """1,000 samples, 10,000 features."""
    return _autoregressive(1000, 10_000, seed=0)


def ar_tall() -> tuple[np.ndarray, np.ndarray]:
    """20,000 samples, 500 features."""
    return _autoregressive(20_000, 500, seed=1)
