"""celer: coordinate descent with dual extrapolation and working sets."""

from __future__ import annotations

import celer
import numpy as np

LOSSES = ("squared", "logistic")
TOLERANCES = (1e-4, 1e-5, 1e-6, 1e-7, 1e-8)


def solve(X: np.ndarray, y: np.ndarray, loss: str, alphas: np.ndarray, tol: float) -> np.ndarray:
    """Return the coefficients along the path; celer's logistic loss is a sum over labels −1 and 1."""
    if loss == "squared":
        return celer.celer_path(X, y, pb="lasso", alphas=alphas, tol=tol, max_iter=200, max_epochs=100_000)[1].T
    return celer.celer_path(X, 2 * y - 1, pb="logreg", alphas=alphas * len(y), tol=tol)[1].T
