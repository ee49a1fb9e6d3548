"""scikit-learn: cyclic coordinate descent; liblinear for the logistic loss."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.linear_model import LogisticRegression, lasso_path

LOSSES = ("squared", "logistic")
TOLERANCES = (1e-4, 1e-5, 1e-6, 1e-7, 1e-8)


def solve(X: np.ndarray, y: np.ndarray, loss: str, alphas: np.ndarray, tol: float) -> np.ndarray:
    """Return the coefficients along the path; liblinear has no warm start."""
    if loss == "squared":
        return lasso_path(X, y, alphas=alphas, tol=tol, max_iter=100_000)[1].T
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own tolerance is not what it is judged by
        return np.array(
            [
                LogisticRegression(
                    C=1.0 / (alpha * len(y)), l1_ratio=1.0, solver="liblinear", fit_intercept=False, tol=tol
                )
                .fit(X, y)
                .coef_[0]
                for alpha in alphas
            ]
        )
