"""Data of the selection suite: expression sets, and generated sets whose inputs that matter are known."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.io import loadmat
from sklearn.datasets import make_classification

DATA = Path(os.environ.get("SPRED_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
"""Where the files are: ``SPRED_DATA``, or ``shared/data`` beside the checkout."""

REAL = ("ALLAML", "Prostate-GE", "TOX-171", "GLIOMA", "golub")


@dataclass(frozen=True, eq=False)
class Set:
    """Inputs ``X``, target ``y``, whether it holds classes, and the inputs that matter where they are known."""

    X: np.ndarray
    y: np.ndarray
    classes: bool
    truth: frozenset[int] | None = None


def expression(name: str) -> Set:
    """Read expression values and classes: a MATLAB file, or the table of golub."""
    if name == "golub":
        table = pd.read_csv(DATA / "genes" / "golub.csv.gz", index_col=0)
        return Set(table.drop(columns="class").to_numpy(dtype=np.float64), table["class"].to_numpy(dtype=str), True)
    found = loadmat(DATA / "genes" / f"{name}.mat")
    return Set(found["X"].astype(np.float64), found["Y"].ravel().astype(int), classes=True)


def xor(seed: int, n: int) -> Set:
    """The sign of a product of 2 among 100 inputs."""
    X = np.random.default_rng(seed).standard_normal((n, 100))
    return Set(X, (X[:, 0] * X[:, 1] > 0).astype(int), True, frozenset({0, 1}))


def additive(seed: int, n: int) -> Set:
    """``sin(2x₁) + x₂² + x₃x₄ + x₅`` among 200 inputs, noise of standard deviation ½."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 200))
    signal = np.sin(2 * X[:, 0]) + X[:, 1] ** 2 + X[:, 2] * X[:, 3] + X[:, 4]
    return Set(X, signal + 0.5 * rng.standard_normal(n), False, frozenset(range(5)))


def linear(seed: int, n: int) -> Set:
    """Effects ±1 of 10 among 20,000 inputs, noise of standard deviation 1."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 20_000))
    y = X[:, :5].sum(axis=1) - X[:, 5:10].sum(axis=1) + rng.standard_normal(n)
    return Set(X, y, False, frozenset(range(10)))


def madelon(seed: int, n: int) -> Set:
    """Two classes of 4 clusters each in 5 dimensions, 15 combinations of these, 180 inputs of noise.

    Madelon's recipe with fewer clusters and inputs. Any of the first 20 inputs counts as one that matters.
    """
    X, y = make_classification(
        n, 200, n_informative=5, n_redundant=15, n_clusters_per_class=4, shuffle=False, flip_y=0.01, random_state=seed
    )
    order = np.random.default_rng(seed).permutation(n)
    return Set(X[order], y[order], True, frozenset(range(20)))


GENERATED: dict[str, tuple[Callable[[int, int], Set], int]] = {
    "xor": (xor, 1000),
    "additive": (additive, 1000),
    "madelon-like": (madelon, 1000),
    "linear": (linear, 300),
}
"""What makes each set, and the number of its training samples."""
