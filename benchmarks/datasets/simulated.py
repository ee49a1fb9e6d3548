"""Gaussian columns in an autoregression of order 1 (neighbours correlate by 0.5), some of them with a signal."""

from __future__ import annotations

import numpy as np

from datasets.data import Data, standardised


def _autoregression(rng: np.random.Generator, n: int, p: int, restart: int) -> np.ndarray:
    """Return ``(n, p)`` columns of variance 1; every ``restart``-th begins anew."""
    X = np.asfortranarray(rng.standard_normal((n, p)))
    for j in range(p):
        if j % restart:
            X[:, j] = 0.5 * X[:, j - 1] + np.sqrt(0.75) * X[:, j]
    return standardised(X)


def _classes(n: int, p: int, seed: int) -> Data:
    """Every p/50-th column has an effect of 1 or −1; signal and noise have the same variance."""
    rng = np.random.default_rng(seed)
    X = _autoregression(rng, n, p, restart=p)
    coef = np.zeros(p)
    coef[:: p // 50] = rng.choice([-1.0, 1.0], len(coef[:: p // 50]))
    eta = X @ coef
    return Data(X, (eta + eta.std() * rng.standard_normal(n) > 0).astype(float))


def ar_wide(seed: int) -> Data:
    """1,000 samples, 10,000 features, two classes."""
    return _classes(1000, 10_000, seed)


def ar_tall(seed: int) -> Data:
    """20,000 samples, 500 features, two classes."""
    return _classes(20_000, 500, seed)


def survival(seed: int, n: int = 500, p: int = 10_000) -> Data:
    """500 samples, 10,000 features, 20 of them with an effect on the hazard; a third of the times are censored."""
    rng = np.random.default_rng(seed)
    X = _autoregression(rng, n, p, restart=p)
    eta = 0.5 * X[:, :: p // 20] @ rng.choice([-1.0, 1.0], len(X[0, :: p // 20]))
    time, censored = rng.exponential(np.exp(-eta)), rng.exponential(3.0, size=n)
    return Data(X, np.column_stack([np.minimum(time, censored), time <= censored]))


def grouped(seed: int, n: int = 1000, p: int = 10_000, size: int = 10) -> Data:
    """1,000 samples, 10,000 features in groups of 10, correlated inside, 20 groups with an effect, as much noise."""
    rng = np.random.default_rng(seed)
    X = _autoregression(rng, n, p, restart=size)
    coef = np.zeros((p // size, size))
    coef[:: p // size // 20] = rng.standard_normal(coef[:: p // size // 20].shape)
    eta = X @ coef.reshape(-1)
    return Data(X, eta + eta.std() * rng.standard_normal(n), size)


def types(seed: int, n: int, p: int, k: int, markers: int = 40) -> Data:
    """n samples of k types, as many of each; a type shifts about a third of 40 marker features by its own amounts."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    shifts = np.zeros((k, p))
    shifts[:, :markers] = rng.standard_normal((k, markers)) * (rng.random((k, markers)) < 0.3)
    return Data(standardised(np.asfortranarray(rng.standard_normal((n, p)) + shifts[y])), y.astype(float))
