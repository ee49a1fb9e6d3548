"""Data of the selection suite: expression sets, and generated sets whose inputs that matter are known."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.io import loadmat

DATA = Path(os.environ.get("SPRED_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
"""Where the files are: ``SPRED_DATA``, or ``shared/data`` beside the checkout."""

REAL = ("ALLAML", "Prostate-GE", "TOX-171", "GLIOMA")


@dataclass(frozen=True, eq=False)
class Set:
    """Inputs ``X``, target ``y``, whether it holds classes, and the inputs that matter where they are known."""

    X: np.ndarray
    y: np.ndarray
    classes: bool
    truth: frozenset[int] | None = None


def expression(name: str) -> Set:
    """Read a MATLAB file of expression values."""
    found = loadmat(DATA / "genes" / f"{name}.mat")
    return Set(found["X"].astype(np.float64), found["Y"].ravel().astype(int), classes=True)


def xor(seed: int) -> Set:
    """The sign of a product of 2 among 100 inputs."""
    X = np.random.default_rng(seed).standard_normal((1000, 100))
    return Set(X, (X[:, 0] * X[:, 1] > 0).astype(int), True, frozenset({0, 1}))


def additive(seed: int) -> Set:
    """``sin(2x₁) + x₂² + x₃x₄ + x₅`` among 200 inputs, noise of standard deviation ½."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((1000, 200))
    signal = np.sin(2 * X[:, 0]) + X[:, 1] ** 2 + X[:, 2] * X[:, 3] + X[:, 4]
    return Set(X, signal + 0.5 * rng.standard_normal(1000), False, frozenset(range(5)))


def linear(seed: int) -> Set:
    """Effects ±1 of 10 among 20,000 inputs, 300 samples, noise of standard deviation 1."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((300, 20_000))
    y = X[:, :5].sum(axis=1) - X[:, 5:10].sum(axis=1) + rng.standard_normal(300)
    return Set(X, y, False, frozenset(range(10)))


GENERATED = {"xor": xor, "additive": additive, "linear": linear}
