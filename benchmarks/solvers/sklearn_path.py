"""scikit-learn: cyclic coordinate descent, on the Gram matrix where n > p; liblinear for the logistic loss."""

from __future__ import annotations

import numpy as np
from problem import Problem
from sklearn.linear_model import LogisticRegression, lasso_path

PACKAGE = "scikit-learn"
TOLERANCES = (1e-4, 1e-5, 1e-6, 1e-7, 1e-8)


def lasso(problem: Problem, tol: float) -> np.ndarray:
    """Return the path."""
    n, p = problem.X.shape
    found = lasso_path(
        problem.X, problem.y, alphas=problem.alphas, tol=tol, max_iter=100_000, precompute=n > p, check_input=False
    )
    return found[1].T


def logistic(problem: Problem, tol: float) -> np.ndarray:
    """Return the path; liblinear has no warm start."""
    return np.array([_one(problem, alpha, tol) for alpha in problem.alphas])


def _one(problem: Problem, alpha: float, tol: float) -> np.ndarray:
    strength = 1.0 / (alpha * len(problem.y))
    model = LogisticRegression(C=strength, l1_ratio=1.0, solver="liblinear", fit_intercept=False, tol=tol)
    return model.fit(problem.X, problem.y).coef_[0]


SOLVE = {"lasso": lasso, "logistic": logistic}
