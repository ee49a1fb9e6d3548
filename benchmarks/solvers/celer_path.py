"""celer: coordinate descent with dual extrapolation, working sets and pruning; prox-Newton for the logistic loss."""

from __future__ import annotations

import numpy as np
from celer import celer_path
from problem import Problem

PACKAGE = "celer"
TOLERANCES = (1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9)


def lasso(problem: Problem, tol: float) -> np.ndarray:
    """Return the path."""
    return celer_path(problem.X, problem.y, "lasso", alphas=problem.alphas, tol=tol, max_iter=100, prune=1)[1].T


def logistic(problem: Problem, tol: float) -> np.ndarray:
    """Return the path; the loss is a sum over labels −1 and 1."""
    alphas, y = problem.alphas * len(problem.y), 2 * problem.y - 1
    return celer_path(problem.X, y, "logreg", alphas=alphas, tol=tol, max_iter=50, use_PN=True, prune=1)[1].T


def group_lasso(problem: Problem, tol: float) -> np.ndarray:
    """Return the path."""
    size = problem.group_size
    found = celer_path(
        problem.X, problem.y, "grouplasso", groups=size, alphas=problem.alphas, tol=tol, max_iter=100, prune=1
    )
    return found[1].T


SOLVE = {"lasso": lasso, "logistic": logistic, "group-lasso": group_lasso}
