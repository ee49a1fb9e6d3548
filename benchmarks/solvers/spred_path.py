"""spred: Newton on the support, certified at every alpha."""

from __future__ import annotations

import numpy as np

import spred

LOSSES = ("squared", "logistic")
TOLERANCES = (1e-9,)


def solve(X: np.ndarray, y: np.ndarray, loss: str, alphas: np.ndarray, tol: float) -> np.ndarray:
    """Return the coefficients along the path."""
    return spred.path(X, y, loss=loss, alphas=alphas, fit_intercept=False, tol=tol).coefs
