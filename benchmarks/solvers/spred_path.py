"""spred: Newton on the support, certified at every alpha. Its tolerance is the relative duality gap."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from problem import Problem

import spred

PACKAGE = "torch-spred"
TOLERANCES = (1e-3, 1e-5, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12)


def _path(problem: Problem, tol: float, loss: str, y: np.ndarray, **more: object) -> Callable[[], np.ndarray]:
    found = spred.path(problem.X, y, loss=loss, alphas=problem.alphas, fit_intercept=False, tol=tol, **more)
    return lambda: found.coefs if found.coefs.ndim == 2 else found.coefs.transpose(0, 2, 1)


def lasso(problem: Problem, tol: float) -> Callable[[], np.ndarray]:
    """Return the path."""
    return _path(problem, tol, "squared", problem.y)


def logistic(problem: Problem, tol: float) -> Callable[[], np.ndarray]:
    """Return the path."""
    return _path(problem, tol, "logistic", problem.y)


def multinomial(problem: Problem, tol: float) -> Callable[[], np.ndarray]:
    """Return the path with classes last."""
    return _path(problem, tol, "multinomial", problem.y)


def cox(problem: Problem, tol: float) -> Callable[[], np.ndarray]:
    """Return the path."""
    return _path(problem, tol, "cox", spred.survival_target(problem.y[:, 1], problem.y[:, 0]))


def group_lasso(problem: Problem, tol: float) -> Callable[[], np.ndarray]:
    """Return the path with every group of weight 1."""
    labels = np.arange(problem.X.shape[1]) // problem.group_size
    return _path(problem, tol, "squared", problem.y, feature_groups=labels, penalty_weights=np.ones(labels[-1] + 1))


SOLVE = {"lasso": lasso, "logistic": logistic, "multinomial": multinomial, "cox": cox, "group-lasso": group_lasso}
