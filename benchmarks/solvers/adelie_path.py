"""adelie, in an environment of its own because it needs NumPy below 2; ``SPRED_ADELIE`` names that Python."""

from __future__ import annotations

import os

import numpy as np

from solvers.outside import HERE, run

LOSSES = ("squared", "logistic")
TOLERANCES = (1e-7, 1e-9, 1e-11, 1e-13, 1e-15)


def available() -> bool:
    """Return whether there is such an environment."""
    return "SPRED_ADELIE" in os.environ


def solve(X: np.ndarray, y: np.ndarray, loss: str, alphas: np.ndarray, tol: float) -> tuple[np.ndarray, float]:
    """Return the coefficients along the path, and the other Python's seconds."""
    return run([os.environ["SPRED_ADELIE"], str(HERE / "adelie_other_side.py")], X, y, loss, alphas, tol)
